"""The template of networks that score a recording chunk by chunk: live and from files by the same steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.audio import read_blocks
from speakerdiar.config import DiarizeConfig, PostProcessingParams
from speakerdiar.frames import FrameGrid, FrameScores
from speakerdiar.mixins.batches import device_of
from speakerdiar.mixins.blockwise import BlockwiseDiarizationMixin, Heard, Job
from speakerdiar.mixins.results import finished, scores_to_diarization, speaker_count
from speakerdiar.mixins.stream_blocks import StreamBlocks
from speakerdiar.mixins.streaming import StreamingMixin, StreamStep
from speakerdiar.postprocessing.live import LiveTurns

BLOCK_SECONDS = 30.0
"""Audio read at a time."""


class FrameStream(Protocol):
    """What the template needs of a model's memory of one recording.

    Attributes:
        live: turns scores into turns; from `FrameStreamingMixin._live_turns`.
        samples: how many were heard.
    """

    live: LiveTurns
    samples: int


@dataclass(frozen=True, kw_only=True)
class HeardFrames(Heard):
    """What the network said of a recording.

    Attributes:
        turns: all of them, where no scores were asked for.
        scores: where the caller wants more than turns; else None.
    """

    turns: tuple[Turn, ...] = ()
    scores: FrameScores | None = field(default=None, repr=False)


class FrameStreamingMixin(StreamingMixin, BlockwiseDiarizationMixin):
    """Hears files as it hears live audio: both give the same turns, and memory doesn't grow with the length.

    A subclass has `sample_rate`, the presets that `StreamingMixin` asks for, and writes three steps:

        _begin(preset, diarcfg, most)      -> the memory of one recording
        _stream_need(state)                -> how many samples the next step takes
        _advance(states, blocks, last)     -> the scores that this block of each recording decides

    Recordings of a batch are stepped side by side on a GPU. On a CPU, where it would gain nothing, they go one by one,
    so that neighbours change no digit.
    """

    FRAME_SECONDS: ClassVar[float]
    """Seconds between scores."""
    SUBFRAME: ClassVar[int] = 1
    """Parts that a frame is cut into in post-processing (`speakerdiar.postprocessing.binarize`)."""
    FILE_LATENCY: ClassVar[str]
    """Name of the preset for files where none is asked for."""

    @property
    @abstractmethod
    def speakers(self) -> int:
        """Most speakers that the network tells apart: columns of its scores."""

    @property
    def speaker_capacity(self) -> int:
        """Most speakers that the network tells apart."""
        return self.speakers

    @abstractmethod
    def _begin(self, preset: Any, diarcfg: DiarizeConfig, most: int | None) -> Any:
        """Return the memory of a recording of at most so many speakers (None: as many as the network tells apart)."""

    @abstractmethod
    def _advance(self, states: Sequence[Any], blocks: Sequence[np.ndarray], last: bool) -> list[NDArray[np.float32]]:
        """Hear a block of each recording, as in `_stream_step`; return the scores (frames, speakers) decided."""

    def _file_preset(self, latency: Any) -> Any:
        """Return the preset of a file."""
        return self._stream_preset(self.FILE_LATENCY if latency is None else latency)

    def _live_turns(self, diarcfg: DiarizeConfig) -> LiveTurns:
        """Return what makes turns of a recording's scores."""
        params = diarcfg.postprocessing_params or PostProcessingParams()
        grid = FrameGrid(self.FRAME_SECONDS)
        return LiveTurns(params, grid, self.speakers, subframe=self.SUBFRAME, confidence=diarcfg.confidence)

    def _stream_begin(self, preset: Any, diarcfg: DiarizeConfig) -> Any:
        return self._begin(preset, diarcfg, diarcfg.speaker_count.most)

    def _stream_step(self, states: Sequence[Any], blocks: Sequence[np.ndarray], last: bool) -> list[StreamStep]:
        found = self._advance(states, blocks, last)
        return [self._settled(state, scores, last) for state, scores in zip(states, found, strict=True)]

    def _settled(self, state: FrameStream, scores: NDArray[np.float32], last: bool) -> StreamStep:
        """Return what the next scores of a recording settle; all where they are the last."""
        step = state.live.push(scores)
        if last:
            rest = state.live.finish(state.samples / self.sample_rate)
            step = replace(rest, final=step.final + rest.final)
        return StreamStep(step.final, step.tentative, step.final_until)

    def _hear(self, jobs: Sequence[Job]) -> list[HeardFrames]:
        device = device_of(self)
        if device is not None and device.type != "cpu":
            return self._hear_together(jobs)
        return [heard for job in jobs for heard in self._hear_together([job])]

    def _hear_together(self, jobs: Sequence[Job]) -> list[HeardFrames]:
        """Step several recordings side by side, until the last has ended."""
        hearings = [self._hearing(job) for job in jobs]
        going = [(hearing, self._blocks(hearing)) for hearing in hearings]
        while going:
            taken = [(hearing, *next(blocks)) for hearing, blocks in going]
            for last in (False, True):
                rows = [(hearing, block) for hearing, block, ends in taken if ends == last]
                if rows:
                    found = self._advance([hearing.state for hearing, _ in rows], [block for _, block in rows], last)
                    for (hearing, _), scores in zip(rows, found, strict=True):
                        hearing.take(self, scores, last)
            going = [pair for pair, (*_, ends) in zip(going, taken, strict=True) if not ends]
        return [hearing.result(self) for hearing in hearings]

    def _hearing(self, job: Job) -> _Hearing:
        most = speaker_count(job.recording, job.diarcfg).most
        return _Hearing(job, self._begin(self._file_preset(job.diarcfg.latency), job.diarcfg, most))

    def _blocks(self, hearing: _Hearing) -> Iterator[tuple[NDArray[np.float32], bool]]:
        """Yield the samples of each step, and at the end those that are left, with True."""
        queue = StreamBlocks(self.sample_rate, self.sample_rate)
        state, job = hearing.state, hearing.job
        for samples in read_blocks(job.recording, self.sample_rate, BLOCK_SECONDS):
            queue.put(samples, 0.0)
            while (block := queue.next_block(self._stream_need(state))) is not None:
                yield block, False
                job.tell("scores", None, state.samples / self.sample_rate, job.recording.duration)
        queue.end()
        yield queue.rest(), True

    def _decide(self, heard: HeardFrames, diarcfg: DiarizeConfig) -> Diarization:
        if heard.scores is None:
            return finished(heard.recording, heard.turns, diarcfg)
        return scores_to_diarization(heard.recording, heard.scores, diarcfg, subframe=self.SUBFRAME)


