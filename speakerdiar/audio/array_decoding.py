"""Reads samples that are in memory already."""

from __future__ import annotations

import numpy as np

from speakerdiar.audio.info import AudioInfo
from speakerdiar.audio.limits import AudioLimits
from speakerdiar.errors import AudioError
from speakerdiar.recording import RATE_MISSING

# Integers of a known scale -> (value of silence, full scale).
_SCALES = {"int8": (0, 2**7), "uint8": (2**7, 2**7), "int16": (0, 2**15), "int32": (0, 2**31)}
_MOST_CHANNELS_FIRST = 8


class ArrayDecoder:
    """Reads an array, (samples,) or (samples, channels), float or integer.

    Integers are scaled to [-1, 1). An array of at most 8 rows and more than 8 columns is taken as (channels, samples).

    Raises:
        AudioError: no rate, more than two dimensions, or a dtype whose scale isn't known.
        AudioLimitError: a rate or number of channels beyond the limits.
    """

    def __init__(self, samples: np.ndarray, sample_rate: int | None, name: str, limits: AudioLimits) -> None:
        if sample_rate is None:
            raise AudioError(f"{name}: {RATE_MISSING}")
        check_scale(samples, name)
        self._frames = _as_frames(samples, name)
        self._position = 0
        frames, channels = self._frames.shape
        limits.check_format(sample_rate, channels, name)
        self.info = AudioInfo.of_frames(sample_rate, channels, frames, "array", samples.dtype.name)
        self.promised_frames: int | None = frames

    def read(self, frames: int) -> np.ndarray:
        """Return the next (n, channels) float32 samples, n <= frames; none only at the end."""
        piece = self._frames[self._position : self._position + frames]
        self._position += len(piece)
        return scaled(piece)

    def skip(self, frames: int) -> int:
        """Move `frames` forward; return how many there were to skip."""
        skipped = min(frames, len(self._frames) - self._position)
        self._position += skipped
        return skipped

    def close(self) -> None:
        """Nothing to let go of."""


def check_scale(samples: np.ndarray, name: str) -> None:
    """Raise AudioError for samples of a dtype whose scale isn't known."""
    if samples.dtype.name not in _SCALES and not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(
            f"{name}: the scale of {samples.dtype.name} samples isn't known: give float in [-1, 1], or int8, "
            "uint8, int16 or int32."
        )


def scaled(samples: np.ndarray) -> np.ndarray:
    """Return samples of a known scale as float32, integers scaled to [-1, 1)."""
    if samples.dtype.name not in _SCALES:
        with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite, which the reader refuses
            return samples.astype(np.float32)
    silence, full = _SCALES[samples.dtype.name]
    return ((samples.astype(np.float64) - silence) / full).astype(np.float32)


def _as_frames(samples: np.ndarray, name: str) -> np.ndarray:
    """Return the samples as (samples, channels), without copying."""
    if samples.ndim == 1:
        return samples[:, None]
    if samples.ndim != 2 or samples.shape[1] == 0:
        raise AudioError(f"{name}: samples have shape {samples.shape}: give (samples,) or (samples, channels).")
    channels_first = 0 < samples.shape[0] <= _MOST_CHANNELS_FIRST < samples.shape[1]
    return samples.T if channels_first else samples
