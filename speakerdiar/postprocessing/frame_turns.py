"""Turns from who talks in each frame, with pyannote.audio's times.

A turn runs from the middle of its first frame to the middle of the first frame behind it in which the speaker is
silent; one that lasts to the end runs to the middle of the last frame. `binarize` cuts scores at the borders of frames,
as NeMo does.

Confidence comes of the windows that hear a frame: each has a say of its own, and is more or less certain of it. What a
speaker gets in a frame is the mean, over these windows, of the certainty of those that hear the speaker there and 0 of
those that don't: the share of windows that agree, times how certain they are. It is 1 where all windows hear the
speaker beyond doubt, and falls with each that has doubts or disagrees. It is no probability, and says nothing of
whether clustering gave the speaker the right name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.annotation import Confidence, Turn
from speakerdiar.config import PostProcessingParams
from speakerdiar.errors import InputError
from speakerdiar.postprocessing import segments as algebra
from speakerdiar.postprocessing.binarize import filter_durations
from speakerdiar.postprocessing.local_speech import LocalSpeech
from speakerdiar.postprocessing.reconstruction import (
    WINDOWS_AT_ONCE,
    Block,
    check_labels,
    clusters_of,
    total_frames,
    window_means,
)
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
        names: name of each column; `0`, `1`, ... by default. Columns without a turn need none.

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


def turn_confidence(
    turns: Sequence[Turn],
    speech: LocalSpeech,
    labels: NDArray[np.integer[Any]],
    *,
    names: Sequence[str] | None = None,
    windows_at_once: int = WINDOWS_AT_ONCE,
) -> tuple[Turn, ...]:
    """Return the turns with the mean of what their speakers get in the turns' frames (see above) as confidence, 0..1.

    Pads and filled gaps count with the little that they have. Without `speech.certainty` windows count as certain.

    Args:
        turns: made by `frame_turns`, or with the same names.
        speech: who of the local speakers talks in each window.
        labels: the speaker whom each window's local speaker is, (windows, local speakers); below 0 for nobody.
        names: as for `frame_turns`.
        windows_at_once: windows of a block; never changes the result.

    Raises:
        InputError: labels of another shape, or a turn of somebody who isn't among the names.
    """
    speakers = int(labels.max(initial=-1)) + 1
    check_labels(speech, labels, speakers)
    columns, frames = _columns(turns, names), _frames_of(turns, speech)
    heard = columns < speakers  # others were invented: no window hears them
    reached = _reached(frames, columns * heard, _certain_shares(speech, labels, speakers, windows_at_once))
    means = np.clip(heard * (reached[1] - reached[0]) / np.maximum(frames[1] - frames[0], 1), 0, 1)
    return tuple(replace(turn, confidence=mean) for turn, mean in zip(turns, means.tolist(), strict=True))


def frame_confidence(
    speech: LocalSpeech,
    labels: NDArray[np.integer[Any]],
    active: NDArray[np.bool_],
    *,
    windows_at_once: int = WINDOWS_AT_ONCE,
) -> Confidence:
    """Return how far the windows agree with what each frame says, in 0..1.

    Where people talk it is the least of what each of them gets (see above) and of how much is lacking to 1 in what
    anyone else gets: as low as the frame's least certain speaker. In silence it is what silence gets.

    Args:
        speech: who of the local speakers talks in each window.
        labels: the speaker whom each window's local speaker is, (windows, local speakers); below 0 for nobody.
        active: who talks in each frame, (T, K): see `reconstruct`.
        windows_at_once: windows of a block; never changes the result.

    Returns:
        A score a frame, from second 0 to the end of the recording.

    Raises:
        InputError: labels or frames of another shape.
    """
    speakers = active.shape[1]
    check_labels(speech, labels, speakers)
    if len(active) != total_frames(speech):
        raise InputError(f"Who talks in {len(active)} frames: give it for all {total_frames(speech)}.")
    scores = np.zeros(len(active), dtype=np.float32)
    for first, shares in _certain_shares(speech, labels, speakers, windows_at_once):
        talks, gets = active[first : first + len(shares)], shares[:, :speakers]
        least = np.where(talks, gets, 1 - gets).min(axis=1, initial=1.0)
        scores[first : first + len(shares)] = np.where(talks.any(axis=1), least, shares[:, speakers])
    step = speech.grid.frame_seconds
    moments = (np.arange(math.ceil(speech.seconds / step - 1e-6)) + 0.5) * step
    nearest = np.clip(speech.grid.frame_grid.index(moments), 0, max(0, len(active) - 1))
    return Confidence(tuple(np.clip(scores[nearest], 0, 1).tolist()), step)


def _certain_shares(
    speech: LocalSpeech, labels: NDArray[np.integer[Any]], speakers: int, windows_at_once: int
) -> Iterator[Block]:
    """Yield what each speaker gets in each frame, and in a last column what silence gets."""

    def weighed(windows: slice) -> NDArray[np.float32]:
        silent = speech.bits[windows] == 0
        says = np.concatenate((clusters_of(speech, labels, speakers, windows), silent[:, None]), axis=1)
        if speech.certainty is None:
            return says.astype(np.float32)
        return says * np.asarray(speech.certainty[windows] / 255, dtype=np.float32)[:, None]

    return window_means(speech, weighed, speakers + 1, windows_at_once)


def _reached(
    frames: NDArray[np.int64], columns: NDArray[np.int64], blocks: Iterator[tuple[int, NDArray[Any]]]
) -> NDArray[np.float64]:
    """Return what each turn's column of the blocks sums up to before each of its two frames: (2, turns)."""
    order = np.argsort(frames, axis=None)
    at, column = frames.ravel()[order], np.tile(columns, 2)[order]
    sums, total = np.zeros(len(order)), np.zeros((1, 1))
    for first, block in blocks:
        running = np.cumsum(np.concatenate((np.broadcast_to(total, (1, block.shape[1])), block)), axis=0)
        here = slice(*np.searchsorted(at, (first, first + len(block) + 1)))
        sums[here] = running[at[here] - first, column[here]]
        total = running[-1:]
    found = np.empty(len(order))
    found[order] = sums
    return found.reshape(frames.shape)


def _columns(turns: Sequence[Turn], names: Sequence[str] | None) -> NDArray[np.int64]:
    """Return the column that each turn was made of: (turns,)."""
    known = {name: column for column, name in enumerate(names or ())}
    columns = np.zeros(len(turns), dtype=np.int64)
    for at, turn in enumerate(turns):
        numbered = names is None and turn.speaker.isdecimal()
        if not numbered and turn.speaker not in known:
            raise InputError(f"speaker={turn.speaker!r} isn't the name of a column: give `names`.")
        columns[at] = int(turn.speaker) if numbered else known[turn.speaker]
    return columns


def _frames_of(turns: Sequence[Turn], speech: LocalSpeech) -> NDArray[np.int64]:
    """Return the frames whose middles lie in each turn, one at least: first and last + 1, (2, turns)."""
    times = np.array([(turn.start, turn.end) for turn in turns]).reshape(-1, 2) - speech.grid.middle(0)
    first, last = np.ceil(times / speech.grid.frame_seconds - 1e-6).astype(np.int64).T
    first = np.clip(first, 0, max(0, total_frames(speech) - 1))
    return np.stack((first, np.clip(last, first + 1, max(total_frames(speech), 1))))


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
        return str(column)
    if column >= len(names):
        raise InputError(f"Column {column} talks and there are {len(names)} names: give one a column.")
    return names[column]
