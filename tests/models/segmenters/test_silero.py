"""SileroVad: its gain, its memory and its options. That it equals silero's own is tested under parity."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from speakerdiar.audio import load
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.models.segmenters import silero
from speakerdiar.models.segmenters.silero import SileroVad

CONVERSATION = Path(__file__).resolve().parents[3] / "examples" / "data" / "conversation.flac"


@pytest.fixture(scope="module")
def talk() -> NDArray[np.float32]:
    return np.asarray(load(CONVERSATION))[: 40 * 16000]


@pytest.mark.parametrize("gain", [0.003, 0.1, 1])
def test_the_level_of_a_recording_does_not_matter(talk: NDArray[np.float32], gain: float) -> None:
    model = SileroVad(max_gain_db=80)
    scores = model.segment_blocks([talk]).data
    assert 0.2 < (scores > 0.5).mean() < 1
    np.testing.assert_allclose(model.segment_blocks([talk * np.float32(gain)]).data, scores, atol=1e-3)


def test_without_normalisation_it_does() -> None:
    noise = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    model = SileroVad(normalize=False)
    loud, quiet = (model.segment_blocks([noise * np.float32(gain)]).data for gain in (0.3, 0.0001))
    assert np.abs(loud - quiet).max() > 1e-3


@pytest.mark.parametrize(
    ("level", "options", "expected"),
    [
        (0.01, {"target_dbfs": -20.0}, 10.0),
        (0.5, {"target_dbfs": -20.0}, 0.2),
        (0.001, {"target_dbfs": -20.0, "max_gain_db": 20.0}, 10.0),
        (0.001, {"target_dbfs": -20.0, "max_gain_db": 0}, 1.0),
        (0.0, {}, 1.0),
        (0.01, {"normalize": False}, 1.0),
    ],
)
def test_the_gain_reaches_the_target_up_to_its_cap(level: float, options: dict[str, Any], expected: float) -> None:
    samples = np.full(1000, level, dtype=np.float32) * np.tile([1, -1], 500).astype(np.float32)
    assert SileroVad(**options)._gain(samples) == pytest.approx(expected, rel=1e-5)


def test_a_short_last_block_takes_its_gain_from_the_last_30_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    model = SileroVad()
    heard: list[int] = []
    gain = model._gain

    def spy(samples: NDArray[np.float32]) -> np.float32:
        heard.append(len(samples))
        return gain(samples)

    monkeypatch.setattr(model, "_gain", spy)
    model.segment_blocks([np.zeros(model.block_samples + 5000, dtype=np.float32)])
    assert heard == [model.block_samples, model.block_samples]


def live(model: SileroVad, samples: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """Scores (n,) of samples that come in lots of so many frames."""
    state, found = None, []
    for start in range(0, len(samples), 512 * frames):
        scores, state = model.score_next(samples[start : start + 512 * frames], state)
        found.append(scores[:, 0])
    return np.concatenate(found)


def test_live_scores_do_not_depend_on_how_samples_come(talk: NDArray[np.float32]) -> None:
    model, samples = SileroVad(), talk[: 10 * 16000 + 77]
    whole = live(model, samples, 10_000)
    assert len(whole) == 313
    for frames in (1, 7, 31):
        np.testing.assert_allclose(live(model, samples, frames), whole, atol=1e-4)


def test_live_scores_wait_for_nothing(talk: NDArray[np.float32]) -> None:
    model, samples = SileroVad(), talk[: 10 * 16000]
    louder = np.concatenate([samples[: 100 * 512], samples[100 * 512 :] * 20])
    np.testing.assert_array_equal(live(model, samples, 20)[:100], live(model, louder, 20)[:100])


@pytest.mark.parametrize("gain", [0.03, 1, 5])
def test_live_speech_is_found_at_any_level(talk: NDArray[np.float32], gain: float) -> None:
    model = SileroVad()
    same = (live(model, talk * np.float32(gain), 31) > 0.3) == (model.segment_blocks([talk]).data[:, 0] > 0.3)
    assert same.mean() > 0.95


def test_silence_in_front_is_not_blown_up(talk: NDArray[np.float32]) -> None:
    noise = np.random.default_rng(0).normal(0, 3e-4, 5 * 16000).astype(np.float32)
    scores = live(SileroVad(), np.concatenate([noise, talk[: 5 * 16000]]), 31)
    assert scores[:150].max() < 0.2
    assert scores[156:].max() > 0.9


def test_speech_is_found_where_it_is(talk: NDArray[np.float32]) -> None:
    silence = np.zeros(5 * 16000, dtype=np.float32)
    scores = SileroVad().segment_blocks(itertools.chain([silence], [talk], [silence])).data[:, 0]
    assert scores[:150].max() < 0.2
    assert scores[-120:].max() < 0.2
    assert scores[156:-156].max() > 0.9


@pytest.mark.parametrize(
    "option",
    [
        {"normalize": 1},
        {"target_dbfs": 3.0},
        {"target_dbfs": float("nan")},
        {"max_gain_db": -1.0},
        {"max_gain_db": float("inf")},
    ],
)
def test_bad_options_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(option))):
        SileroVad(**option)


def test_a_file_that_is_no_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "silero.jit"
    file.write_bytes(b"nothing of the kind")
    monkeypatch.setattr(silero, "installed_file", lambda *args, **options: file)
    with pytest.raises(WeightsError, match=r"silero\.jit is no TorchScript file"):
        SileroVad()
