"""Turns from who talks in each frame, with pyannote.audio's times.

A turn runs from the middle of its first frame to the middle of the first frame behind it in which the speaker is
silent; one that lasts to the end runs to the middle of the last frame. `binarize` cuts scores at the borders of frames,
as NeMo does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from speakerdiar.annotation import Turn
from speakerdiar.config import PostProcessingParams
from speakerdiar.errors import InputError
from speakerdiar.postprocessing import segments as algebra
from speakerdiar.postprocessing.binarize import filter_durations
from speakerdiar.windows import WindowGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAMES_AT_ONCE = 1 << 16


def frame_turns(
    active: NDArray[np.bool_] | Iterable[tuple[int, NDArray[np.bool_]]],
    grid: WindowGrid,
    *,
    params: PostProcessingParams | None = None,
    end: float | None = None,
    names: Sequence[str] | None = None,
) -> tuple[Turn, ...]:
    """Return the turns of each speaker, sorted.

    Args:
        active: who talks in each frame, (T, K); or the same as blocks one after the other (see `reconstruct_blocks`).
        grid: where the frames lie.
        params: pads, shortest turn and shortest gap; gaps shorter than `min_duration_off` are filled. pyannote.audio
            fills gaps before it drops short turns: `filter_speech_first=False`. Thresholds play no part.
        end: seconds at which the audio ends: windows reach past it, turns don't. None sets no limit.
        names: name of each column; `SPEAKER_00`, ... by default. Columns without a turn need none.

    Raises:
        InputError: blocks that leave gaps, or a column that talks and has no name.
    """
    chosen = params or PostProcessingParams()
    columns, edges = _edges(_blocks(active))
    times = np.asarray(grid.middle(edges), dtype=np.float64)
    found = []
    for column in np.unique(columns).tolist():
        padded = algebra.pad(times[columns == column], chosen.pad_onset, chosen.pad_offset)
        kept = algebra.clip(filter_durations(algebra.clip(padded, start=0.0), chosen), end=end)
        name = _name(column, names)
        found += [Turn(start, stop, name) for start, stop in kept.tolist()]
    return tuple(sorted(found))


def _blocks(
    active: NDArray[np.bool_] | Iterable[tuple[int, NDArray[np.bool_]]],
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    if isinstance(active, np.ndarray):
        return ((first, active[first : first + FRAMES_AT_ONCE]) for first in range(0, len(active), FRAMES_AT_ONCE))
    return iter(active)


def _edges(blocks: Iterator[tuple[int, NDArray[np.bool_]]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the column of each turn, (turns,), and its first frame and first silent frame, (turns, 2), by column."""
    frames, columns = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    before, reached = np.zeros((1, 0), dtype=bool), 0
    for first, block in blocks:
        if first != reached:
            raise InputError(f"A block begins at frame {first}: frame {reached} comes next.")
        if not reached:
            before = np.zeros((1, block.shape[1]), dtype=bool)
        talks = np.concatenate((before, block))
        at, column = np.nonzero(talks[1:] ^ talks[:-1])
        frames.append(at + first)
        columns.append(column)
        before, reached = talks[-1:], first + len(block)
    talking = np.flatnonzero(before)
    # Whoever talks in the last frame is silent nowhere behind it: the turn ends where that frame is centred.
    frames.append(np.full(len(talking), reached - 1))
    columns.append(talking)
    order = np.argsort(np.concatenate(columns), kind="stable")
    return np.concatenate(columns)[order][::2], np.concatenate(frames)[order].reshape(-1, 2)


def _name(column: int, names: Sequence[str] | None) -> str:
    if names is None:
        return f"SPEAKER_{column:02d}"
    if column >= len(names):
        raise InputError(f"Column {column} talks and there are {len(names)} names: give one a column.")
    return names[column]
