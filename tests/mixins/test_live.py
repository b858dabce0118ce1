"""The template, live: which sources it takes, what it yields, and what it closes."""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import RATE, ToneDiarizer
from fakes_streaming import Told, ToneStreamer
from hypothesis import given, settings
from hypothesis import strategies as st
from nemo_style import SAMPLES
from torch.utils.data import DataLoader

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.config import DiarizeConfig
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.mixins import StreamStep
from speakerdiar.recording import Recording
from speakerdiar.updates import SampleChunk, StreamingUpdate, joined

LATENCY = "0.1s"
[WHOLE] = ToneStreamer().diarize(SAMPLES, sample_rate=RATE, latency=LATENCY)


class Microphone:
    """A live source: yields chunks and notes whether it was closed."""

    is_live = True

    def __init__(self, chunks: list[Any], sample_rate: int | None = RATE) -> None:
        self.chunks = chunks
        self.closed = 0
        if sample_rate is not None:
            self.sample_rate = sample_rate

    def __iter__(self) -> Iterator[Any]:
        return iter(self.chunks)

    def close(self) -> None:
        self.closed += 1


def chunks_of(samples: np.ndarray, length: int = 1234) -> list[np.ndarray]:
    return [samples[at : at + length] for at in range(0, len(samples), length)]


def test_every_kind_of_source_gives_the_turns_of_the_whole(wav: str, tmp_path: Path) -> None:
    model = ToneStreamer()
    manifest = tmp_path / "one.jsonl"
    manifest.write_text(json.dumps({"audio_filepath": wav}) + "\n")
    with open(wav, "rb") as opened:
        sources: list[Any] = [
            wav, Path(wav), [wav], {"audio_filepath": wav}, opened, io.BytesIO(Path(wav).read_bytes()), manifest,
            (SAMPLES, RATE), {"audio": SAMPLES, "sample_rate": RATE}, Recording("x", SAMPLES, RATE),
        ]  # fmt: skip
        for source in sources:
            assert joined(model.diarize_generator(source, latency=LATENCY), WHOLE.recording_id) == WHOLE, source
        assert not opened.closed
    more: list[Any] = [
        SAMPLES, torch.from_numpy(SAMPLES), [SAMPLES], iter(chunks_of(SAMPLES)), (c for c in chunks_of(SAMPLES)),
        map(SampleChunk, chunks_of(SAMPLES, 50_000)), Microphone(chunks_of(SAMPLES), None),
    ]  # fmt: skip
    for source in more:
        updates = model.diarize_generator(source, latency=LATENCY, sample_rate=RATE)
        assert joined(updates, WHOLE.recording_id) == WHOLE, source


def test_a_part_of_a_recording_keeps_its_clock(wav: str) -> None:
    model, part = ToneStreamer(), {"audio_filepath": wav, "offset": 1.1, "duration": 1.5}
    [whole] = model.diarize(part, latency=LATENCY)
    updates = list(model.diarize_generator(part, latency=LATENCY))
    assert joined(updates, whole.recording_id, offset=1.1) == whole
    assert whole.turns[0].start >= 1.1
    assert 1.1 <= updates[0].final_until <= updates[0].time < 1.4
    assert updates[-1].time == pytest.approx(2.6)


@settings(max_examples=25)
@given(lengths=st.lists(st.integers(0, 20_000), max_size=10), latency=st.sampled_from(list(ToneStreamer.LATENCIES)))
def test_joined_final_turns_are_those_of_diarize(lengths: list[int], latency: str) -> None:
    model = ToneStreamer()
    source = Microphone(np.split(SAMPLES, np.minimum(np.cumsum(lengths, dtype=int), len(SAMPLES))))
    [whole] = model.diarize(SAMPLES, sample_rate=RATE, latency=latency)
    assert joined(model.diarize_generator(source, latency=latency), whole.recording_id) == whole


def test_a_live_source_needs_no_latency() -> None:
    source = Microphone(chunks_of(SAMPLES))
    updates = list(ToneStreamer().diarize_generator(source))
    assert [type(update) for update in updates] == [StreamingUpdate] * len(updates)
    assert joined(updates, "audio_0000") == ToneStreamer().diarize(SAMPLES, sample_rate=RATE, latency="0.5s")[0]


def test_an_update_comes_with_each_step_each_event_and_at_the_end() -> None:
    piece = np.zeros(400)
    chunks = [piece, piece, piece, piece, piece, SampleChunk(piece[:0], overrun=True), piece, piece[:0]]
    updates = list(ToneStreamer().diarize_generator(iter(chunks), latency=LATENCY, sample_rate=RATE))
    assert [update.time for update in updates] == [0.1, 0.125, 0.15]
    assert [[event.kind for event in update.events] for update in updates] == [[], ["overrun"], []]


def test_a_turn_that_waited_for_the_audio_is_not_lost() -> None:
    turn = Turn(0.0, 0.13, "SPEAKER_00")
    chunks = [np.zeros(1600), np.zeros(480), np.zeros(100)]
    updates = list(Told(StreamStep((turn,))).diarize_generator(iter(chunks), latency=LATENCY, sample_rate=RATE))
    assert [update.final for update in updates] == [(), (turn,), ()]


