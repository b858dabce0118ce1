"""A first pass, and a second one that looks for the voices that it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from fakes import RATE, STEP, ToneDiarizer, tones
from fakes_roles import FakeEmbedder

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.config import DiarizeConfig
from speakerdiar.errors import ConfigError
from speakerdiar.frames import FrameGrid, FrameScores
from speakerdiar.mixins import SpkDiarizationMixin
from speakerdiar.mixins.blockwise import BlockwiseDiarizationMixin, Heard, Job
from speakerdiar.mixins.results import finished
from speakerdiar.models.diarizers.refine import RefineDiarizer
from speakerdiar.postprocessing.binarize import to_turns

TALK = [(0.5, 4.0, 0), (3.0, 6.5, 1), (7.0, 9.0, 2)]


@dataclass
class ProfileConfig(DiarizeConfig):
    """Options of what looks for profiles."""

    profiles: Any = None
    """Vectors by name."""


@dataclass(frozen=True, kw_only=True)
class _Turns(Heard):
    turns: tuple[Turn, ...]


class Scripted(BlockwiseDiarizationMixin):
    """Says what it is told to, whatever it hears, and remembers what it was asked."""

    DIARIZE_CONFIG: ClassVar[type[DiarizeConfig]] = ProfileConfig
    sample_rate = RATE

    def __init__(self, *answers: Sequence[Turn], capacity: int | None = None) -> None:
        self.answers: list[Sequence[Turn]] = list(answers)
        self.asked: list[Any] = []
        self.heard: list[Any] = []
        self.capacity = capacity
        self.embedder = FakeEmbedder()

    @property
    def speaker_capacity(self) -> int | None:
        return self.capacity

    def _hear(self, jobs: Sequence[Job]) -> list[_Turns]:
        return [self._answer(job) for job in jobs]

    def _answer(self, job: Job) -> _Turns:
        self.asked.append(job.diarcfg)
        self.heard.append(job.recording)
        turns = self.answers[min(len(self.asked), len(self.answers)) - 1]
        return _Turns(recording=replace(job.recording, duration=10.0), turns=tuple(turns))

    def _decide(self, heard: _Turns, diarcfg: DiarizeConfig) -> Diarization:
        foreign = {turn.speaker: np.ones(3, np.float32) for turn in heard.turns}
        return finished(heard.recording, heard.turns, diarcfg, named=True, embeddings=foreign)


class ToneFinder(ToneDiarizer):
    """Looks for the tones whose profiles it is given."""

    DIARIZE_CONFIG: ClassVar[type[DiarizeConfig]] = ProfileConfig

    def __init__(self) -> None:
        super().__init__()
        self.embedder = FakeEmbedder()

    def _diarize_output_processing(self, outputs: Any, uniq_ids: list[str], diarcfg: Any) -> list[Diarization]:
        names, vectors = list(diarcfg.profiles), np.stack(list(diarcfg.profiles.values()))
        tone = np.stack([self.embedder.embed(tones([(0, 1, k)], 1.0))[0] for k in range(4)])
        columns = (vectors @ tone.T).argmax(axis=1)
        found = []
        for scores, id in zip(outputs, uniq_ids, strict=True):
            wanted = FrameScores(scores[:, columns].numpy(), FrameGrid(STEP), tuple(names))
            found.append(finished(diarcfg._internal.recordings[id], to_turns(wanted), diarcfg, named=True))
        return found


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    return tones(TALK, 10.0)


def first_pass(*turns: tuple[float, float, str]) -> Scripted:
    return Scripted([Turn(*turn) for turn in turns])


def spans(result: Diarization) -> dict[str, list[tuple[float, float]]]:
    return {name: [(t.start, t.end) for t in result if t.speaker == name] for name in result.speakers}


def test_the_second_pass_decides_who_talks_when(talk: np.ndarray) -> None:
    rough = first_pass((1.0, 2.5, "x"), (4.5, 6.0, "y"), (7.0, 8.5, "z"))
    [found] = RefineDiarizer(rough, ToneFinder()).diarize(talk, sample_rate=RATE)
    assert spans(found) == {
        "SPEAKER_00": [(0.5, 4.0)],
        "SPEAKER_01": [(3.0, 6.5)],
        "SPEAKER_02": [(7.0, 9.0)],
    }
    assert set(found.embeddings) == set(found.speakers)


def test_profiles_are_of_what_each_says_alone(talk: np.ndarray) -> None:
    second = Scripted([])
    rough = first_pass((0.5, 3.0, "x"), (3.0, 4.0, "x"), (3.0, 6.5, "y"))
    RefineDiarizer(rough, second).diarize(talk, sample_rate=RATE)
    given = second.asked[0].profiles
    assert list(given) == ["spk1", "spk2"]
    embedder = FakeEmbedder()
    assert given["spk1"] == pytest.approx(embedder.embed(talk[RATE // 2 : 3 * RATE])[0])
    assert given["spk2"] == pytest.approx(embedder.embed(talk[4 * RATE : round(6.5 * RATE)])[0])


def test_who_has_too_little_speech_alone_keeps_the_first_turns(talk: np.ndarray) -> None:
    second = Scripted([Turn(0.4, 4.1, "spk1")])
    rough = first_pass((0.5, 4.0, "x"), (1.0, 2.5, "under"), (7.0, 7.8, "short"))
    [found] = RefineDiarizer(rough, second).diarize(talk, sample_rate=RATE)
    assert list(second.asked[0].profiles) == ["spk1"]
    assert spans(found) == {
        "SPEAKER_00": [(0.4, 4.1)],
        "SPEAKER_01": [(1.0, 2.5)],
        "SPEAKER_02": [(7.0, 7.8)],
    }
    [found] = RefineDiarizer(first_pass((7.0, 7.8, "short")), second).diarize(talk, sample_rate=RATE)
    assert spans(found) == {"SPEAKER_00": [(7.0, 7.8)]}
    assert len(second.asked) == 1


def test_the_most_talkative_are_looked_for(talk: np.ndarray) -> None:
    second = Scripted([Turn(0.5, 4.0, "spk1")], capacity=2)
    rough = first_pass((0.5, 1.6, "x"), (2.0, 5.0, "y"), (7.0, 9.0, "z"))
    [found] = RefineDiarizer(rough, second).diarize(talk, sample_rate=RATE)
    given = second.asked[0].profiles
    assert given["spk1"] == pytest.approx(FakeEmbedder().embed(talk[2 * RATE : 5 * RATE])[0])
    assert given["spk2"] == pytest.approx(FakeEmbedder().embed(talk[7 * RATE : 9 * RATE])[0])
    assert spans(found) == {"SPEAKER_00": [(0.5, 1.6)], "SPEAKER_01": [(0.5, 4.0)]}


def test_embeddings_are_the_profiles(talk: np.ndarray) -> None:
    rough = first_pass((0.5, 4.0, "x"), (7.0, 7.8, "short"))
    model = RefineDiarizer(rough, Scripted([Turn(0.4, 4.1, "spk1")]))
    [found] = model.diarize(talk, sample_rate=RATE)
    assert {name: len(vector) for name, vector in found.embeddings.items()} == {"SPEAKER_00": 48}
    [unrefined] = RefineDiarizer(first_pass((7.0, 7.8, "short")), Scripted([])).diarize(talk, sample_rate=RATE)
    assert unrefined.embeddings == {}


def test_what_a_recording_says_of_its_speakers_is_for_the_first_pass(talk: np.ndarray) -> None:
    first, second = first_pass((0.5, 4.0, "x")), Scripted([Turn(0.5, 4.0, "spk1")])
    told = {"audio": talk, "sample_rate": RATE, "num_speakers": 2, "profiles": {"Ana": np.ones(48)}}
    RefineDiarizer(first, second).diarize(told)
    assert (first.heard[0].num_speakers, second.heard[0].num_speakers, second.heard[0].extra) == (2, None, {})


def test_nobody_found_is_nobody(talk: np.ndarray) -> None:
    second = Scripted([Turn(0.5, 4.0, "spk1")])
    [found] = RefineDiarizer(first_pass(), second).diarize(talk, sample_rate=RATE)
    assert not found
    assert second.asked == []


def test_whom_the_second_pass_doesnt_hear_is_gone(talk: np.ndarray) -> None:
    [found] = RefineDiarizer(first_pass((0.5, 4.0, "x")), Scripted([])).diarize(talk, sample_rate=RATE)
    assert not found


def test_rounds_end_when_nothing_changes(talk: np.ndarray) -> None:
    second = Scripted([Turn(0.5, 2.0, "spk1")], [Turn(0.5, 3.0, "spk1")], [Turn(0.5, 3.0, "spk1")])
    [found] = RefineDiarizer(first_pass((0.5, 4.0, "x")), second, rounds=9).diarize(talk, sample_rate=RATE)
    assert len(second.asked) == 3
    assert spans(found) == {"SPEAKER_00": [(0.5, 3.0)]}


def test_counts_and_post_processing_go_to_the_first_pass(talk: np.ndarray) -> None:
    first, second = first_pass((0.5, 4.0, "x")), Scripted([Turn(0.5, 4.0, "spk1")])
    options: dict[str, Any] = {"max_speakers": 3, "postprocessing_params": {"onset": 0.7}, "confidence": True}
    RefineDiarizer(first, second).diarize(talk, sample_rate=RATE, **options)
    asked, refined = first.asked[0], second.asked[0]
    assert (asked.max_speakers, asked.postprocessing_params.onset, asked.confidence) == (3, 0.7, True)
    assert (refined.max_speakers, refined.postprocessing_params.onset, refined.confidence) == (None, 0.5, True)


def test_the_recordings_clock_is_kept(talk: np.ndarray) -> None:
    rough = first_pass((1.0, 2.5, "x"), (4.5, 6.0, "y"))
    model = RefineDiarizer(rough, ToneFinder())
    [found] = model.diarize({"audio": talk, "sample_rate": RATE, "offset": 0.5, "uniq_id": "part"})
    assert (found.recording_id, found.offset) == ("part", 0.5)
    assert found.turns[0].start == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"first": "embedded"}, "first='embedded': give a diarizer"),
        ({"second": ToneDiarizer()}, "second: ToneDiarizer takes no profiles"),
        ({"rounds": 0}, "rounds=0"),
        ({"least_seconds": -1}, "least_seconds=-1"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        RefineDiarizer(**{"first": ToneDiarizer(), "second": ToneFinder(), **options})


def test_an_embedder_is_needed() -> None:
    second: SpkDiarizationMixin = ToneFinder()
    second.embedder = None  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="has no embedder"):
        RefineDiarizer(ToneDiarizer(), second)
    assert isinstance(RefineDiarizer(ToneDiarizer(), second, embedder=FakeEmbedder()).embedder, FakeEmbedder)
