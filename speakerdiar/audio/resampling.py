"""Changes the sampling rate of a stream of samples."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


class Resampler:
    """Resamples mono samples piece by piece (soxr, high quality).

    The output doesn't depend on where the pieces are cut, and n samples become exactly `resampled_length(n, ...)`.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._rates = from_rate, to_rate
        self._taken = 0
        self._given = 0
        self._stream = None
        if from_rate != to_rate:
            import soxr

            self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples (n,) float32; return those that are ready (m,) float32."""
        if self._stream is None:
            return samples
        self._taken += len(samples)
        out: np.ndarray = self._stream.resample_chunk(samples)
        self._given += len(out)
        return out

    def finish(self) -> np.ndarray:
        """Return the last samples (m,) float32."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        missing = resampled_length(self._taken, *self._rates) - self._given
        rest: np.ndarray = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)[:missing]
        return np.pad(rest, (0, missing - len(rest)))


def resampled_length(samples: int, from_rate: int, to_rate: int) -> int:
    """Return how many samples `samples` become: round(samples * to / from), without the error of floats."""
    return round(Fraction(samples * to_rate, from_rate))
