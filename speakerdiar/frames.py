"""Frame-wise scores, and the only place where a frame index meets seconds.

A frame `i` stands for the time from `start + i * step` to `start + (i + 1) * step`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.annotation import Segment, Turn
from speakerdiar.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class FrameGrid:
    """Frames of `step` seconds, the first of which begins at `start` seconds."""

    step: float
    start: float = 0.0

    def __post_init__(self) -> None:
        if not self.step > 0 or not math.isfinite(self.step) or not math.isfinite(self.start):
            raise InputError(f"Frames of {self.step} s from {self.start} s on: the step must be above 0, both finite.")

    def time(self, index: NDArray[Any] | int) -> Any:
        """Seconds at which the frame(s) `index` begin."""
        return self.start + index * self.step

    def index(self, time: NDArray[Any] | float) -> Any:
        """Index of the frame that holds `time` (seconds); borders belong to the frame that they begin."""
        # A border computed as start + i * step must come back as i in spite of rounding.
        return np.floor((np.asarray(time) - self.start) / self.step + 1e-6).astype(np.int64)

    def border(self, time: NDArray[Any] | float) -> Any:
        """Index of the frame border nearest to `time` (seconds)."""
        return np.rint((np.asarray(time) - self.start) / self.step).astype(np.int64)

    def count(self, seconds: float) -> int:
        """Frames needed to cover `seconds` from the start of the grid; the last one may stick out."""
        return max(0, math.ceil((seconds - self.start) / self.step - 1e-6))


@dataclass(frozen=True, eq=False)
class FrameScores:
    """Scores of every frame and speaker. Two objects are equal only if they are one and the same.

    Attributes:
        data: float32, (frames, speakers).
        grid: where the frames lie.
        speakers: a name for each column; `SPEAKER_00`, ... by default.
    """

    data: NDArray[np.float32]
    grid: FrameGrid
    speakers: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        data = np.asarray(self.data, dtype=np.float32)
        if data.ndim != 2:
            raise InputError(f"Frame scores have shape {data.shape}: give (frames, speakers).")
        names = self.speakers or tuple(f"SPEAKER_{index:02d}" for index in range(data.shape[1]))
        if len(names) != data.shape[1]:
            raise InputError(f"{len(names)} names for {data.shape[1]} columns of scores: give one a column.")
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "speakers", tuple(names))

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[tuple[Segment, NDArray[np.float32]]]:
        for index, row in enumerate(self.data):
            yield Segment(self.grid.time(index), self.grid.time(index + 1)), row

    @property
    def extent(self) -> Segment:
        """The time that the frames cover."""
        return Segment(self.grid.start, self.grid.time(len(self.data)))

    def crop(self, segment: Segment) -> FrameScores:
        """Keep the frames that share time with `segment`; none where it is empty or lies outside."""
        first = min(len(self.data), max(0, int(self.grid.index(segment.start))))
        last = max(first, min(len(self.data), self.grid.count(segment.end))) if segment else first
        grid = FrameGrid(self.grid.step, float(self.grid.time(first)))
        return FrameScores(self.data[first:last], grid, self.speakers)


def activity(turns: Iterable[Turn], speakers: Sequence[str], grid: FrameGrid, frames: int) -> NDArray[np.bool_]:
    """Return who is active in which frame: bool, (frames, speakers).

    Turn borders go to the nearest frame border; turns of names not among `speakers` are left out.
    """
    column = {name: index for index, name in enumerate(speakers)}
    active = np.zeros((frames, len(column)), dtype=bool)
    for turn in turns:
        if turn.speaker in column:
            first, last = np.clip(grid.border(np.array([turn.start, turn.end])), 0, frames)
            active[first:last, column[turn.speaker]] = True
    return active


def runs(active: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the runs of true frames in a bool vector (frames,): rows (first, last + 1), int64, (runs, 2)."""
    edges = np.diff(np.concatenate(([0], np.asarray(active, dtype=np.int8), [0])))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], axis=1)


def segments_of(active: NDArray[np.bool_], grid: FrameGrid) -> list[Segment]:
    """Return the stretches of time in which a bool vector (frames,) is true."""
    return [Segment(*grid.time(run)) for run in runs(active)]
