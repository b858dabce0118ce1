"""Algebra on the segments of one speaker: float64 arrays (segments, 2) of (start, end) in seconds.

Durations and gaps come from sums and differences of times that binary fractions can't hold (three frames of 0.08 s are
0.24 s), so comparisons forgive `TOLERANCE` seconds: equal on paper is equal here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

TOLERANCE = 1e-6


def as_segments(rows: ArrayLike) -> NDArray[np.float64]:
    """Return rows of (start, end) as a float64 array (segments, 2), also where there are none."""
    return np.asarray(rows, dtype=np.float64).reshape(-1, 2)


def pad(segments: ArrayLike, before: float, after: float) -> NDArray[np.float64]:
    """Lengthen every segment by `before` seconds in front and `after` behind. They may then overlap: see `merge`."""
    rows = as_segments(segments)
    return np.stack([rows[:, 0] - before, rows[:, 1] + after], axis=1)


def merge(segments: ArrayLike) -> NDArray[np.float64]:
    """Join segments that touch or overlap; the result is sorted."""
    return _joined(as_segments(segments), lambda gaps: gaps <= TOLERANCE)


def fill_gaps(segments: ArrayLike, shortest: float) -> NDArray[np.float64]:
    """Join segments less than `shortest` seconds apart, and those that touch or overlap; the result is sorted."""
    return _joined(as_segments(segments), lambda gaps: (gaps <= TOLERANCE) | (gaps < shortest - TOLERANCE))


def drop_short(segments: ArrayLike, shortest: float) -> NDArray[np.float64]:
    """Drop segments of less than `shortest` seconds."""
    rows = as_segments(segments)
    return rows[rows[:, 1] - rows[:, 0] >= shortest - TOLERANCE]


def clip(segments: ArrayLike, start: float | None = None, end: float | None = None) -> NDArray[np.float64]:
    """Cut off what lies before `start` or after `end` (None: no limit) and drop the segments that are empty then."""
    limits = (-np.inf if start is None else start, np.inf if end is None else end)
    rows = np.clip(as_segments(segments), *limits)
    return rows[rows[:, 1] - rows[:, 0] > TOLERANCE]


def _joined(
    segments: NDArray[np.float64], close: Callable[[NDArray[np.float64]], NDArray[np.bool_]]
) -> NDArray[np.float64]:
    """Sort by start and join each segment to the ones before it where `close` holds for the gap between them."""
    if len(segments) < 2:
        return segments  # nothing to join: live use comes by here most of the time
    rows = segments[np.argsort(segments[:, 0], kind="stable")]
    ends = np.maximum.accumulate(rows[:, 1])
    apart = ~close(rows[1:, 0] - ends[:-1])
    first = np.concatenate(([True], apart))
    last = np.concatenate((apart, [True]))
    return np.stack([rows[first, 0], ends[last]], axis=1)
