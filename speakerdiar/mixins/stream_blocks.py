"""Cuts a live stream of samples into the blocks that a model's steps take."""

from __future__ import annotations

import os
from collections import deque
from typing import Any

import numpy as np

from speakerdiar.audio import AudioLimits
from speakerdiar.audio.array_decoding import check_scale, scaled
from speakerdiar.audio.reading import mixed
from speakerdiar.audio.resampling import Resampler, resampled_length
from speakerdiar.errors import InputError
from speakerdiar.updates import SampleChunk

_AT_ONCE = 2**18  # samples resampled at a time, so that a gap of an hour takes no more memory than one of a minute


class StreamBlocks:
    """Takes chunks of any length at one rate, and gives mono blocks of any length at another.

    The blocks don't depend on how the stream was cut into chunks. Missing audio is put in as silence, so that the clock
    stays true.

    Args:
        from_rate: Hz of what is put in.
        to_rate: Hz of the blocks.

    Raises:
        AudioLimitError: a rate beyond the limits (`AudioLimits.from_environment`).
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._limits = AudioLimits.from_environment()
        self._limits.check_format(from_rate, 1, "stream")
        self._rates = from_rate, to_rate
        self._resampler = Resampler(from_rate, to_rate)
        self._taken = 0  # samples put in, at their own rate, silence included
        self._lost = 0.0  # seconds of silence asked for, and samples put in for them
        self._silent = 0
        self._pieces: deque[np.ndarray] = deque()  # not yet resampled
        self._ready = np.zeros(0, np.float32)
        self._block: np.ndarray | None = None  # the one being filled
        self._filled = 0

    @property
    def seconds(self) -> float:
        """How much was put in."""
        return resampled_length(self._taken, *self._rates) / self._rates[1]

    def checked(self, chunk: SampleChunk) -> np.ndarray:
        """Return a chunk's samples as (n,) float32, without taking them.

        Raises:
            InputError: a sample that is NaN or infinite (the message says when), or samples of unknown scale.
            AudioLimitError: too many channels, or a gap beyond the longest recording.
        """
        samples = chunk.samples
        self._limits.check_seconds(chunk.lost, "stream: what was lost")
        check_scale(samples, "stream")
        frames = scaled(samples if samples.ndim == 2 else samples[:, None])
        self._limits.check_format(self._rates[0], frames.shape[1], "stream")
        if not frames.shape[1]:
            raise InputError(f"A chunk has shape {samples.shape}: give (samples,) or (samples, channels).")
        mono = mixed(frames, "mix")
        finite = np.isfinite(mono)
        if not finite.all():
            first = int(np.argmin(finite))
            time = (self._taken + self._silence(chunk.lost) + first) / self._rates[0]
            raise InputError(f"A sample is {mono[first]} at {time:.4f} s of the stream: give finite numbers.")
        return mono

    def put(self, mono: np.ndarray, lost: float) -> None:
        """Take samples (n,) float32 with `lost` seconds of silence in front."""
        silence = self._silence(lost)
        self._lost += lost
        self._silent += silence
        self._taken += silence + len(mono)
        self._pieces.extend([np.broadcast_to(np.float32(0), silence), mono])

    def next_block(self, need: int) -> np.ndarray | None:
        """Return the next `need` samples, or None where that many aren't there yet."""
        if self._block is None:
            self._block, self._filled = np.empty(need, np.float32), 0
        while self._filled < need:
            if not len(self._ready) and not self._resample_piece():
                return None
            count = min(need - self._filled, len(self._ready))
            self._block[self._filled : self._filled + count] = self._ready[:count]
            self._filled, self._ready = self._filled + count, self._ready[count:]
        block, self._block = self._block, None
        return block

    def end(self) -> None:
        """Say that nothing follows; call it when `next_block` has given None."""
        self._ready = self._resampler.finish()

    def rest(self) -> np.ndarray:
        """Return what is left behind the last whole block."""
        return np.zeros(0, np.float32) if self._block is None else self._block[: self._filled]

    def _silence(self, lost: float) -> int:
        """Samples due for `lost` more seconds: of the sum of all, so that roundings don't add up."""
        return round((self._lost + lost) * self._rates[0]) - self._silent

    def _resample_piece(self) -> bool:
        if not self._pieces:
            return False
        piece = self._pieces.popleft()
        if len(piece) > _AT_ONCE:
            self._pieces.appendleft(piece[_AT_ONCE:])
        self._ready = self._resampler.push(np.ascontiguousarray(piece[:_AT_ONCE]))
        return True


def as_chunk(samples: Any) -> SampleChunk:
    """Return what was pushed as a chunk: bare samples as one without losses.

    Raises:
        InputError: no samples, or of a shape that can't be.
    """
    if isinstance(samples, str | os.PathLike):
        raise InputError(
            f"A chunk is {samples!r:.80}: chunks are samples. To diarize a file live, hand over its path alone; many "
            "files go to diarize()."
        )
    return samples if isinstance(samples, SampleChunk) else SampleChunk(samples)
