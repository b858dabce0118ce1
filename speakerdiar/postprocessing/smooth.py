"""Smoothing of frame scores along time.

A window that sticks out at an end sees the scores mirrored there (`c b a | a b c`), so that nothing is made up and
speech at the very end isn't pulled towards silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def median_smooth(scores: NDArray[Any], frames: int, axis: int = 0) -> NDArray[Any]:
    """Replace each score by the median of the `frames` scores around it; same shape and type as `scores`.

    Spikes and holes of fewer than half of the frames vanish; longer speech keeps its borders where they are.

    Raises:
        ConfigError: `frames` isn't an odd number of 1 or more.
    """
    from scipy.ndimage import median_filter

    return _filtered(median_filter, scores, frames, axis)


def mean_smooth(scores: NDArray[Any], frames: int, axis: int = 0) -> NDArray[Any]:
    """Replace each score by the mean of the `frames` scores around it; same shape and type as `scores`.

    Raises:
        ConfigError: `frames` isn't an odd number of 1 or more.
    """
    from scipy.ndimage import uniform_filter

    return _filtered(uniform_filter, scores, frames, axis)


def _filtered(smoother: Any, scores: NDArray[Any], frames: int, axis: int) -> NDArray[Any]:
    if not is_count(frames, least=1) or frames % 2 == 0:
        raise ConfigError(f"frames={frames!r}: give an odd number of frames, so that the window has a middle.")
    array = np.asarray(scores)
    if array.size == 0:
        return array.copy()
    size = [1] * array.ndim
    size[axis] = frames
    return np.asarray(smoother(array, size=tuple(size), mode="reflect"))
