"""NemotronDiarizer on a tiny network: templates, streams, speaker counts, silence, loading."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("transformers", minversion="5.18", reason="pip install 'speakerdiar[nemotron]' brings transformers")
from fakes_nemotron import SHORT, tiny_nemotron, tiny_network
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.annotation import Diarization
from speakerdiar.errors import ConfigError
from speakerdiar.mixins import audio_dataloader
from speakerdiar.models.diarizers.nemotron import NemotronDiarizer
from speakerdiar.models.diarizers.nemotron_latency import LATENCIES, NemotronLatency
from speakerdiar.recording import as_recordings
from speakerdiar.updates import StreamingUpdate, joined

CONVERSATION = Path(__file__).resolve().parents[3] / "examples" / "data" / "conversation.flac"
RATE = 16000


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    samples, _ = soundfile.read(CONVERSATION, dtype="float32")
    return np.asarray(samples[: 9 * RATE + 321])


@pytest.fixture(scope="module")
def model() -> NemotronDiarizer:
    return tiny_nemotron()


def live(model: NemotronDiarizer, samples: np.ndarray, cuts: list[int], **options: Any) -> list[StreamingUpdate]:
    session = model.stream(**options)
    pieces = np.split(samples, [cut for cut in np.cumsum(cuts) if cut < len(samples)])
    return [*(session.push(piece) for piece in pieces), session.finish()]


@pytest.mark.parametrize("latency", [*LATENCIES, {"chunk_length": 7, "chunk_left_context": 2, "fifo_length": 5}])
def test_a_stream_comes_to_the_turns_of_the_file(model: NemotronDiarizer, talk: np.ndarray, latency: Any) -> None:
    [whole] = model.diarize((talk, RATE), latency=latency)
    found = joined(live(model, talk, [1000, 30000, 17], latency=latency), whole.recording_id)
    assert len(whole) > 5
    assert found == whole


@functools.cache
def _cut() -> tuple[NemotronDiarizer, np.ndarray]:
    samples, _ = soundfile.read(CONVERSATION, stop=4 * RATE + 99, dtype="float32")
    return tiny_nemotron(seed=1), np.asarray(samples)


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(1, 40000), max_size=8))
def test_how_the_input_is_cut_makes_no_difference(cuts: list[int]) -> None:
    model, samples = _cut()
    once = joined(live(model, samples, [], latency="0.32s"))
    assert joined(live(model, samples, cuts, latency="0.32s")) == once


def test_scores_asked_for_change_no_turn(model: NemotronDiarizer, talk: np.ndarray) -> None:
    [plain] = model.diarize((talk, RATE))
    [scored] = model.diarize((talk, RATE), include_tensor_outputs=True)
    [sure] = model.diarize((talk, RATE), confidence=True)
    assert plain.turns == scored.turns
    assert scored.scores is not None
    assert scored.scores.data.shape == (len(talk) // 160, len(plain.speakers))
    assert scored.scores.grid.step == 0.01
    assert [(turn.start, turn.end, turn.speaker) for turn in sure] == [
        (turn.start, turn.end, turn.speaker) for turn in plain
    ]
    assert all(turn.confidence is not None for turn in sure)


def test_readable_turns(model: NemotronDiarizer, talk: np.ndarray) -> None:
    [plain] = model.diarize((talk, RATE))
    [readable] = model.diarize((talk, RATE), postprocessing_params="readable")
    assert min(turn.duration for turn in plain) < 0.16 <= min(turn.duration for turn in readable) + 1e-6


def test_sessions_in_a_batch_come_to_the_same(model: NemotronDiarizer, talk: np.ndarray) -> None:
    rows = [talk, talk[::-1].copy(), talk[: 2 * RATE]]
    batch = model.stream_batch(3, "0.32s")
    updates: list[list[StreamingUpdate]] = [[], [], []]
    for at in range(0, len(talk), 7000):
        for row, update in zip(updates, batch.push([samples[at : at + 7000] for samples in rows]), strict=True):
            row.append(update)
    for row, update in zip(updates, batch.finish(), strict=True):
        row.append(update)
    for samples, row in zip(rows, updates, strict=True):
        assert joined(row) == joined(live(model, samples, [], latency="0.32s"))


def test_neighbours_change_nothing(model: NemotronDiarizer, talk: np.ndarray) -> None:
    pieces = [talk, talk[: 3 * RATE], talk[:100], np.zeros(2 * RATE, np.float32), talk[RATE:]]
    alone = [model.diarize((piece, RATE))[0].turns for piece in pieces]
    together = model.diarize(pieces, sample_rate=RATE, batch_size=5)
    loader = audio_dataloader({"recordings": as_recordings(pieces, RATE), "batch_size": 2, "sample_rate": RATE})
    assert [result.turns for result in together] == alone
    assert [result.turns for result in model.diarize(loader)] == alone


def test_the_hook_hears_how_far_a_recording_is(model: NemotronDiarizer, talk: np.ndarray) -> None:
    told: list[tuple[str, Any, float, float | None]] = []
    model.diarize((talk, RATE), hook=lambda *progress: told.append(progress), include_tensor_outputs=True)
    seconds = len(talk) / RATE
    done = [at for _, _, at, _ in told]
    assert done == sorted(done)
    assert len(done) > 5
    assert {stage for stage, *_ in told} == {"scores"}
    assert told[-1][1].data.shape == (len(talk) // 160, 4)
    assert told[-1][2:] == (seconds, seconds)


@pytest.mark.parametrize("option", ["max_speakers", "num_speakers"])
@pytest.mark.parametrize("most", [1, 3])
def test_at_most_so_many_speakers(model: NemotronDiarizer, talk: np.ndarray, option: str, most: int) -> None:
    [found] = model.diarize((talk, RATE), **dict[str, Any]({option: most}))
    assert 1 <= len(found.speakers) <= most
    [again] = model.diarize({"audio": talk, "sample_rate": RATE, "num_speakers": most})
    assert again.turns == found.turns


def test_nobody_speaks_before_the_first_sound(model: NemotronDiarizer, talk: np.ndarray) -> None:
    silence = np.full(6 * RATE, 2.0**-16, np.float32)
    config: dict[str, Any] = {"latency": "0.32s"}
    [nobody] = model.diarize((silence, RATE), **config)
    assert not nobody
    [later] = model.diarize((np.concatenate([silence, talk]), RATE), **config)
    assert later
    assert later.turns[0].start >= 6.0 - 0.32
    [whispered] = model.diarize((silence * 1000, RATE), **config)
    assert whispered  # this network hears speakers in it


def test_files_are_cut_as_the_config_says(talk: np.ndarray) -> None:
    model = NemotronDiarizer(tiny_network(**{**SHORT, "chunk_left_context": 2}))
    same = NemotronLatency(12, 4, 2, fifo_length=6, speaker_cache_update_period=9)
    assert model.diarize((talk, RATE)) == model.diarize((talk, RATE), latency=same)
    assert model.diarize((talk, RATE)) != model.diarize((talk, RATE), latency="1.04s")


def test_presets_by_name_mapping_and_object(model: NemotronDiarizer) -> None:
    assert model.latency_seconds() == 1.04
    assert model.latency_seconds({"chunk_length": 10, "chunk_right_context": 2}) == 0.96
    assert model.latency_seconds(NemotronLatency(1)) == 0.08
    with pytest.raises(ConfigError, match=r"'1\.4s'.*Did you mean '1\.04s'"):
        model.stream("1.4s")
    with pytest.raises(ConfigError, match=r"speaker_cache_length=7: 4 speakers and their silence take 8 frames"):
        model.diarize(
            np.zeros(10, np.float32), sample_rate=RATE, latency={"chunk_length": 5, "speaker_cache_length": 7}
        )


def test_a_smaller_speaker_cache_is_one(model: NemotronDiarizer) -> None:
    preset = NemotronLatency(5, speaker_cache_length=8)
    assert model._cache(preset).speaker_cache_length == 8
    assert model._cache(LATENCIES["1.04s"]).speaker_cache_length == 24


def test_results_are_diarizations_with_the_clock_of_the_recording(model: NemotronDiarizer, tmp_path: Path) -> None:
    [part] = model.diarize({"audio_filepath": str(CONVERSATION), "offset": 2.0, "duration": 5.0})
    assert isinstance(part, Diarization)
    assert (part.offset, part.duration) == (2.0, 5.0)
    assert all(2.0 <= turn.start < turn.end <= 7.0 for turn in part)
