"""Votes of overlapping windows on who talks in each frame, as the windows come.

Each frame is settled by the windows that saw it: a speaker talks where more than a share of them say so. No more is
held than the longest window, however long the recording.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from speakerdiar.errors import ConfigError, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class WindowVotes:
    """Counts the votes of windows that come in the order of their first frames, and settles frames from 0 on.

    Args:
        speakers: columns of each window.
        share: a speaker talks where more than this share of the windows say so, 0 or more and less than 1.

    Raises:
        ConfigError: another share.
    """

    def __init__(self, speakers: int, share: float = 0.5) -> None:
        if not 0 <= share < 1:
            raise ConfigError(f"share={share!r}: give a number from 0 to less than 1.")
        self._share = share
        self._first = 0
        self._votes = np.zeros((0, speakers), dtype=np.int32)
        self._seen = np.zeros((0, 1), dtype=np.int32)

    def add(self, first_frame: int, active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Count a window and return the frames that it settles: (K, speakers), next to those settled before.

        These are the frames before the window, which no later one can reach; silent where no window saw them.

        Args:
            first_frame: where the window begins.
            active: who talks in each of its frames, (F, speakers).

        Raises:
            InputError: a window that begins before an earlier one, or another number of columns.
        """
        if first_frame < self._first:
            raise InputError(f"A window begins at frame {first_frame}, after one at {self._first}: give them in order.")
        speakers = self._votes.shape[1]
        if active.ndim != 2 or active.shape[1] != speakers:
            raise InputError(f"A window has shape {active.shape}: give (frames, {speakers}).")
        settled = self._settled(first_frame - self._first)
        more = max(0, len(active) - len(self._votes))
        self._votes = np.pad(self._votes, ((0, more), (0, 0)))
        self._seen = np.pad(self._seen, ((0, more), (0, 0)))
        self._votes[: len(active)] += active
        self._seen[: len(active)] += 1
        return settled

    def finish(self) -> NDArray[np.bool_]:
        """Return the frames that are left, up to the end of the window that reaches farthest: (K, speakers)."""
        return self._settled(len(self._votes))

    def _settled(self, frames: int) -> NDArray[np.bool_]:
        held = self._votes[:frames] > self._share * self._seen[:frames]
        self._votes, self._seen = self._votes[frames:], self._seen[frames:]
        self._first += frames
        return np.pad(held, ((0, frames - len(held)), (0, 0)))
