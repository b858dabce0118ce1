"""Frames in which speakers are active to turns, by FunASR's rules for SOND: a median filter, then the longer runs.

The median of bits is a count: a frame is active where enough of the frames around it are. It takes linear time,
whatever the size of the filter. Frames beyond either end count as silent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError
from speakerdiar.frames import runs

if TYPE_CHECKING:
    from numpy.typing import NDArray


def smoothed_turns(
    active: NDArray[np.bool_], step: float = 0.01, smooth_size: int = 83, dur_threshold: float = 10
) -> list[NDArray[np.float64]]:
    """Return when each speaker talks, in seconds: one array (turns, 2) of starts and ends a speaker.

    Args:
        active: who talks in each frame, (T, speakers).
        step: seconds of a frame.
        smooth_size: frames of the median filter; 1 changes nothing.
        dur_threshold: only runs of more frames than this become turns; 0 keeps all.

    Raises:
        ConfigError: an option that isn't such a number.
    """
    return long_runs(median_activity(active, smooth_size), step, dur_threshold)


def median_activity(active: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Return the median over time of who talks in each frame, (T, speakers): bool, same shape.

    It is that of `scipy.ndimage.median_filter` with zeros beyond the ends: `size` frames, of which `size // 2` lie
    before the one in question; half of an even number of frames suffice.

    Raises:
        ConfigError: `size` isn't a whole number of 1 or more.
    """
    if not is_count(size, least=1):
        raise ConfigError(f"smooth_size={size!r}: give a whole number of frames, 1 for none but the frame itself.")
    before = size // 2
    smoothed = np.empty(active.shape, dtype=bool)
    for speaker in range(active.shape[1]):
        padded = np.pad(active[:, speaker], (before + 1, size - before - 1))
        counts = np.cumsum(padded, dtype=np.int32)
        smoothed[:, speaker] = counts[size:] - counts[:-size] >= size - before
    return smoothed


def long_runs(active: NDArray[np.bool_], step: float = 0.01, dur_threshold: float = 10) -> list[NDArray[np.float64]]:
    """Return the runs of more than `dur_threshold` frames in seconds: one array (runs, 2) a speaker.

    Args:
        active: who talks in each frame, (T, speakers).
        step: seconds of a frame.
        dur_threshold: as for `smoothed_turns`.

    Raises:
        ConfigError: a negative threshold, or a step that isn't above 0.
    """
    if not dur_threshold >= 0:
        raise ConfigError(f"dur_threshold={dur_threshold!r}: give a number of frames, 0 or more.")
    if not step > 0:
        raise ConfigError(f"step={step!r}: give the seconds of a frame, above 0.")
    found = [runs(active[:, speaker]) for speaker in range(active.shape[1])]
    # Times are frame / 100 at 10 ms, as FunASR prints them: 35 * 0.01 would be 0.35000000000000003.
    return [rows[rows[:, 1] - rows[:, 0] > dur_threshold] / (1 / step) for rows in found]
