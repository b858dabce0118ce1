"""Windows hold the samples and turns of their place, whatever the offset, the rate and the end of a recording."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import AudioError, ConfigError, FormatError, InputError
from speakerdiar.formats import load_recordings, rttm
from speakerdiar.training.recordings import RecordedConversations, referenced

RATE = 8000
TURNS = (Turn(0.5, 2.0, "Ann"), Turn(1.5, 4.5, "Ben"), Turn(6.0, 7.0, "Ann"))


def ramp(seconds: float) -> NDArray[np.float32]:
    """Samples that say where they are: 0.1 a second."""
    return (np.arange(round(seconds * RATE)) / RATE / 10).astype(np.float32)


def manifest(folder: Path, lengths: dict[str, float], **more: object) -> str:
    lines = []
    for name, seconds in lengths.items():
        soundfile.write(folder / f"{name}.wav", ramp(seconds), RATE, "FLOAT")
        rttm.dump([Diarization(name, seconds, TURNS)], folder / f"{name}.rttm")
        lines.append(json.dumps({"audio_filepath": f"{name}.wav", "rttm_filepath": f"{name}.rttm", **more}))
    path = folder / "manifest.jsonl"
    path.write_text("\n".join(lines))
    return str(path)


def test_windows_side_by_side(tmp_path: Path) -> None:
    windows = list(RecordedConversations([manifest(tmp_path, {"talk": 7.5})], 3.0, RATE).windows())
    assert [len(samples) for samples, _ in windows] == [3 * RATE] * 3
    np.testing.assert_array_equal(np.concatenate([samples for samples, _ in windows])[: round(7.5 * RATE)], ramp(7.5))
    assert not windows[2].samples[round(1.5 * RATE) :].any()
    assert windows[0].turns == (Turn(0.5, 2.0, "Ann"), Turn(1.5, 3.0, "Ben"))
    assert windows[1].turns == (Turn(0.0, 1.5, "Ben"),)
    assert windows[2].turns == (Turn(0.0, 1.0, "Ann"),)


def test_the_rttm_counts_from_the_start_of_the_file(tmp_path: Path) -> None:
    data = RecordedConversations([manifest(tmp_path, {"talk": 7.5}, offset=1.0, duration=3.0)], 2.0, RATE)
    first, second = data.windows()
    assert first.samples[0] == pytest.approx(0.1)
    assert first.turns == (Turn(0.0, 1.0, "Ann"), Turn(0.5, 2.0, "Ben"))
    assert second.turns == (Turn(0.0, 1.0, "Ben"),)
    assert not second.samples[RATE:].any()


def test_random_windows_are_those_of_their_place(tmp_path: Path) -> None:
    data = RecordedConversations([manifest(tmp_path, {"long": 60.0, "short": 7.0})], 2.0, RATE)
    starts = []
    for samples, turns in islice(data, 200):
        start = 10 * float(samples[0])
        starts.append(start)
        np.testing.assert_allclose(samples, ramp(62)[round(start * RATE) :][: 2 * RATE], atol=1e-6)
        expected = [max(0.0, turn.start - start) for turn in TURNS if turn.start < start + 2 and turn.end > start]
        np.testing.assert_allclose([turn.start for turn in turns], expected, atol=2 / RATE)
    assert 0.75 < np.mean(np.array(starts) > 7) < 0.95  # 51 of 67 s


def test_the_rate_and_short_recordings(tmp_path: Path) -> None:
    samples, turns = next(iter(RecordedConversations([manifest(tmp_path, {"talk": 7.0})], 9.0, 16000)))
    assert len(samples) == 9 * 16000
    assert turns == TURNS
    assert not samples[7 * 16000 + 100 :].any()
    np.testing.assert_allclose(samples[16000 : 6 * 16000 : 16000], [0.1, 0.2, 0.3, 0.4, 0.5], atol=1e-4)


def test_seed_process_and_step_decide(tmp_path: Path) -> None:
    path = manifest(tmp_path, {"talk": 7.0})

    def first(seed: int = 0, process: int = 0, step: int = 0) -> float:
        data = RecordedConversations([path], 1.0, RATE, seed)
        data.begin(process, step)
        return float(next(iter(data)).samples[0])

    assert first() == first()
    assert len({first(), first(seed=1), first(process=1), first(step=1)}) == 4


@pytest.mark.parametrize(("seconds", "rate", "message"), [(0.0, RATE, "seconds=0"), (1.0, 0, "rate=0")])
def test_windows_that_cannot_be(tmp_path: Path, seconds: float, rate: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RecordedConversations([manifest(tmp_path, {"talk": 7.0})], seconds, rate)


def test_recordings_that_cannot_be_learnt_from(tmp_path: Path) -> None:
    path = Path(manifest(tmp_path, {"talk": 7.0}))
    with pytest.raises(InputError, match="no manifest"):
        RecordedConversations([], 1.0)
    [recording] = load_recordings(path)
    rttm.dump([Diarization(name, 9, TURNS) for name in ("a", "b")], tmp_path / "talk.rttm")
    with pytest.raises(FormatError, match=r"talk\.rttm: has no turns of 'talk', but of 2 others"):
        referenced(recording)
    path.write_text(json.dumps({"audio_filepath": "talk.wav"}))
    with pytest.raises(InputError, match="talk: has no rttm_filepath"):
        RecordedConversations([str(path)], 1.0)
    path.write_text(json.dumps({"audio_filepath": "talk.wav", "rttm_filepath": "talk.rttm", "offset": 8}))
    with pytest.raises(AudioError, match="offset=8 s lies beyond"):
        RecordedConversations([str(path)], 1.0)
