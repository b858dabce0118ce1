"""Scores to segments by two thresholds, with NeMo's exact meaning.

A speaker who is silent starts to talk in the first frame whose score is above `onset`; one who talks stops in the first
frame whose score is below `offset`. Both comparisons are strict. So each frame does one of four things to the state:

    score > onset, not below offset    on
    score < offset, not above onset    off
    both (needs offset > onset)        toggle: whoever talks stops, whoever is silent starts
    neither                            keep

The state after a frame is what the last on or off frame said, turned round if an odd number of toggles followed; that
takes one running parity and one forward fill, and no loop over frames (`talking`).

Toggles make the result depend on the length of the frames. NeMo 2 and 3.0 cut each 80 ms frame into eight of 10 ms,
all of one score, so that a frame of toggles leaves the state as it found it; later versions run on the 80 ms frames.
`subframe=8` gives the first, `subframe=1` the second. Without toggles (onset >= offset) both agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.annotation import Turn
from speakerdiar.config import PostProcessingParams, is_count
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.frames import FrameGrid, FrameScores, runs
from speakerdiar.postprocessing import segments as algebra

if TYPE_CHECKING:
    from numpy.typing import NDArray


def binarize(
    scores: NDArray[Any],
    params: PostProcessingParams,
    *,
    grid: FrameGrid,
    subframe: int = 1,
    end: float | None = None,
    legacy_open_end: bool = False,
) -> list[NDArray[np.float64]]:
    """Return the segments of each speaker: one array (segments, 2) of (start, end) seconds, sorted and disjoint.

    Args:
        scores: (frames, speakers), or (frames,) for one speaker.
        params: thresholds, pads and durations.
        grid: where the frames lie. Nothing begins before `grid.start`.
        subframe: equal parts that each frame is cut into; it matters where `params.offset > params.onset`.
        end: seconds at which the audio ends; what runs past it is cut off. None lets pads stick out, as NeMo does.
        legacy_open_end: end speech that lasts to the last (sub)frame where that frame begins, as NeMo 3.0.0 does.

    Raises:
        InputError: scores of another shape, or with NaN in them.
        ConfigError: `subframe` isn't a whole number of 1 or more.
    """
    if not is_count(subframe, least=1):
        raise ConfigError(f"subframe={subframe!r}: give a whole number, 1 or more.")
    parts = subframe if params.offset > params.onset else 1  # without toggles, parts of a frame are all alike
    active = talking(as_columns(scores), float(params.onset), float(params.offset), parts)
    found = []
    for column in active.T:
        edges = runs(column) * (subframe // parts)
        if legacy_open_end and column[-1:].any():
            edges[-1, 1] -= 1
        times = grid.start + edges * (grid.step / subframe)
        padded = algebra.pad(times, params.pad_onset, params.pad_offset)
        kept = filter_durations(algebra.clip(padded, start=grid.start), params)
        found.append(algebra.clip(kept, end=end))
    return found


def to_turns(
    scores: FrameScores,
    params: PostProcessingParams | None = None,
    *,
    subframe: int = 1,
    end: float | None = None,
) -> tuple[Turn, ...]:
    """Return the turns that the scores give, sorted, with the scores' own speaker names. See `binarize`."""
    per_speaker = binarize(scores.data, params or PostProcessingParams(), grid=scores.grid, subframe=subframe, end=end)
    named = zip(scores.speakers, per_speaker, strict=True)
    return tuple(sorted(Turn(start, stop, speaker) for speaker, rows in named for start, stop in rows.tolist()))


def talking(
    scores: NDArray[Any], onset: float, offset: float, subframe: int = 1, before: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Return when each speaker talks: bool, (frames * subframe, speakers).

    The thresholds are rounded to the precision of `scores` (frames, speakers), as torch does.

    Args:
        scores: (frames, speakers).
        onset: score above which a speaker starts.
        offset: score below which a speaker stops.
        subframe: equal parts that each frame is cut into.
        before: who talks before the first frame, (speakers,): where a stream goes on. None: all are silent.
    """
    rows = np.ascontiguousarray(scores.T)
    # A frame in front that sets everyone's state: whatever is looked for further back is found there.
    above, below = np.zeros((2, len(rows), rows.shape[1] * subframe + 1), dtype=bool)
    above[:, 1:] = np.repeat(rows > onset, subframe, axis=1)
    below[:, 1:] = np.repeat(rows < offset, subframe, axis=1)
    above[:, 0] = False if before is None else before
    parity = np.logical_xor.accumulate(above & below, axis=1)
    decided = above ^ below
    decided[:, 0] = True
    # state = parity ^ base, where each on or off frame chooses the base that gives the right state there and after it.
    places = np.flatnonzero(decided)
    base = (above ^ parity).ravel()[places]
    lasting = np.diff(places, append=decided.size)
    return np.asarray((parity ^ np.repeat(base, lasting).reshape(parity.shape))[:, 1:].T)


def filter_durations(segments: NDArray[np.float64], params: PostProcessingParams) -> NDArray[np.float64]:
    """Merge what touches, then drop short segments and fill short gaps, in the order that the parameters ask for."""
    merged = algebra.merge(segments)
    if params.filter_speech_first:
        return algebra.fill_gaps(algebra.drop_short(merged, params.min_duration_on), params.min_duration_off)
    return algebra.drop_short(algebra.fill_gaps(merged, params.min_duration_off), params.min_duration_on)


def as_columns(scores: NDArray[Any]) -> NDArray[Any]:
    """Return scores as (frames, speakers), also those of one speaker. Raises InputError for other shapes and NaN."""
    array = np.asarray(scores)
    if array.ndim not in (1, 2):
        raise InputError(f"Scores have shape {array.shape}: give (frames,) or (frames, speakers).")
    if np.isnan(array).any():
        raise InputError("Scores hold NaN: look for the cause in what made them (silence, overflow), and give numbers.")
    return array if array.ndim == 2 else array[:, None]
