"""How loud speech is, whatever pauses and clicks lie between: the level that a twentieth of the time exceeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

FRAMES_A_SECOND = 20
LOUD_SHARE = 0.05
"""Share of the frames that are louder than what counts as loud: in talk more is speech, and less are clicks."""
MOST_GAIN = 40.0
"""dB that nothing is amplified by more, so that noise alone isn't taken for far-away talk."""
FLOOR, STEP = -100.0, 0.5
"""Range and width of the levels that are told apart, in dBFS and dB."""
FORGET_SECONDS = 120.0
"""After so much audio, what was heard before counts half."""


def frame_powers(samples: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Return the mean square of each 50 ms of samples (n,); what is left behind the last counts as a frame, too."""
    frame = max(1, rate // FRAMES_A_SECOND)
    whole = len(samples) // frame * frame
    powers = np.square(samples[:whole].reshape(-1, frame), dtype=np.float64).mean(axis=1)
    if len(samples) > whole and not whole:
        return np.array([np.square(samples, dtype=np.float64).mean()])
    return np.asarray(powers)


def levelled(samples: NDArray[np.float32], rate: int, level: float) -> NDArray[np.float32]:
    """Scale samples (n,) so that a twentieth of them exceeds a level, in dBFS; silence stays."""
    powers = frame_powers(samples, rate)
    return samples * gain_to(level, float(np.quantile(powers, 1 - LOUD_SHARE)) if len(powers) else 0.0)


def gain_to(level: float, power: float) -> np.float32:
    """Factor that brings a mean square to a level in dBFS, at most by `MOST_GAIN`; 1 for silence."""
    if power <= 10 ** (FLOOR / 10):
        return np.float32(1)
    return np.float32(min(10 ** (level / 20) / math.sqrt(power), 10 ** (MOST_GAIN / 20)))


def levelled_blocks(blocks: Iterable[NDArray[np.float32]], rate: int, level: float) -> Iterator[NDArray[np.float32]]:
    """Yield the blocks of a recording, each brought to a level in dBFS by what was heard up to its end."""
    meter = LoudnessMeter(rate)
    for block in blocks:
        meter.add(block)
        yield block * meter.gain(level)


class LoudnessMeter:
    """Follows the level that a twentieth of a recording exceeds, while it comes in pieces, forgetting slowly.

    Memory doesn't grow: frames are counted by their level.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._counts = np.zeros(round(-FLOOR / STEP) + 1)

    def add(self, samples: NDArray[np.float32]) -> None:
        """Hear the next samples (n,)."""
        powers = frame_powers(samples, self.rate)
        levels = 10 * np.log10(np.maximum(powers, 10 ** (FLOOR / 10)))
        places = np.rint((np.minimum(levels, 0) - FLOOR) / STEP).astype(int)
        self._counts *= 0.5 ** (len(samples) / self.rate / FORGET_SECONDS)
        self._counts += np.bincount(places, minlength=len(self._counts))

    @property
    def power(self) -> float:
        """Mean square that a twentieth of the frames heard so far exceeds; 0 before anything was heard."""
        total = self._counts.sum()
        if not total:
            return 0.0
        place = int(np.searchsorted(self._counts.cumsum(), (1 - LOUD_SHARE) * total))
        return float(10 ** ((FLOOR + STEP * place) / 10)) if place else 0.0

    def gain(self, level: float) -> np.float32:
        """Factor that brings what was heard to a level in dBFS; 1 for silence."""
        return gain_to(level, self.power)
