"""ClusteringDiarizer live: what is final stays, cuts change nothing, and relabelling is announced."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from fakes import RATE, tones
from fakes_live import check_promises, stream
from fakes_roles import FakeEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import speakerdiar
from speakerdiar import Turn
from speakerdiar.audio import load
from speakerdiar.clustering.base import ClustererMixin
from speakerdiar.config import SpeakerCount
from speakerdiar.errors import ConfigError
from speakerdiar.metrics import der
from speakerdiar.models.diarizers.clustering import ClusteringDiarizer
from speakerdiar.models.diarizers.online_clustering import OnlineLatency
from speakerdiar.updates import StreamingUpdate, joined

DATA = Path(__file__).resolve().parents[3] / "examples/data"
TALK = tones([(0.3, 4, 0), (4.2, 9, 1), (9.8, 12, 0), (12, 15, 2), (15.2, 18.5, 1)], 19.0)


def diarizer(clusterer: str | ClustererMixin = "ahc") -> ClusteringDiarizer:
    return ClusteringDiarizer("energy", FakeEmbedder(), clusterer)


@cache
def embedded() -> Any:
    return speakerdiar.load_model()


@cache
def conversation() -> NDArray[np.float32]:
    return load(str(DATA / "conversation.flac"))


@pytest.mark.parametrize("latency", [*ClusteringDiarizer.LATENCIES, OnlineLatency(0.7, 0.4)])
def test_finals_never_change(latency: Any) -> None:
    updates = stream(diarizer(), TALK, latency)
    check_promises(updates, 19.0)
    found = joined(updates)
    for time, who in ((1, 0), (6, 1), (11, 0), (14.3, 2), (18, 1)):  # a new voice is held back for a moment
        assert [turn.speaker for turn in found if turn.start <= time < turn.end] == [f"SPEAKER_0{who}"]
    assert len(found.speakers) == 3


def test_with_time_to_wait_every_border_is_right() -> None:
    found = joined(stream(diarizer(), TALK, "5s"))
    assert [turn.speaker for turn in found] == [f"SPEAKER_0{who}" for who in (0, 1, 0, 2, 1)]
    starts = [turn.start for turn in found]
    assert starts == pytest.approx([0.3, 4.2, 9.8, 12.0, 15.2], abs=0.45)


@pytest.mark.parametrize("latency", [*ClusteringDiarizer.LATENCIES, "1.04s", OnlineLatency(0.7, 0.4)])
def test_a_moment_is_decided_within_the_latency(latency: Any) -> None:
    model = diarizer()
    for update in stream(model, TALK, latency, chunk=160):
        # Of a stretch of speech, the first 0.35 s may be none, and whether it is over shows after half a second.
        assert update.time - update.final_until <= max(model.latency_seconds(latency), 0.8) + 0.01 + 1e-6


@settings(max_examples=8)
@given(cuts=st.lists(st.integers(0, len(TALK)), max_size=12), latency=st.sampled_from(["1s", "1.04s", "2s", "5s"]))
def test_cuts_change_nothing(cuts: list[int], latency: str) -> None:
    model = diarizer()
    session = model.stream(latency)
    updates = [session.push(part) for part in np.split(TALK, sorted(cuts))]
    updates.append(session.finish())
    [whole] = model.diarize(TALK, sample_rate=RATE, latency=latency)
    assert joined(updates).turns == whole.turns
    assert whole.turns


def test_a_batch_gives_what_each_gives_alone() -> None:
    model = diarizer()
    talks = [TALK, TALK[RATE * 4 :], np.zeros(RATE, np.float32)]
    batch = model.stream_batch(3, "2s")
    found: list[list[StreamingUpdate]] = [[], [], []]
    for start in range(0, len(TALK), 7000):
        chunks = [talk[start : start + 7000] for talk in talks]
        for mine, update in zip(found, batch.push(chunks), strict=True):
            mine.append(update)
    for mine, update in zip(found, batch.finish(), strict=True):
        mine.append(update)
    for mine, talk in zip(found, talks, strict=True):
        assert joined(mine).turns == joined(stream(model, talk, "2s")).turns


def test_parts_of_a_recording_keep_its_clock() -> None:
    recording = {"audio": TALK, "sample_rate": RATE, "offset": 4.0, "duration": 10.0}
    [part] = diarizer().diarize(recording, latency="2s", verbose=False)
    [alone] = diarizer().diarize(TALK[4 * RATE : 14 * RATE], sample_rate=RATE, latency="2s")
    assert part.turns == tuple(Turn(t.start + 4, t.end + 4, t.speaker) for t in alone)


def test_the_real_model_keeps_the_promises() -> None:
    audio = conversation()[: 16 * RATE]
    updates = stream(embedded(), audio)
    check_promises(updates, 16.0)
    assert joined(updates).turns == embedded().diarize(audio, sample_rate=RATE, latency="2s")[0].turns


def test_the_conversation_has_four_speakers() -> None:
    [reference] = speakerdiar.load(DATA / "conversation.rttm")
    [found] = embedded().diarize(str(DATA / "conversation.flac"), latency="2s")
    assert len(found.speakers) == 4
    assert der(reference, found).rate < 0.2


def test_without_latency_nothing_is_online() -> None:
    audio = conversation()[: 8 * RATE]
    [offline] = embedded().diarize(audio, sample_rate=RATE, include_tensor_outputs=True)
    assert offline.scores is not None


@pytest.mark.parametrize("seconds", [0.0, 0.01, 3.0])
def test_silence_gives_nothing(seconds: float) -> None:
    silence = np.zeros(round(seconds * RATE), np.float32)
    for model in (diarizer(), embedded()):
        updates = stream(model, silence, "1s")
        assert not joined(updates).turns
        assert not any(update.tentative for update in updates)


def test_a_gap_is_told_of_and_makes_nobody_forgotten() -> None:
    session = diarizer().stream("2s")
    first = session.push(tones([(0.2, 4, 0), (4, 8, 1)], 8.5))
    second = session.push(tones([(0.2, 3, 1), (3, 6, 0)], 6.5), lost=60.0)
    updates = [first, second, session.finish()]
    assert [(event.kind, event.time, event.seconds) for event in second.events] == [("gap", 8.5, 60.0)]
    turns = joined(updates).turns
    assert [turn.speaker for turn in turns] == ["SPEAKER_00", "SPEAKER_01", "SPEAKER_01", "SPEAKER_00"]
    assert turns[2].start == pytest.approx(68.7, abs=0.2)


@pytest.mark.parametrize("option", ["max_speakers", "num_speakers"])
@pytest.mark.parametrize("most", [1, 2])
def test_never_more_speakers_than_asked_for(option: str, most: int) -> None:
    options: dict[str, Any] = {option: most}
    updates = stream(diarizer(), TALK, **options)
    named = {turn.speaker for update in updates for turn in (*update.final, *update.tentative)}
    assert len(named) == most
    [found] = diarizer().diarize(TALK, sample_rate=RATE, latency="2s", **options)
    assert len(found.speakers) == most


def test_confidence_is_how_alike_windows_sound() -> None:
    updates = stream(diarizer(), TALK, confidence=True)
    sure = [turn.confidence or 0.0 for turn in joined(updates)]
    assert all(0 < one <= 1 for one in sure)
    assert min(sure[:2]) > 0.8
    assert all(turn.confidence is None for update in stream(diarizer(), TALK) for turn in update.tentative)


class Wavering(ClustererMixin):
    """Hears two speakers, one after the other, and after 30 windows is sure that they are one."""

    knows_time: ClassVar[bool] = True
    sure = False

    def _cluster(self, embeddings: NDArray[Any], count: SpeakerCount) -> NDArray[np.int64]:
        self.sure = self.sure or len(embeddings) >= 30
        return np.asarray((np.arange(len(embeddings)) >= 10) & (not self.sure), np.int64)


def test_relabelling_is_announced() -> None:
    updates = stream(diarizer(Wavering()), tones([(0.2, 30, 0)], 31.0))
    told = [update for update in updates if update.relabelled]
    assert [dict(update.relabelled) for update in told] == [{"SPEAKER_01": "SPEAKER_00"}]
    assert [event.kind for event in told[0].events] == ["relabelled"]
    before = updates[: updates.index(told[0])]
    assert {"SPEAKER_00", "SPEAKER_01"} == {turn.speaker for update in before for turn in update.tentative}
    after = [turn for update in updates[len(before) :] for turn in (*update.final, *update.tentative)]
    assert {turn.speaker for turn in after} == {"SPEAKER_00"}
    [whole] = diarizer(Wavering()).diarize(tones([(0.2, 30, 0)], 31.0), sample_rate=RATE, latency="2s")
    assert joined(updates).turns == whole.turns
    assert whole.speakers == ("SPEAKER_00",)


def test_memory_does_not_grow() -> None:
    model = diarizer()
    state = model._stream_begin(model.LATENCIES["5s"], model._diarize_config(None, {}))
    talk = np.tile(TALK, 8)
    held = []
    while len(talk) >= state.need:
        block, talk = talk[: state.need], talk[state.need :]
        state.step(block, last=False)
        held.append((len(state.audio.samples), len(state._waiting), len(state._closed), len(state._clusterer)))
    samples, waiting, closed, remembered = np.max(held, axis=0)
    assert samples <= 4.5 * RATE
    assert waiting <= 20
    assert closed <= 5
    assert remembered <= 150 + 3 * 20 + 20


def test_presets() -> None:
    model = diarizer()
    assert {name: model.latency_seconds(name) for name in model.LATENCIES} == {"1s": 1.0, "2s": 2.0, "5s": 5.0}
    assert model.stream().latency_seconds == 2.0
    with pytest.raises(ConfigError, match=r"Presets: 5s, 2s, 1s"):
        model.stream("soon")
    assert model.latency_seconds("1.04s") == pytest.approx(1.04)
    assert model.latency_seconds({"step": 0.5, "wait": 1.0}) == model.latency_seconds(OnlineLatency(0.5, 1.0)) == 1.5
    with pytest.raises(ConfigError, match="lacks wait"):
        model.stream({"step": 0.5})
    for seconds in ("0.3s", "61s"):
        with pytest.raises(ConfigError, match=r"give from 0\.4 to 60 seconds"):
            model.stream(seconds)
    for step, wait in ((0.0, 1.0), (float("nan"), 1.0), (1.0, -1.0)):
        with pytest.raises(ConfigError, match="give seconds"):
            OnlineLatency(step, wait)