class _Hearing:
    """A recording that is being heard, and what the network has said of it so far."""

    def __init__(self, job: Job, state: FrameStream) -> None:
        self.job, self.state = job, state
        # Scores of ten hours take hundreds of megabytes, and their post-processing more: turns are made on the way.
        wanted = job.diarcfg.include_tensor_outputs or job.diarcfg.confidence
        self._scores: list[NDArray[np.float32]] | None = [] if wanted else None
        self._turns: list[Turn] = []

    def take(self, model: FrameStreamingMixin, scores: NDArray[np.float32], last: bool) -> None:
        """Take the scores that a step has decided."""
        if self._scores is None:
            self._turns.extend(model._settled(self.state, scores, last).final)
        else:
            self._scores.append(scores)

    def result(self, model: FrameStreamingMixin) -> HeardFrames:
        """Return what came of it, once it has ended."""
        seconds = self.state.samples / model.sample_rate
        recording = replace(self.job.recording, duration=seconds or None)
        if self._scores is None:
            self.job.tell("scores", None, seconds, seconds)
            return HeardFrames(recording=recording, turns=tuple(self._turns))
        scores = FrameScores(np.concatenate(self._scores), FrameGrid(model.FRAME_SECONDS))
        self.job.tell("scores", scores, seconds, seconds)
        return HeardFrames(recording=recording, scores=scores)
