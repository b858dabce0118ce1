"""The template of everything that scores frames of audio: voice activity, overlap, speaker change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.audio import read_blocks
from speakerdiar.errors import InputError, ModelError
from speakerdiar.frames import FrameGrid, FrameScores
from speakerdiar.mixins.neural import inference_state

BLOCK_SECONDS = 30.0


class SegmentationMixin(ABC):
    """Gives a model `segment()`, `segment_blocks()`, `score_blocks()` and, for live audio, `score_next()`.

    A subclass says what its frames are (`sample_rate`, `frame_samples`, `classes`) and writes one step:

        _segment_block(samples, state) -> (scores, state)

    The template cuts the audio into blocks of `block_samples`, counted from the start of the recording, however the
    samples come in; so a result depends on nothing but the recording. What a block must know of those before it travels
    in `state`; nothing is kept on the model.
    """

    @property
    @abstractmethod
    def sample_rate(self) -> int:
        """Hz of the samples that the model takes."""

    @property
    @abstractmethod
    def frame_samples(self) -> int:
        """Samples from one frame to the next."""

    @property
    def classes(self) -> tuple[str, ...]:
        """What the columns of the scores stand for. A voice activity detector has one."""
        return ("speech",)

    @property
    def block_samples(self) -> int:
        """Samples that the model takes at a time: whole frames, about 30 s."""
        return max(1, round(BLOCK_SECONDS * self.sample_rate / self.frame_samples)) * self.frame_samples

    @property
    def grid(self) -> FrameGrid:
        """Where the frames of a recording lie."""
        return FrameGrid(self.frame_samples / self.sample_rate)

    def segment(self, audio: Any, *, sample_rate: int | None = None) -> FrameScores:
        """Score a recording, block by block: memory grows with the scores alone.

        Args:
            audio: a Recording, a path, an open binary file, a pair (samples, rate), or samples with `sample_rate`.
            sample_rate: Hz, for samples.

        Returns:
            Scores between 0 and 1, (frames, classes); n samples make ceil(n / frame_samples) frames.

        Raises:
            InputError: not one recording, or audio that can't be read (`speakerdiar.audio.read_blocks`).
        """
        recording = audio if sample_rate is None else (audio, sample_rate)
        block_seconds = self.block_samples / self.sample_rate
        return self.segment_blocks(read_blocks(recording, self.sample_rate, block_seconds))

    def segment_blocks(self, blocks: Iterable[NDArray[np.float32]]) -> FrameScores:
        """Score one recording whose samples come in blocks (n,) of any length, mono, at `sample_rate`."""
        scores = list(self.score_blocks(blocks))
        empty = np.zeros((0, len(self.classes)), dtype=np.float32)
        return FrameScores(np.concatenate([empty, *scores]), self.grid, self.classes)

    def score_blocks(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Yield the scores of consecutive frames, (frames, classes), as soon as enough samples have come in.

        Who needs the samples too, hands in an iterator that keeps what it yields: the audio is read once.

        Raises:
            InputError: a block isn't a vector of finite numbers.
        """
        state = None
        for samples in regrouped(map(checked_block, blocks), self.block_samples):
            with inference_state(self):
                scores, state = self._segment_block(samples, state)
            yield self._checked_scores(scores, samples)

    def score_next(self, samples: NDArray[np.float32], state: Any) -> tuple[NDArray[np.float32], Any]:
        """Score the next samples of a live recording, without waiting for a block.

        Args:
            samples: (n,) mono, at `sample_rate`; whole frames, but for the last ones of the recording.
            state: what this method returned for the samples before; None for the first.

        Returns:
            Scores float32, (ceil(n / frame_samples), classes), and the state for the next samples.

        Raises:
            InputError: samples of another shape or not finite.
        """
        heard = checked_block(samples)
        if not len(heard):
            return np.zeros((0, len(self.classes)), dtype=np.float32), state
        with inference_state(self):
            scores, state = self._segment_live(heard, state)
        return self._checked_scores(scores, heard), state

    def _checked_scores(self, scores: NDArray[np.float32], samples: NDArray[np.float32]) -> NDArray[np.float32]:
        expected = (-(-len(samples) // self.frame_samples), len(self.classes))
        if scores.shape != expected:
            raise ModelError(f"{type(self).__name__} scored a block with shape {scores.shape}, not {expected}.")
        return scores

    @abstractmethod
    def _segment_block(self, samples: NDArray[np.float32], state: Any) -> tuple[NDArray[np.float32], Any]:
        """Score one block, in eval and inference mode.

        Args:
            samples: (n,); n is `block_samples`, but for the last block, which may be as short as one sample.
            state: what this method returned for the block before; None for the first.

        Returns:
            Scores float32, (ceil(n / frame_samples), classes), and the state for the next block.
        """

    def _segment_live(self, samples: NDArray[np.float32], state: Any) -> tuple[NDArray[np.float32], Any]:
        """Score the next samples of a live recording, one frame or more; by default as a block.

        A model that makes use of a block being long (its level, for one) overrides this, and looks at the past instead.
        """
        return self._segment_block(samples, state)


def regrouped(blocks: Iterable[NDArray[np.float32]], length: int) -> Iterator[NDArray[np.float32]]:
    """Cut a stream of samples anew, into blocks of `length`; the last one is what is left."""
    parts: list[NDArray[np.float32]] = []
    have = 0
    for block in blocks:
        rest = block
        while len(rest):
            part, rest = rest[: length - have], rest[length - have :]
            parts.append(part)
            have += len(part)
            if have == length:
                yield np.concatenate(parts)
                parts, have = [], 0
    if parts:
        yield np.concatenate(parts)


def checked_block(block: Any) -> NDArray[np.float32]:
    """Return a block of samples as float32, (n,).

    Raises:
        InputError: it isn't a vector of finite numbers.
    """
    samples = np.asarray(block, dtype=np.float32)
    if samples.ndim != 1:
        raise InputError(f"A block of samples has shape {samples.shape}: give mono samples (n,).")
    if not np.isfinite(samples).all():
        raise InputError("A block of samples holds NaN or infinity: give finite numbers.")
    return samples
