"""Where masks of windows lie on the frames of a network that hears the audio once, windows or not."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speakerdiar.frames import runs


@dataclass(frozen=True, eq=False)
class MaskRuns:
    """Runs of network frames that masks keep, sorted by row.

    Attributes:
        runs: int64 (R, 2), first frame and the one behind the last.
        rows: int64 (R,), the mask that each run is of.
        frames: int64 (N,), frames that each mask keeps.
        ends: int64 (N,), the frame behind the last one that each mask keeps; 0 where it keeps none.
    """

    runs: NDArray[np.int64]
    rows: NDArray[np.int64]
    frames: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(
        cls, starts: NDArray[np.int64], length: int, masks: NDArray[np.bool_], hop: int, width: int, total: int
    ) -> MaskRuns:
        """Find them.

        Args:
            starts: (N,), first sample of each window.
            length: samples of a window.
            masks: (N, F), which of the F equal parts of the window are kept.
            hop: samples from one network frame to the next.
            width: network frames of a window.
            total: network frames of the audio; what sticks out of it isn't kept.
        """
        nearest = (starts + hop // 2) // hop
        places = nearest[:, None] + np.arange(width)  # (N, width)
        parts = (places * hop - starts[:, None]) * masks.shape[1] // length
        kept = np.take_along_axis(masks, parts.clip(0, masks.shape[1] - 1), axis=1) & (places < total)
        edges = np.diff(np.pad(kept, ((0, 0), (1, 1))).astype(np.int8), axis=1)
        rows, begin = np.nonzero(edges == 1)
        end = np.nonzero(edges == -1)[1]
        found = np.stack([begin, end], axis=1) + nearest[rows][:, None]
        ends = np.zeros(len(masks), dtype=np.int64)
        ends[rows] = found[:, 1]  # the last run of a row is written last
        return cls(found, rows, kept.sum(axis=1), ends)

    def needed(self, first: int, last: int) -> NDArray[np.bool_]:
        """Return which frames from `first` to `last` some mask keeps: (last - first,)."""
        changes = np.zeros(last - first + 1, dtype=np.int64)
        np.add.at(changes, (self.runs[:, 0] - first).clip(0, last - first), 1)
        np.add.at(changes, (self.runs[:, 1] - first).clip(0, last - first), -1)
        return changes[:-1].cumsum() > 0

    def only(self, chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the runs of some masks (sorted), (r, 2), and which of these masks each run is of, (r,)."""
        mine = np.isin(self.rows, chosen)
        return self.runs[mine], np.searchsorted(chosen, self.rows[mine])


def tiles(needed: NDArray[np.bool_], longest: int, gap: int) -> list[tuple[int, int]]:
    """Cover the frames that are needed with tiles of about one length.

    Args:
        needed: (T,).
        longest: frames of a tile at most.
        gap: fewer frames than these between two that are needed are covered as well.

    Returns:
        First frame and the one behind the last of each tile.
    """
    found: list[tuple[int, int]] = []
    filled = needed.copy()
    for first, last in runs(~needed).tolist():
        if last - first < gap and first > 0 and last < len(needed):
            filled[first:last] = True
    for first, last in runs(filled).tolist():
        borders = np.linspace(first, last, 1 + -(-(last - first) // longest)).astype(int).tolist()
        found.extend(itertools.pairwise(borders))
    return found
