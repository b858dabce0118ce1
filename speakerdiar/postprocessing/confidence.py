"""How sure the scores are of each turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.annotation import Turn
from speakerdiar.errors import InputError
from speakerdiar.frames import FrameGrid, FrameScores

if TYPE_CHECKING:
    from numpy.typing import NDArray


def turn_confidence(scores: FrameScores, turns: Sequence[Turn]) -> NDArray[np.float64]:
    """Return the mean score of each turn's own speaker over the turn's frames: (turns,).

    Turn borders go to the nearest frame border; a turn shorter than that has the one frame in which its middle lies.
    Pads and filled gaps count with the low scores that they have. Time outside the frames doesn't count.

    Raises:
        InputError: a turn's speaker has no column, or there are no frames.
    """
    if not turns:
        return np.zeros(0)
    frames = len(scores)
    if not frames:
        raise InputError(f"There are no frames to score {len(turns)} turns with.")
    column = _columns(scores, turns)
    times = np.array([(turn.start, turn.end) for turn in turns])
    first, last = frames_of(times, scores.grid, frames)
    total = np.zeros((frames + 1, scores.data.shape[1]))
    np.cumsum(scores.data, axis=0, dtype=np.float64, out=total[1:])
    return np.asarray((total[last, column] - total[first, column]) / (last - first))


def frames_of(times: NDArray[np.float64], grid: FrameGrid, frames: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the frames that `turn_confidence` looks at: first and last + 1, each (turns,).

    Args:
        times: start and end of each turn in seconds, (turns, 2).
        grid: where the frames lie.
        frames: how many there are, 1 or more.
    """
    first, last = np.clip(grid.border(times), 0, frames).T
    middle = np.clip(grid.index(times.mean(axis=1)), 0, frames - 1)
    empty = last <= first
    return np.where(empty, middle, first), np.where(empty, middle + 1, last)


def with_confidence(scores: FrameScores, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Return the turns with their `turn_confidence` on them."""
    values = turn_confidence(scores, turns).tolist()
    return tuple(replace(turn, confidence=value) for turn, value in zip(turns, values, strict=True))


def _columns(scores: FrameScores, turns: Sequence[Turn]) -> NDArray[np.int64]:
    position = {name: index for index, name in enumerate(scores.speakers)}
    for turn in turns:
        if turn.speaker not in position:
            raise InputError(f"speaker={turn.speaker!r} has no scores; columns: {', '.join(scores.speakers)}.")
    return np.array([position[turn.speaker] for turn in turns], dtype=np.int64)
