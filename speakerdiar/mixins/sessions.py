"""Sessions: live recordings that a streaming model follows, alone or several in one forward."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.audio.reading import DEFAULT_RATE
from speakerdiar.config import DiarizeConfig, is_count
from speakerdiar.errors import InputError, ModelError
from speakerdiar.mixins.live_recording import LiveRecording
from speakerdiar.mixins.neural import inference_state
from speakerdiar.mixins.sources import rate_of
from speakerdiar.mixins.stream_blocks import StreamBlocks, as_chunk
from speakerdiar.updates import SampleChunk, StreamingUpdate

if TYPE_CHECKING:
    from speakerdiar.mixins.streaming import StreamingMixin

_STEPS_KEPT = 10_000  # of which the times are kept for the percentiles

_BROKEN = "broke off in the middle of a step"


class _StepTimes:
    """Seconds of compute, step by step."""

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0
        self._last: deque[float] = deque(maxlen=_STEPS_KEPT)

    def add(self, seconds: float) -> None:
        """Note a step."""
        self.total += seconds
        self.count += 1
        self._last.append(seconds)

    def percentiles(self) -> tuple[float, float]:
        """Return median and 95th percentile."""
        if not self._last:
            return 0.0, 0.0
        median, high = np.percentile(np.asarray(self._last), (50, 95))
        return float(median), float(high)


@dataclass(frozen=True)
class SessionStats:
    """How a session keeps up.

    Attributes:
        latency_seconds: algorithmic latency of the preset: chunk and look-ahead. Computing comes on top of it.
        audio_seconds: audio heard; in a batch, that of all sessions together.
        compute_seconds: time spent in steps of the model.
        steps: steps made; one of a batch counts once.
        step_p50, step_p95: median and 95th percentile of the seconds a step took, over the last 10,000; 0 before the
            first.
        real_time_factor: seconds of computing for a second of audio; below 1 keeps up. 0 before any audio.
    """

    latency_seconds: float
    audio_seconds: float
    compute_seconds: float
    steps: int
    step_p50: float
    step_p95: float
    real_time_factor: float


class SessionBatch(AbstractContextManager["SessionBatch"]):
    """Several live recordings, stepped together. Each row gives what it would give alone, in a session of its own.

    Made by `model.stream_batch(...)`. As a context manager it lets go of its memory at the end.

    Args:
        model: what steps the recordings.
        preset: from the model's `_stream_preset`.
        diarcfg: the call's options.
        sessions: how many recordings.
        sample_rate: Hz of what is pushed; None for the model's own rate.
        offset: where the clock of the turns begins, in seconds.
    """

    def __init__(
        self,
        model: StreamingMixin,
        preset: Any,
        diarcfg: DiarizeConfig,
        sessions: int,
        *,
        sample_rate: int | None = None,
        offset: float = 0.0,
    ) -> None:
        self._model = model
        self._preset = preset
        self._diarcfg = diarcfg
        self._offset = offset
        self._model_rate = rate_of(model) or DEFAULT_RATE
        self.sample_rate = int(sample_rate or self._model_rate)
        """Hz of what is pushed."""
        self._times = _StepTimes()
        self._audio_before = 0.0  # heard by rows that were reset since
        self._rows = [self._fresh() for _ in range(sessions)]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def latency_seconds(self) -> float:
        """Algorithmic latency of the preset, in seconds."""
        return float(self._preset.seconds)

    @property
    def stats(self) -> SessionStats:
        """How the sessions keep up, since they began or were all reset."""
        audio = self._audio_before + sum(row.seconds for row in self._rows)
        times = self._times
        median, high = times.percentiles()
        factor = times.total / audio if audio else 0.0
        return SessionStats(self.latency_seconds, audio, times.total, times.count, median, high, factor)

    @property
    def steps(self) -> int:
        """Steps made since the sessions began or were all reset."""
        return self._times.count

    def push(self, chunks: Sequence[Any]) -> list[StreamingUpdate]:
        """Take the next samples of each recording; make all steps that are due.

        Args:
            chunks: for each session samples (n,) or (n, channels) of any length, a `SampleChunk`, or None for nothing.
                Float in [-1, 1], or integers, which count by their range; arrays or torch tensors.

        Returns:
            The update of each session.

        Raises:
            InputError: not one chunk a session, samples that can't be used, or a session that is finished. No session
                has changed then.
            ModelError: the model broke a promise.
        """
        if len(chunks) != len(self._rows):
            raise InputError(f"Got {len(chunks)} chunks for {len(self._rows)} sessions: give one each, or None.")
        pushed = [
            (row, chunk, row.checked(chunk))
            for row, chunk in ((row, as_chunk(c)) for row, c in zip(self._rows, chunks, strict=True) if c is not None)
        ]
        for row, chunk, mono in pushed:
            row.take(chunk, mono)
        self._advance([row for row, _, _ in pushed])
        return [row.update() for row in self._rows]

    def finish(self, index: int | None = None) -> list[StreamingUpdate]:
        """End recordings: everything that was open becomes final.

        Args:
            index: the one that ends; the others go on. None ends all that haven't ended yet.

        Returns:
            The update of each session, the last one of those that end here.

        Raises:
            InputError: there is no such session, or it is finished.
            ModelError: the model broke a promise.
        """
        rows = [row for row in self._rows if not row.finished] if index is None else [self._row(index)]
        for row in rows:
            row.check_open()
        for row in rows:
            row.end()
        self._advance(rows)
        self._step([(row, row.rest()) for row in rows if row.seconds], last=True)
        for row in rows:
            row.stop()
        return [row.update() for row in self._rows]

    def reset(self, index: int | None = None) -> None:
        """Begin anew: forget one recording, or all and the statistics with them.

        Raises:
            InputError: there is no such session.
        """
        if index is None:
            self._rows = [self._fresh() for _ in self._rows]
            self._times, self._audio_before = _StepTimes(), 0.0
            return
        self._audio_before += self._row(index).seconds
        self._rows[index] = self._fresh()

    def close(self) -> None:
        """Let go of what the model remembers. `reset` begins anew."""
        for row in self._rows:
            row.close()

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _fresh(self) -> LiveRecording:
        blocks = StreamBlocks(self.sample_rate, self._model_rate)
        return LiveRecording(self._model, self._model._stream_begin(self._preset, self._diarcfg), blocks, self._offset)

    def _row(self, index: int) -> LiveRecording:
        if not is_count(index, least=0) or index >= len(self._rows):
            raise InputError(f"index={index!r}: give the number of a session, 0 to {len(self._rows) - 1}.")
        return self._rows[index]

    def _advance(self, rows: Sequence[LiveRecording]) -> None:
        """Make the steps that are due, of all rows that are ready together, until none is ready."""
        while ready := [(row, block) for row in rows if (block := row.next_block()) is not None]:
            self._step(ready, last=False)

    def _step(self, ready: Sequence[tuple[LiveRecording, np.ndarray]], *, last: bool) -> None:
        if not ready:
            return
        rows, blocks = [row for row, _ in ready], [block for _, block in ready]
        for row in rows:
            row.stopped = _BROKEN  # stays where the step raises: nobody knows what the memory holds then
        begun = time.perf_counter()
        with inference_state(self._model):
            steps = self._model._stream_step([row.state for row in rows], blocks, last)
        self._times.add(time.perf_counter() - begun)
        if len(steps) != len(rows):
            raise ModelError(
                f"{type(self._model).__name__}._stream_step returned {len(steps)} steps for {len(rows)} recordings: "
                "return one for each, in order."
            )
        for row, step in zip(rows, steps, strict=True):
            row.settle(step, last)
            row.stopped = ""


class StreamingSession(AbstractContextManager["StreamingSession"]):
    """One live recording: samples in, updates out.

    Made by `model.stream(...)`. What is settled doesn't depend on how the samples were cut. As a context manager it
    lets go of its memory at the end. One session belongs to one thread; sessions of one model may run in several.

    >>> with model.stream("1.04s", sample_rate=48000) as session:   # doctest: +SKIP
    ...     for samples in microphone:
    ...         show(session.push(samples))
    ...     show(session.finish())
    """

    def __init__(
        self,
        model: StreamingMixin,
        preset: Any,
        diarcfg: DiarizeConfig,
        *,
        sample_rate: int | None = None,
        offset: float = 0.0,
    ) -> None:
        self._batch = SessionBatch(model, preset, diarcfg, 1, sample_rate=sample_rate, offset=offset)

    @property
    def sample_rate(self) -> int:
        """Hz of what is pushed."""
        return self._batch.sample_rate

    @property
    def latency_seconds(self) -> float:
        """Algorithmic latency of the preset, in seconds."""
        return self._batch.latency_seconds

    @property
    def stats(self) -> SessionStats:
        """How the session keeps up."""
        return self._batch.stats

    @property
    def steps(self) -> int:
        """Steps made so far."""
        return self._batch.steps

    def push(self, samples: Any, lost: float = 0.0, overrun: bool = False) -> StreamingUpdate:
        """Take the next samples; make all steps that are due.

        Args:
            samples: (n,) or (n, channels) of any length, 0 too: float in [-1, 1], or integers, which count by their
                range; an array, a torch tensor, or a `SampleChunk`.
            lost: seconds of audio that are missing in front of the samples. Silence stands in for them, and the update
                tells of the gap.
            overrun: whether the source was read too slowly; the update tells of it.

        Returns:
            What is new.

        Raises:
            InputError: samples that can't be used, NaN for one, or the session is finished. Nothing has changed then.
            ModelError: the model broke a promise.
        """
        chunk = as_chunk(samples)
        if lost or overrun:
            told = SampleChunk(chunk.samples, lost, overrun)
            chunk = replace(chunk, lost=chunk.lost + told.lost, overrun=chunk.overrun or told.overrun)
        return self._batch.push([chunk])[0]

    def finish(self) -> StreamingUpdate:
        """End the recording: everything that was open becomes final.

        Raises:
            InputError: the session is finished already.
            ModelError: the model broke a promise.
        """
        return self._batch.finish(0)[0]

    def reset(self) -> None:
        """Begin another recording, with nothing left of this one."""
        self._batch.reset()

    def close(self) -> None:
        """Let go of what the model remembers. `reset` begins anew."""
        self._batch.close()

    def __exit__(self, *exception: object) -> None:
        self.close()
