"""The template of chunk-wise networks: files and streams agree, recordings are stepped side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from speakerdiar.config import DiarizeConfig
from speakerdiar.errors import SpeakerCountError
from speakerdiar.mixins.frame_streaming import FrameStreamingMixin
from speakerdiar.postprocessing.live import LiveTurns
from speakerdiar.updates import joined

RATE = 16000


@dataclass(frozen=True)
class _Preset:
    samples: int

    @property
    def seconds(self) -> float:
        return self.samples / RATE


@dataclass
class _State:
    need: int
    most: int
    live: LiveTurns
    samples: int = 0


class LevelDiarizer(FrameStreamingMixin):
    """Speaker 0 is above 0, speaker 1 below it; a score each 0.1 s. Notes what was stepped together."""

    LATENCIES = {"1s": _Preset(RATE), "0.3s": _Preset(4800)}
    DEFAULT_LATENCY = "0.3s"
    FILE_LATENCY = "1s"
    FRAME_SECONDS = 0.1
    sample_rate = RATE
    speakers = 2

    def __init__(self, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self.steps: list[tuple[list[int], bool]] = []

    def _begin(self, preset: _Preset, diarcfg: DiarizeConfig, most: int | None) -> _State:
        return _State(preset.samples, 2 if most is None else most, self._live_turns(diarcfg))

    def _stream_need(self, state: _State) -> int:
        return state.need

    def _advance(self, states: Sequence[_State], blocks: Sequence[np.ndarray], last: bool) -> list[NDArray[np.float32]]:
        self.steps.append(([len(block) for block in blocks], last))
        return [self._scores(state, block) for state, block in zip(states, blocks, strict=True)]

    def _scores(self, state: _State, block: np.ndarray) -> NDArray[np.float32]:
        state.samples += len(block)
        level = np.array([part.mean() for part in np.split(block, range(1600, len(block), 1600)) if len(part)])
        scores = np.stack([level, -level], axis=1) if len(level) else np.zeros((0, 2))
        scores[:, state.most :] = 0
        return (scores > 0).astype(np.float32)


def levels(*parts: tuple[float, float]) -> NDArray[np.float32]:
    return np.concatenate([np.full(round(seconds * RATE), level, np.float32) for seconds, level in parts])


TALK = levels((0.5, 0), (1.2, 0.5), (0.6, -0.5), (1.0, 0.5), (0.25, -0.5))


def turns(result: Any) -> list[tuple[float, float, str]]:
    return [(turn.start, turn.end, turn.speaker) for turn in result]


def test_turns_of_a_file() -> None:
    [found] = LevelDiarizer().diarize((TALK, RATE))
    assert found.duration == 3.55
    assert turns(found) == [
        (0.5, 1.7, "SPEAKER_00"),
        (1.7, 2.3, "SPEAKER_01"),
        (2.3, 3.3, "SPEAKER_00"),
        (3.3, 3.55, "SPEAKER_01"),
    ]


@pytest.mark.parametrize("options", [{}, {"include_tensor_outputs": True}, {"confidence": True}])
def test_a_stream_comes_to_the_file(options: dict[str, Any]) -> None:
    model = LevelDiarizer()
    [whole] = model.diarize((TALK, RATE), latency="0.3s", **options)
    session = model.stream(**options)
    updates = [*(session.push(piece) for piece in np.split(TALK, [7, 9000, 30000])), session.finish()]
    assert joined(updates, whole.recording_id).turns == whole.turns
    assert (whole.scores is not None) == ("include_tensor_outputs" in options)


def test_the_recordings_own_count_counts() -> None:
    [found] = LevelDiarizer().diarize({"audio": TALK, "sample_rate": RATE, "num_speakers": 1})
    assert found.speakers == ("SPEAKER_00",)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_recordings_are_stepped_side_by_side_on_a_gpu_alone(device: str) -> None:
    model = LevelDiarizer(device)
    short, empty = TALK[: 2 * RATE], TALK[:0]
    results = model.diarize([TALK, short, empty], sample_rate=RATE, batch_size=3)
    one = RATE
    if device == "cpu":
        whole = [([one], False)] * 3 + [([8800], True)]
        assert model.steps == [*whole, ([one], False), ([one], False), ([0], True), ([0], True)]
    else:
        assert model.steps == [
            ([one, one], False),
            ([0], True),
            ([one, one], False),
            ([one], False),
            ([0], True),
            ([8800], True),
        ]
    assert [result.duration for result in results] == [3.55, 2.0, 0.0]
    assert [turns(result) for result in results] == [
        turns(LevelDiarizer().diarize((samples, RATE))[0]) for samples in (TALK, short, empty)
    ]


def test_scores_are_kept_only_where_they_are_asked_for() -> None:
    told: list[tuple[Any, ...]] = []
    LevelDiarizer().diarize((TALK, RATE), hook=lambda *progress: told.append(progress))
    assert [(stage, artifact, done) for stage, artifact, done, _ in told] == [
        ("scores", None, 1.0),
        ("scores", None, 2.0),
        ("scores", None, 3.0),
        ("scores", None, 3.55),
    ]
    LevelDiarizer().diarize((TALK, RATE), hook=lambda *progress: told.append(progress), confidence=True)
    assert len(told[-1][1]) == 36


@pytest.mark.parametrize("options", [{"num_speakers": 3}, {"min_speakers": 4}])
def test_more_speakers_than_the_network_has_channels_are_refused_at_the_call(options: dict[str, Any]) -> None:
    model = LevelDiarizer()
    silence = np.zeros(RATE, dtype=np.float32)
    with pytest.raises(SpeakerCountError, match="at most 2 apart"):
        model.diarize(silence, sample_rate=RATE, **options)
    with pytest.raises(SpeakerCountError, match="at most 2 apart"):
        model.stream(**options)
    assert model.steps == []
    assert model.diarize(silence, sample_rate=RATE, max_speakers=9)
