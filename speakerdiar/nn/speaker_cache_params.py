"""The numbers that a streaming Sortformer runs by, checked, and where they cut a recording into chunks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError

MEL_FRAMES = 8
"""Mel frames (10 ms) that the pre-encoder makes one frame (80 ms) of."""


@dataclass(frozen=True, kw_only=True)
class CacheParams:
    """How a streaming Sortformer cuts and remembers; lengths are frames of 80 ms.

    Source: "Streaming Sortformer", arXiv:2507.18446. What a length makes of the cost and the latency of a step:
    a step encodes `cache_len + fifo_len + left_context + chunk_len + right_context` frames at most, and its
    decisions come `chunk_len + right_context` frames after the sound.

    Args:
        num_speakers: channels of the model's predictions.
        fifo_len: newest frames kept as they are, between the cache and the chunk.
        update_period: frames that leave the FIFO for the cache at a time, at least.
        chunk_len: frames that a step decides.
        left_context: frames before the chunk that are heard again.
        right_context: frames after the chunk that are heard ahead.
        cache_len: frames of the speaker cache.
        sil_frames_per_speaker: places of the cache that hold silence behind each speaker's frames.
        pred_score_threshold: predictions, and their complements, count as this much at least in a frame's score.
        scores_boost_latest: what is added to the scores of frames that weren't in the cache before.
        sil_threshold: a frame whose predictions sum to less is silence.
        strong_boost_rate: share of a speaker's places whose best frames are strongly preferred.
        weak_boost_rate: share of a speaker's places whose best frames are weakly preferred.
        min_pos_scores_rate: share of a speaker's places from which on only frames of positive score are good enough.

    Raises:
        ConfigError: a length isn't a whole number or is too small, a rate or threshold is out of its range.
    """

    num_speakers: int
    fifo_len: int
    update_period: int
    chunk_len: int
    left_context: int
    right_context: int
    cache_len: int = 188
    sil_frames_per_speaker: int = 3
    pred_score_threshold: float = 0.25
    scores_boost_latest: float = 0.05
    sil_threshold: float = 0.2
    strong_boost_rate: float = 0.75
    weak_boost_rate: float = 1.5
    min_pos_scores_rate: float = 0.5

    def __post_init__(self) -> None:
        for name in ("num_speakers", "update_period", "chunk_len"):
            self._check_count(name, 1)
        for name in ("fifo_len", "left_context", "right_context", "sil_frames_per_speaker"):
            self._check_count(name, 0)
        least = (1 + self.sil_frames_per_speaker) * self.num_speakers
        self._check_count("cache_len", least, " ((1 + sil_frames_per_speaker) * num_speakers)")
        for name in ("scores_boost_latest", "sil_threshold", "strong_boost_rate", "weak_boost_rate"):
            self._check_number(name)
        self._check_number("min_pos_scores_rate")
        self._check_number("pred_score_threshold", above=0)  # its logarithm is taken

    @property
    def frames_per_speaker(self) -> int:
        """A speaker's places in the cache, silence not counted, when all speakers get the same."""
        return self.cache_len // self.num_speakers - self.sil_frames_per_speaker

    def _check_count(self, name: str, least: int, why: str = "") -> None:
        value = getattr(self, name)
        if not is_count(value, least=least):
            raise ConfigError(f"{name}={value!r}: give a whole number, {least} or more{why}.")

    def _check_number(self, name: str, above: float | None = None) -> None:
        value = getattr(self, name)
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value < 0 or (above is not None and value <= above):
            raise ConfigError(f"{name}={value!r}: give a number, {'0 or more' if above is None else f'above {above}'}.")


@dataclass(frozen=True)
class ChunkSpan:
    """Where one step's mel frames lie in the recording.

    Attributes:
        first: index of the first mel frame, left context included.
        mels: mel frames, contexts included.
        left: mel frames of left context among them.
        right: mel frames of right context among them.
    """

    first: int
    mels: int
    left: int
    right: int

    @property
    def left_frames(self) -> int:
        """Frames of 80 ms that the left context becomes."""
        return self.left // MEL_FRAMES

    @property
    def frames(self) -> int:
        """Frames of 80 ms that the step decides."""
        return -(-self.mels // MEL_FRAMES) - self.left_frames - -(-self.right // MEL_FRAMES)


def chunk_spans(mels: int, params: CacheParams) -> Iterator[ChunkSpan]:
    """Yield the spans of a recording of so many mel frames; contexts end where it ends."""
    step, left, right = (MEL_FRAMES * n for n in (params.chunk_len, params.left_context, params.right_context))
    for start in range(0, mels, step):
        stop = min(start + step, mels)
        before, after = min(left, start), min(right, mels - stop)
        yield ChunkSpan(start - before, before + stop - start + after, before, after)
