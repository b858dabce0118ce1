"""One recording that is still going on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.annotation import Turn
from speakerdiar.errors import InputError, ModelError
from speakerdiar.mixins.stream_blocks import StreamBlocks
from speakerdiar.updates import SampleChunk, StreamEvent, StreamingUpdate

if TYPE_CHECKING:
    from speakerdiar.mixins.streaming import StreamingMixin, StreamStep


class LiveRecording:
    """What was pushed of a live recording, the model's memory of it, and what is known of its turns.

    Args:
        model: what steps it.
        state: the model's memory of it, from `_stream_begin`.
        blocks: for its samples.
        offset: where its clock begins, in seconds.
    """

    def __init__(self, model: StreamingMixin, state: Any, blocks: StreamBlocks, offset: float) -> None:
        self.state = state
        self.stopped = ""  # why nothing can be pushed any more
        self._model = model
        self._blocks = blocks
        self._offset = offset
        self.finished = False
        self._final_until = offset
        self._settled: list[Turn] = []  # not given yet
        self._tentative: tuple[Turn, ...] = ()
        self._relabelled: dict[str, str] = {}  # not told yet
        self._events: list[StreamEvent] = []

    @property
    def seconds(self) -> float:
        """How much audio was heard."""
        return self._blocks.seconds

    @property
    def time(self) -> float:
        """How far the audio was heard, on the clock of the turns."""
        return self._offset + self._blocks.seconds

    def checked(self, chunk: SampleChunk) -> np.ndarray:
        """Return the samples of a chunk, without taking them; raise InputError where that can't be."""
        self.check_open()
        return self._blocks.checked(chunk)

    def check_open(self) -> None:
        """Raise InputError once the recording has stopped."""
        if self.stopped:
            raise InputError(f"The session {self.stopped}: call reset() to begin another recording.")

    def take(self, chunk: SampleChunk, mono: np.ndarray) -> None:
        """Take a chunk and its checked samples."""
        now = self.time
        if chunk.lost:
            message = f"{chunk.lost:.3f} s of audio are missing at {now:.3f} s: silence stands in for them."
            self._events.append(StreamEvent("gap", now, chunk.lost, message))
        if chunk.overrun:
            message = f"The source was read too slowly and dropped audio at {now:.3f} s."
            self._events.append(StreamEvent("overrun", now, 0.0, message))
        self._blocks.put(mono, chunk.lost)

    def next_block(self) -> np.ndarray | None:
        """Return the samples of the next step, or None where more have to be heard first."""
        need = int(self._model._stream_need(self.state))
        if need < 1:
            raise ModelError(f"{type(self._model).__name__}._stream_need returned {need}: return 1 or more samples.")
        return self._blocks.next_block(need)

    def end(self) -> None:
        """Say that nothing follows."""
        self._blocks.end()

    def rest(self) -> np.ndarray:
        """Return the samples of the last step."""
        return self._blocks.rest()

    def settle(self, step: StreamStep, last: bool) -> None:
        """Take in what a step says; raise ModelError where the last one leaves something open."""
        if last and step.tentative:
            raise ModelError(
                f"{type(self._model).__name__}._stream_step left {len(step.tentative)} turns tentative in the last "
                "step: settle everything."
            )
        for old, new in step.relabelled.items():
            message = f"{old} is {new}: one and the same speaker."
            self._events.append(StreamEvent("relabelled", self.time, 0.0, message))
        if step.relabelled:
            told = {old: step.relabelled.get(new, new) for old, new in self._relabelled.items()}
            self._relabelled = {**told, **step.relabelled}
            self._settled = [_renamed(turn, step) for turn in self._settled]
        self._settled.extend(step.final)
        self._tentative = tuple(step.tentative)
        self._final_until = max(self._final_until, round(float(step.final_until) + self._offset, 6))

    def stop(self) -> None:
        """The recording ends here, and with it everything is settled."""
        self.finished, self.stopped = True, "is finished"
        self._final_until = self.time

    def close(self) -> None:
        """Let go of the model's memory."""
        self.state, self.stopped = None, "is closed"

    def update(self) -> StreamingUpdate:
        """Return what is new since the last update."""
        now = self.time
        # A turn that ends later than anything heard may yet be cut off there, so it waits.
        waiting = [turn for turn in self._settled if not self.finished and self._on_clock(turn.end) > now]
        given = [turn for turn in self._settled if self.finished or self._on_clock(turn.end) <= now]
        update = StreamingUpdate(
            now,
            self._placed(given),
            self._placed([*waiting, *self._tentative]),
            min(self._final_until, now),
            self._relabelled,
            tuple(self._events),
        )
        self._settled, self._relabelled, self._events = waiting, {}, []
        return update

    def _placed(self, turns: list[Turn]) -> tuple[Turn, ...]:
        """The turns on the clock, cut off at what was heard; those of which nothing is left are dropped."""
        placed = ((turn, self._on_clock(turn.start), min(self._on_clock(turn.end), self.time)) for turn in turns)
        return tuple(replace(turn, start=start, end=end) for turn, start, end in placed if start < end)

    def _on_clock(self, seconds: float) -> float:
        """A time of the model on the clock of the turns, to the microsecond: what is finer comes of adding floats."""
        return max(self._offset, round(seconds + self._offset, 6))


def _renamed(turn: Turn, step: StreamStep) -> Turn:
    return replace(turn, speaker=step.relabelled.get(turn.speaker, turn.speaker))
