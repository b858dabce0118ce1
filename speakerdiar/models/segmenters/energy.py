"""A voice activity detector without weights: energy above a tracked noise floor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError
from speakerdiar.mixins.segmentation import BLOCK_SECONDS, SegmentationMixin

FRAME_SECONDS = 0.02
DIGITAL_SILENCE_DBFS = -120.0


class EnergyVad(SegmentationMixin):
    """Speech is what stands out of the noise floor; a baseline, and a stand-in where weights aren't wanted.

    The floor is the level that a tenth of the last 30 s stay below. The score of a frame is a logistic function of its
    level: 0.5 at the threshold, which lies `margin_db` above the floor, or half the way from the floor to the
    loud frames where that is more. So a recording and a quieter copy of it give the same scores, down to `min_dbfs`.

    Args:
        sample_rate: Hz.
        margin_db: least distance of the threshold from the noise floor.
        max_floor_dbfs: noise isn't taken to be louder than this; keeps speech without pauses from being its own floor.
        min_dbfs: frames below this level aren't speech, whatever surrounds them.
        slope_db: change of level that takes the score from 0.5 to 0.73.

    Raises:
        ConfigError: an option has a value that can't be used.
    """

    def __init__(
        self,
        *,
        sample_rate: int = 16000,
        margin_db: float = 6.0,
        max_floor_dbfs: float = -45.0,
        min_dbfs: float = -75.0,
        slope_db: float = 2.0,
    ) -> None:
        if not is_count(sample_rate, least=100):
            raise ConfigError(f"sample_rate={sample_rate!r}: give a rate in Hz, e.g. 16000.")
        for name, value in (("margin_db", margin_db), ("slope_db", slope_db)):
            if not 0 < value < math.inf:
                raise ConfigError(f"{name}={value!r}: give decibels above 0.")
        for name, value in (("max_floor_dbfs", max_floor_dbfs), ("min_dbfs", min_dbfs)):
            if not -math.inf < value <= 0:
                raise ConfigError(f"{name}={value!r}: give decibels below full scale, e.g. -45.")
        self._sample_rate = sample_rate
        self.margin_db, self.slope_db = margin_db, slope_db
        self.max_floor_dbfs, self.min_dbfs = max_floor_dbfs, min_dbfs

    @property
    def sample_rate(self) -> int:
        """Hz of the samples that the model takes."""
        return self._sample_rate

    @property
    def frame_samples(self) -> int:
        """Samples of a frame: 20 ms."""
        return round(FRAME_SECONDS * self._sample_rate)

    def _segment_block(self, samples: NDArray[np.float32], state: Any) -> tuple[NDArray[np.float32], Any]:
        """Score a block; the state is the levels of the last 30 s."""
        levels = _levels(samples, self.frame_samples)  # (T,) dBFS
        memory = round(BLOCK_SECONDS / FRAME_SECONDS)
        known = np.concatenate([levels if state is None else state, levels])[-max(memory, len(levels)) :]
        excess = (levels - self._threshold(known)) / self.slope_db
        scores = np.where(levels >= self.min_dbfs, 1 / (1 + np.exp(-np.clip(excess, -50, 50))), 0.0)
        return scores[:, None].astype(np.float32), known[-memory:]

    def _threshold(self, levels: NDArray[np.float64]) -> float:
        low, high = np.percentile(levels, [10, 95])
        floor = min(float(low), self.max_floor_dbfs)
        return floor + max(self.margin_db, 0.5 * (float(high) - floor))


def _levels(samples: NDArray[np.float32], frame: int) -> NDArray[np.float64]:
    """Level of each frame in dBFS, (ceil(n / frame),); the last frame's is that of the samples there are."""
    starts = np.arange(0, len(samples), frame)
    energy = np.add.reduceat(np.square(samples, dtype=np.float64), starts)
    counts = np.minimum(frame, len(samples) - starts)
    return np.asarray(10 * np.log10(np.maximum(energy / counts, 10 ** (DIGITAL_SILENCE_DBFS / 10))))
