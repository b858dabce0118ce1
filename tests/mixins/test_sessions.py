"""Sessions keep their promises whatever is pushed, alone, side by side and stepped together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from fakes import FRAME, RATE, tones
from fakes_streaming import Told, ToneStreamer
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.annotation import Diarization, Segment
from speakerdiar.errors import InputError, ModelError
from speakerdiar.mixins import StreamingSession, StreamStep
from speakerdiar.updates import SampleChunk, StreamingUpdate, joined

SECONDS = 6.03
TALK = tones([(0.4, 2.0, 1), (1.5, 3.3, 0), (3.33, 3.9, 2), (4.2, SECONDS, 1), (5.0, 5.5, 3)], SECONDS)
OTHER = tones([(0.0, 1.0, 0), (1.3, 2.9, 2)], 3.5)
LATENCIES = st.sampled_from(list(ToneStreamer.LATENCIES))
CUTS = st.lists(st.integers(0, len(TALK)), max_size=12)


def pieces(samples: np.ndarray, cuts: list[int]) -> list[np.ndarray]:
    borders = [0, *sorted(min(cut, len(samples)) for cut in cuts), len(samples)]
    return [samples[start:end] for start, end in pairwise(borders)]


def run(session: StreamingSession, chunks: list[Any]) -> list[StreamingUpdate]:
    return [*(session.push(chunk) for chunk in chunks), session.finish()]


def alone(samples: np.ndarray, latency: str, rate: int = RATE) -> Diarization:
    return _alone(samples.tobytes(), latency, rate)


@functools.cache
def _alone(samples: bytes, latency: str, rate: int) -> Diarization:
    return joined(run(ToneStreamer().stream(latency, sample_rate=rate), [np.frombuffer(samples, np.float32)]))


@given(cuts=CUTS, latency=LATENCIES)
def test_the_cut_changes_nothing_and_what_is_settled_stays(cuts: list[int], latency: str) -> None:
    updates = run(ToneStreamer().stream(latency), pieces(TALK, cuts))
    assert joined(updates) == alone(TALK, latency)
    assert [u.time for u in updates] == sorted(u.time for u in updates)
    assert [u.final_until for u in updates] == sorted(u.final_until for u in updates)
    assert updates[-1].time == updates[-1].final_until == len(TALK) / RATE
    assert updates[-1].tentative == ()
    everything = joined(updates).supported()
    given_so_far: list[Any] = []
    for update in updates:
        given_so_far += update.final
        now = Diarization("stream", update.time, (*given_so_far, *update.tentative))
        settled = Segment(0, update.final_until)
        assert now.crop(settled).turns == everything.crop(settled).turns
        assert all(turn.end <= update.time for turn in update.final)
        assert all(turn.end >= update.final_until for turn in update.tentative)


@pytest.mark.parametrize("latency", ["0.1s", "0.5s"])
def test_chunks_of_one_sample_give_the_same(latency: str) -> None:
    start = TALK[6000 : 6000 + 6 * FRAME + 5]
    chunks = [start[at : at + 1] for at in range(len(start))]
    assert joined(run(ToneStreamer().stream(latency), chunks)) == alone(start, latency)


@pytest.mark.parametrize("latency", ToneStreamer.LATENCIES)
@pytest.mark.parametrize("count", [0, 1, FRAME - 1, FRAME, FRAME + 1, 5 * FRAME, len(TALK)])
def test_final_turns_are_those_of_the_whole(latency: str, count: int) -> None:
    model = ToneStreamer()
    found = joined(run(model.stream(latency), [TALK[:count]]), "audio_0000")
    if not count:
        assert found == Diarization("audio_0000", 0.0)
        assert model.forwards == []
        return
    assert [found] == model.diarize(TALK[:count], sample_rate=RATE, latency=latency)


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (np.round(TALK * 32767).astype(np.int16), RATE),
        (np.round(TALK * 127 + 128).astype(np.uint8), RATE),
        (np.stack([TALK * 0.5, TALK * 1.5], axis=1), RATE),
        (torch.from_numpy(TALK), RATE),
        (torch.from_numpy(TALK).bfloat16(), RATE),
        (TALK.tolist(), RATE),
        (TALK[::2], RATE // 2),
        (np.repeat(TALK, 3), 3 * RATE),
    ],
)
def test_samples_of_every_kind_and_rate_give_the_same_turns(samples: Any, rate: int) -> None:
    found = joined(run(ToneStreamer().stream("0.1s", sample_rate=rate), [samples]))
    expected = alone(TALK, "0.1s")
    assert found.speakers == expected.speakers
    for turn, other in zip(found, expected, strict=True):
        # Resampling smears an edge by a few samples, which may reach another frame.
        assert (turn.start, turn.end) == pytest.approx((other.start, other.end), abs=0.11)
    assert found.duration == expected.duration


@settings(max_examples=40)
@given(cuts=CUTS, rate=st.sampled_from([8000, 11025, 44100]))
def test_the_cut_changes_nothing_at_other_rates(cuts: list[int], rate: int) -> None:
    session = ToneStreamer().stream("0.1s", sample_rate=rate)
    assert joined(run(session, pieces(OTHER, cuts))) == alone(OTHER, "0.1s", rate)


@settings(max_examples=25)
@given(cuts=CUTS, others=CUTS, latency=LATENCIES)
def test_interleaved_sessions_do_not_disturb_each_other(cuts: list[int], others: list[int], latency: str) -> None:
    model = ToneStreamer().train()
    model.frozen.eval()
    sessions = model.stream(latency), model.stream("0.1s")
    found: tuple[list[StreamingUpdate], ...] = ([], [])
    waiting = [pieces(TALK, cuts), pieces(OTHER, others)]
    while any(waiting):
        for session, updates, chunks in zip(sessions, found, waiting, strict=True):
            if chunks:
                updates.append(session.push(chunks.pop(0)))
        if len(found[0]) == 1:
            model.diarize(OTHER[:RATE], sample_rate=RATE)
    for session, updates in zip(sessions, found, strict=True):
        updates.append(session.finish())
    assert [joined(updates) for updates in found] == [alone(TALK, latency), alone(OTHER, "0.1s")]
    assert {(training, inference) for _, training, inference in model.forwards} == {(False, True)}
    assert model.dropout.training
    assert not model.frozen.training


def test_sessions_may_run_in_threads() -> None:
    model = ToneStreamer().train()

    def follow(samples: np.ndarray) -> Diarization:
        chunks = [samples[at : at + 777] for at in range(0, len(samples), 777)]
        return joined(run(model.stream("0.1s"), chunks))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(follow, [TALK, OTHER] * 4))
    assert found == [alone(TALK, "0.1s"), alone(OTHER, "0.1s")] * 4
    assert model.dropout.training


@st.composite
def schedules(draw: st.DrawFn) -> list[list[np.ndarray | None]]:
    """What is pushed to three sessions, round by round; a round leaves some out."""
    streams = [pieces(samples, draw(CUTS)) for samples in (TALK, OTHER, TALK[:FRAME])]
    rounds: list[list[np.ndarray | None]] = []
    while any(streams):
        turn = draw(st.lists(st.booleans(), min_size=3, max_size=3).filter(any))
        rounds.append([stream.pop(0) if stream and on else None for stream, on in zip(streams, turn, strict=True)])
    return rounds


@settings(max_examples=40)
@given(rounds=schedules(), latency=LATENCIES)
def test_each_row_of_a_batch_is_what_it_is_alone(rounds: list[list[Any]], latency: str) -> None:
    batch = ToneStreamer().stream_batch(3, latency)
    singles = [ToneStreamer().stream(latency) for _ in range(3)]
    for chunks in rounds:
        updates = batch.push(chunks)
        for update, chunk, single in zip(updates, chunks, singles, strict=True):
            if chunk is not None:
                assert update == single.push(chunk)
            else:
                assert (update.final, update.events) == ((), ())
    assert batch.finish() == [single.finish() for single in singles]


def test_sessions_that_are_ready_step_together() -> None:
    model = ToneStreamer()
    batch = model.stream_batch(3, "0.1s")
    batch.push([TALK[: 3 * FRAME], TALK[: 2 * FRAME], TALK[: FRAME // 2]])
    assert [count for count, _, _ in model.forwards] == [2, 2, 1]
    assert (batch.steps, len(batch)) == (3, 3)
    batch.finish()
    assert model.forwards[-1][0] == 3


def test_one_of_a_batch_ends_or_begins_anew_while_the_others_go_on() -> None:
    batch = ToneStreamer().stream_batch(2, "0.5s")
    whole: list[StreamingUpdate] = batch.push([OTHER, TALK[:RATE]])[1:]
    first, second = batch.finish(0)
    assert (first.time, first.final_until, first.tentative) == (3.5, 3.5, ())
    assert second.time == 1.0
    with pytest.raises(InputError, match=r"is finished: call reset\(\)"):
        batch.push([OTHER, None])
    whole += batch.push([None, TALK[RATE : 2 * RATE]])[1:]
    batch.reset(0)
    again, more = batch.push([OTHER, TALK[2 * RATE :]])
    ended = batch.finish()
    assert joined([again, ended[0]]) == alone(OTHER, "0.5s")
    assert joined([*whole, more, ended[1]]) == alone(TALK, "0.5s")
    assert batch.stats.audio_seconds == pytest.approx(3.5 + 3.5 + SECONDS)
    assert [update.final for update in batch.finish()] == [(), ()]
    batch.reset()
    assert batch.stats.audio_seconds == batch.steps == 0


def test_a_bad_chunk_for_one_leaves_all_as_they_were() -> None:
    batch = ToneStreamer().stream_batch(2, "0.1s")
    broken = OTHER.copy()
    broken[100] = np.nan
    with pytest.raises(InputError, match=r"nan at 0\.0063 s"):
        batch.push([TALK, broken])
    with pytest.raises(InputError, match="Got 1 chunks for 2 sessions"):
        batch.push([TALK])
    with pytest.raises(InputError, match="index=2: give the number of a session, 0 to 1"):
        batch.finish(2)
    pushed, ended = batch.push([TALK, OTHER]), batch.finish()
    found = [joined(row) for row in zip(pushed, ended, strict=True)]
    assert found == [alone(TALK, "0.1s"), alone(OTHER, "0.1s")]


def test_a_bad_chunk_changes_nothing() -> None:
    session = ToneStreamer().stream("0.1s")
    updates = [session.push(TALK[:RATE])]
    for bad in (np.array([0.0, np.inf]), np.zeros((1, 2, 3)), "a.wav", np.zeros(3, np.int64), None):
        with pytest.raises(InputError):
            session.push(bad, lost=1.0, overrun=True)
    with pytest.raises(InputError, match="lost=-1"):
        session.push(TALK, lost=-1)
    assert joined([*updates, *run(session, [TALK[RATE:]])]) == alone(TALK, "0.1s")


@pytest.mark.parametrize("as_chunk", [True, False])
def test_a_gap_keeps_the_clock_true(as_chunk: bool) -> None:
    lost = 0.73
    silence = np.zeros(round(lost * RATE), np.float32)
    with_silence = np.concatenate([TALK[:RATE], silence, TALK[RATE:]])
    session = ToneStreamer().stream("0.1s")
    first = session.push(TALK[:RATE])
    second = session.push(SampleChunk(TALK[RATE:], lost)) if as_chunk else session.push(TALK[RATE:], lost=lost)
    assert [(event.kind, event.time, event.seconds) for event in second.events] == [("gap", 1.0, lost)]
    assert second.time == pytest.approx(SECONDS + lost)
    assert joined([first, second, session.finish()]) == alone(with_silence, "0.1s")


def test_losses_of_a_chunk_and_of_its_push_add_up() -> None:
    session = ToneStreamer().stream()
    update = session.push(SampleChunk(TALK[:0], 0.25, True), lost=0.5)
    assert update.time == 0.75
    assert [(event.kind, event.seconds) for event in update.events] == [("gap", 0.75), ("overrun", 0.0)]


def test_a_finished_session_begins_anew_only_when_told_to() -> None:
    session = ToneStreamer().stream("0.5s")
    before = run(session, [TALK])
    calls: list[Callable[[], Any]] = [lambda: session.push(TALK), session.finish]
    for call in calls:
        with pytest.raises(InputError, match=r"The session is finished: call reset\(\)"):
            call()
    session.reset()
    assert session.stats.audio_seconds == session.stats.steps == 0
    assert run(session, [TALK]) == before


def test_reset_forgets_what_was_pushed() -> None:
    session = ToneStreamer().stream("2s")
    session.push(TALK[:50_001])
    session.reset()
    assert joined(run(session, [OTHER])) == alone(OTHER, "2s")


def test_a_session_lets_go_of_its_memory() -> None:
    with ToneStreamer().stream() as session:
        session.push(TALK)
    with pytest.raises(InputError, match=r"is closed: call reset\(\)"):
        session.push(TALK)
    with ToneStreamer().stream_batch(2) as batch:
        batch.push([TALK, None])
    with pytest.raises(InputError, match="is closed"):
        batch.finish()
    session.reset()
    assert joined(run(session, [TALK])) == alone(TALK, "0.5s")


def test_stats_tell_latency_and_compute_apart() -> None:
    session = ToneStreamer().stream("0.5s", sample_rate=RATE)
    empty = session.stats
    assert (empty.audio_seconds, empty.compute_seconds, empty.steps) == (0, 0, 0)
    assert (empty.step_p50, empty.step_p95, empty.real_time_factor) == (0, 0, 0)
    run(session, [TALK])
    stats = session.stats
    assert stats.latency_seconds == session.latency_seconds == pytest.approx(0.5)
    assert stats.audio_seconds == len(TALK) / RATE
    assert stats.steps == session.steps == 20
    assert 0 < stats.step_p50 <= stats.step_p95 <= stats.compute_seconds
    assert stats.real_time_factor == pytest.approx(stats.compute_seconds / stats.audio_seconds)


def test_a_model_that_returns_too_few_steps_is_an_error() -> None:
    class Short(Told):
        def _stream_step(self, *args: Any) -> list[StreamStep]:
            return super()._stream_step(*args)[:1]

    with pytest.raises(ModelError, match=r"Short\._stream_step returned 1 steps for 2 recordings"):
        Short().stream_batch(2).push([TALK, TALK])


def test_a_step_that_fails_stops_the_sessions_that_were_in_it() -> None:
    class Failing(Told):
        def _stream_step(self, *args: Any) -> list[StreamStep]:
            raise MemoryError("full")

    model = Failing()
    batch = model.stream_batch(2)
    with pytest.raises(MemoryError, match="full"):
        batch.push([TALK, None])
    assert not torch.is_inference_mode_enabled()
    with pytest.raises(InputError, match="broke off in the middle of a step"):
        batch.push([TALK, None])
    assert batch.push([None, TALK[:10]])[1].time == 10 / RATE
    batch.reset(0)
    assert batch.push([TALK[:10], None])[0].time == 10 / RATE