def test_session_len_sec_ends_a_live_stream(wav: str) -> None:
    model = ToneStreamer()
    [whole] = model.diarize(wav, latency=LATENCY, session_len_sec=1.03)
    for source in (wav, Microphone(chunks_of(SAMPLES))):
        updates = model.diarize_generator(source, latency=LATENCY, session_len_sec=1.03)
        assert joined(updates, whole.recording_id) == whole
    lossy = Microphone([SampleChunk(SAMPLES[:RATE], 0.25), SampleChunk(SAMPLES[:RATE], 5.0), SAMPLES])
    *_, last = model.diarize_generator(lossy, session_len_sec=2.0)
    assert last.time == 2.0


def test_the_rate_of_the_call_or_of_the_source_is_needed() -> None:
    for rate in (None, 0, "fast"):
        source = Microphone(chunks_of(SAMPLES), rate)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"Sample rate is not set|Microphone\.sample_rate is"):
            ToneStreamer().diarize_generator(source)
    with pytest.raises(InputError, match=r"^Sample rate is not set\. Numpy audio inputs"):
        ToneStreamer().diarize_generator(iter(chunks_of(SAMPLES)), latency=LATENCY)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (["a.wav", "b.wav"], "Got 2 recordings to stream with latency='0.1s': stream one recording at a time, or call"),
        ([SAMPLES, SAMPLES], "Got 2 recordings"),
        (DataLoader([1, 2]), "Got a DataLoader to stream"),  # type: ignore[arg-type]
        ([], "is empty"),
        (None, "is empty"),
        (b"RIFF", "Can't take bytes as audio"),
        (3.0, "Can't take float as audio"),
    ],
)
def test_what_is_not_one_source_is_refused_at_the_call(source: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ToneStreamer().diarize_generator(source, latency=LATENCY, sample_rate=RATE)


def test_a_model_that_does_not_stream_is_refused_at_the_call(wav: str) -> None:
    model = ToneDiarizer()
    calls: list[Callable[[], Any]] = [
        lambda: model.diarize_generator(wav, latency=LATENCY),
        lambda: model.diarize(wav, latency=LATENCY),
        lambda: model.diarize(wav, override_config=DiarizeConfig(latency=LATENCY)),
        lambda: model.diarize_generator(Microphone([])),
    ]
    for call in calls:
        with pytest.raises(ConfigError, match=r"ToneDiarizer doesn't stream: leave latency out .* load a model"):
            call()


def test_diarize_takes_no_live_source() -> None:
    with pytest.raises(InputError, match=r"Microphone is live and may never end: iterate over diarize_generator"):
        ToneStreamer().diarize(Microphone(chunks_of(SAMPLES)))


def test_diarize_with_latency_takes_many_recordings(wav: str) -> None:
    found = ToneStreamer().diarize([SAMPLES, SAMPLES[:RATE]], sample_rate=RATE, latency=LATENCY, batch_size=2)
    assert [result.duration for result in found] == [4.0, 1.0]
    assert found[0].turns == WHOLE.turns
    many = ToneStreamer().diarize(iter([wav, wav]), latency=LATENCY)
    assert [result.turns for result in many] == [WHOLE.turns] * 2


def test_a_bad_chunk_raises_when_it_arrives() -> None:
    source = Microphone([SAMPLES[:RATE], np.array([np.nan]), SAMPLES])
    updates = ToneStreamer().diarize_generator(source, latency=LATENCY)
    assert next(updates).time == 1.0
    with pytest.raises(InputError, match=r"nan at 1\.0000 s"):
        next(updates)
    assert source.closed == 1
    with pytest.raises(InputError, match="chunks are samples"):
        next(ToneStreamer().diarize_generator(iter(["a.wav"]), latency=LATENCY, sample_rate=RATE))


@pytest.mark.parametrize("taken", [0, 1, 1000])
@pytest.mark.parametrize("drop", [True, False])
def test_closing_or_dropping_closes_the_source(taken: int, drop: bool) -> None:
    source = Microphone(chunks_of(SAMPLES))
    updates: Any = ToneStreamer().diarize_generator(source)
    assert source.closed == 0
    for _ in zip(range(taken), updates, strict=False):
        pass
    if drop:
        del updates
        gc.collect()
    else:
        updates.close()
    assert source.closed == 1


def test_generators_may_run_side_by_side(wav: str) -> None:
    model = ToneStreamer().train()
    pairs = zip(
        model.diarize_generator(wav, latency=LATENCY),
        model.diarize_generator(Microphone(chunks_of(SAMPLES, 1600)), latency=LATENCY),
        strict=True,
    )
    first, second = (joined(updates) for updates in zip(*pairs, strict=True))
    assert first == second == Diarization("stream", WHOLE.duration, WHOLE.turns)
    assert model.dropout.training


def test_missing_audio_is_reported_when_it_is_read() -> None:
    updates = ToneStreamer().diarize_generator("nowhere.wav", latency=LATENCY)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        next(updates)
