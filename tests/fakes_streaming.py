"""A weightless diarizer that streams, with context on both sides, and one that says what it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from fakes import FRAME, STEP, TONES, ToneDiarizer

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.config import DiarizeConfig
from speakerdiar.frames import FrameGrid, FrameScores
from speakerdiar.mixins import StreamingMixin, StreamStep
from speakerdiar.mixins.results import scores_to_diarization


@dataclass(frozen=True)
class TonePreset:
    """Frames of a step, and frames of context on its right and on its left."""

    chunk: int
    right: int
    left: int

    @property
    def seconds(self) -> float:
        return (self.chunk + self.right) * STEP


@dataclass
class ToneState:
    preset: TonePreset
    most: int
    levels: np.ndarray = field(default_factory=lambda: np.zeros((0, len(TONES)), np.float32))  # left context on
    first: int = 0  # frame that levels[0] belongs to
    decided: int = 0  # frames
    names: dict[int, str] = field(default_factory=dict)  # of tones, by first appearance
    since: dict[int, float] = field(default_factory=dict)  # of tones that sound


class ToneStreamer(ToneDiarizer, StreamingMixin):
    """Hears the same tones live: a frame counts by the mean loudness of the frames around it.

    Asked for a preset, `diarize` looks at the whole recording at once, in the same way.
    """

    LATENCIES: ClassVar[dict[str, TonePreset]] = {
        "0.1s": TonePreset(1, 0, 1),
        "0.5s": TonePreset(3, 2, 2),
        "2s": TonePreset(17, 3, 5),
    }
    DEFAULT_LATENCY = "0.5s"

    def __init__(self) -> None:
        super().__init__()
        self.forwards: list[tuple[int, bool, bool]] = []  # recordings, in training mode, in inference mode

    def _diarize_forward(self, batch: Any) -> torch.Tensor:
        return torch.stack([super()._diarize_forward(batch), self.levels(batch[0])], dim=1)

    def _diarize_output_processing(
        self, outputs: torch.Tensor, uniq_ids: list[str], diarcfg: DiarizeConfig
    ) -> list[Diarization]:
        scores, levels = outputs.unbind(1)
        if diarcfg.latency is None:
            return super()._diarize_output_processing(scores, uniq_ids, diarcfg)
        preset = self._stream_preset(diarcfg.latency)
        assert diarcfg._internal is not None
        results = []
        for heard, id in zip(levels.numpy(), uniq_ids, strict=True):
            recording = diarcfg._internal.recordings[id]
            frames = FrameGrid(STEP).count(recording.duration or 0.0)
            smooth = self._smooth(heard[:frames], 0, range(frames), preset)
            results.append(scores_to_diarization(recording, FrameScores(smooth, FrameGrid(STEP)), diarcfg))
        return results

    def _stream_begin(self, preset: TonePreset, diarcfg: DiarizeConfig) -> ToneState:
        return ToneState(preset, diarcfg.speaker_count.clip(len(TONES)))

    def _stream_need(self, state: ToneState) -> int:
        frames = state.preset.chunk + (0 if state.decided else state.preset.right)
        return frames * FRAME

    def _stream_step(self, states: Sequence[ToneState], blocks: Sequence[np.ndarray], last: bool) -> list[StreamStep]:
        self.forwards.append((len(states), self.dropout.training, torch.is_inference_mode_enabled()))
        padded = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(block) for block in blocks], batch_first=True)
        levels = self.levels(padded).numpy()  # (B, T, S)
        heard = [row[: -(-len(block) // FRAME)] for row, block in zip(levels, blocks, strict=True)]
        return [self._step(state, row, last) for state, row in zip(states, heard, strict=True)]

    def _step(self, state: ToneState, heard: np.ndarray, last: bool) -> StreamStep:
        state.levels = np.concatenate([state.levels, heard])
        known = state.first + len(state.levels)
        frames = range(state.decided, known if last else known - state.preset.right)
        scores = self._smooth(state.levels, state.first, frames, state.preset)
        final = [turn for frame, row in zip(frames, scores > 0.5, strict=True) for turn in _heard(state, frame, row)]
        state.decided = frames.stop
        if last:
            final += _heard(state, state.decided, np.zeros(len(TONES), bool))
        first = max(state.first, state.decided - state.preset.left)
        state.levels, state.first = state.levels[first - state.first :], first
        until = state.decided * STEP
        tentative = tuple(Turn(since, until, state.names[tone]) for tone, since in state.since.items())
        return StreamStep(tuple(final), tentative, until)

    def _smooth(self, levels: np.ndarray, first: int, frames: range, preset: TonePreset) -> np.ndarray:
        """Scores of frames (T, S) from the mean loudness around each; `levels` begin with frame `first`."""
        means = [levels[max(0, t - preset.left - first) : t + preset.right + 1 - first].mean(axis=0) for t in frames]
        if not means:
            return np.zeros((0, len(TONES)), np.float32)
        with torch.inference_mode():
            return np.asarray(self.scores(torch.from_numpy(np.stack(means))))


def _heard(state: ToneState, frame: int, active: np.ndarray) -> list[Turn]:
    """Note who is active in a frame; return the turns that end with it."""
    ended = []
    for tone, sounds in enumerate(active):
        if sounds and tone not in state.names and len(state.names) < state.most:
            state.names[tone] = f"SPEAKER_{len(state.names):02d}"
        if sounds and tone in state.names:
            state.since.setdefault(tone, frame * STEP)
        elif tone in state.since:
            ended.append(Turn(state.since.pop(tone), frame * STEP, state.names[tone]))
    return ended


class Told(ToneDiarizer, StreamingMixin):
    """Gives the steps that it was told, one every tenth of a second, and what it was told for the last one."""

    LATENCIES: ClassVar[dict[str, TonePreset]] = {"0.1s": TonePreset(1, 0, 0)}
    DEFAULT_LATENCY = "0.1s"

    def __init__(self, *steps: StreamStep, last: StreamStep = StreamStep(), need: int = FRAME) -> None:  # noqa: B008
        super().__init__()
        self.steps = steps
        self.last = last
        self.need = need

    def _stream_begin(self, preset: TonePreset, diarcfg: DiarizeConfig) -> list[StreamStep]:
        return list(self.steps)

    def _stream_need(self, state: list[StreamStep]) -> int:
        return self.need

    def _stream_step(
        self, states: Sequence[list[StreamStep]], blocks: Sequence[np.ndarray], last: bool
    ) -> list[StreamStep]:
        return [self.last if last else state.pop(0) if state else StreamStep() for state in states]
