"""What one pass of local segmentation says without clustering: speech, overlap, speaker changes, and how many talk.

None of it needs to know who the local speakers are. A change is a moment at which other people talk than before it,
or than before a short pause; each window finds its own, and those that windows agree on stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from speakerdiar.annotation import Segment
from speakerdiar.config import PostProcessingParams
from speakerdiar.errors import ConfigError
from speakerdiar.frames import FrameGrid, runs
from speakerdiar.postprocessing.frame_turns import frame_turns
from speakerdiar.postprocessing.local_speech import LocalSpeech
from speakerdiar.postprocessing.reconstruction import WINDOWS_AT_ONCE, speakers_at_once, total_frames, window_means

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class SpeechActivity:
    """When anybody talks, whoever it is. Times are seconds from the start of what was heard.

    Attributes:
        duration: length of the recording.
        speech: where one person talks or more.
        overlap: where two talk at once or more.
        changes: moments from which on other people talk than before.
        count: uint8, (frames,): how many talk in each frame; frames whose middles lie behind the end are left out.
        grid: where the frames lie.
    """

    duration: float
    speech: tuple[Segment, ...]
    overlap: tuple[Segment, ...]
    changes: tuple[float, ...]
    count: NDArray[np.uint8]
    grid: FrameGrid


@dataclass(frozen=True)
class ChangeParams:
    """How speaker changes are found. The defaults are a balance of missed and false changes on meetings and calls.

    Attributes:
        pause: seconds of silence at most between those who talk before a change and those who talk after it; the change
            lies in the middle.
        agreement: share of the windows over a change that must see it, in ]0, 1]; those that see it elsewhere count for
            less, the further off they see it.
        reach: seconds from which on they count for nothing; of changes nearer to each other the one that more windows
            see stays.
    """

    pause: float = 0.5
    agreement: float = 0.3
    reach: float = 0.1

    def __post_init__(self) -> None:
        if not self.pause >= 0:
            raise ConfigError(f"pause={self.pause!r}: give seconds, 0 or more.")
        if not 0 < self.agreement <= 1:
            raise ConfigError(f"agreement={self.agreement!r}: give a share above 0, at most 1.")
        if not 0 < self.reach < np.inf:
            raise ConfigError(f"reach={self.reach!r}: give seconds above 0.")


def speech_activity(
    speech: LocalSpeech,
    params: PostProcessingParams | None = None,
    *,
    changes: ChangeParams | None = None,
    windows_at_once: int = WINDOWS_AT_ONCE,
) -> SpeechActivity:
    """Return speech, overlap, speaker changes and the number of speakers, from local speakers alone.

    Args:
        speech: who of the local speakers talks in each window.
        params: pads, shortest segments and gaps, of speech and of overlap alike (see `frame_turns`).
        changes: how speaker changes are found.
        windows_at_once: windows of a block; never changes the result.
    """
    count = speakers_at_once(speech, windows_at_once=windows_at_once)
    found = speaker_changes(speech, changes, windows_at_once=windows_at_once)
    inside = int(np.searchsorted(speech.grid.middle(np.arange(len(count))), speech.seconds))
    return SpeechActivity(
        duration=speech.seconds,
        speech=_segments(count >= 1, speech, params),
        overlap=_segments(count >= 2, speech, params),
        changes=tuple(found.tolist()),
        count=count[:inside],
        grid=speech.grid.frame_grid,
    )


def speaker_changes(
    speech: LocalSpeech, params: ChangeParams | None = None, *, windows_at_once: int = WINDOWS_AT_ONCE
) -> NDArray[np.float64]:
    """Return the moments (seconds) at which other people start to talk than those who talked before, in order.

    Somebody who joins in, and somebody who stops while another goes on, make a change too; a mere pause doesn't.

    Args:
        speech: who of the local speakers talks in each window.
        params: how changes are found.
        windows_at_once: windows of a block; never changes the result.
    """
    chosen, grid = params or ChangeParams(), speech.grid
    pause = round(chosen.pause / grid.frame_seconds)

    def seen(windows: slice) -> NDArray[np.bool_]:
        return changes_of_windows(speech.bits[windows], pause)[:, None]

    share = np.zeros(total_frames(speech), dtype=np.float32)
    for first, means in window_means(speech, seen, 1, windows_at_once):
        share[first : first + len(means)] = means[:, 0]
    peaks = _peaks(share, chosen.agreement, max(1, round(chosen.reach / grid.frame_seconds)))
    times = np.asarray(grid.middle(peaks), dtype=np.float64)
    return times[times < speech.seconds]


def changes_of_windows(bits: NDArray[np.uint8], pause: int) -> NDArray[np.bool_]:
    """Return at which frames of each window other people talk than before: bool, (windows, frames).

    Args:
        bits: who talks, as sets (windows, frames).
        pause: frames of silence at most between the two; the change is at the middle one then.
    """
    found = np.zeros(bits.shape, dtype=bool)
    begins = np.ones(bits.shape, dtype=bool)
    begins[:, 1:] = bits[:, 1:] != bits[:, :-1]
    window, first = np.nonzero(begins)
    last = np.where(np.append(window[1:] == window[:-1], False), np.append(first[1:], 0), bits.shape[1])
    who = bits[window, first]
    talks = np.flatnonzero(who)
    before, after = talks[:-1], talks[1:]
    changed = (window[before] == window[after]) & (who[before] != who[after]) & (first[after] - last[before] <= pause)
    before, after = before[changed], after[changed]
    found[window[after], (last[before] + first[after]) // 2] = True
    return found


def _peaks(share: NDArray[np.float32], least: float, reach: int) -> NDArray[np.int64]:
    """Return the frames around which windows agree best that there is a change, in order.

    Each window's vote counts in full at its own frame and less and less up to `reach` frames away.
    """
    if not share.any():
        return np.zeros(0, dtype=np.int64)
    rising = np.arange(1, reach + 1) / reach
    around = np.convolve(share, np.concatenate((rising, rising[-2::-1])), mode="full")[reach - 1 :][: len(share)]
    padded = np.pad(around, reach - 1)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach - 1).max(axis=1)
    found = runs((around >= highest) & (around >= least - 1e-6))
    return np.asarray(found.sum(axis=1) // 2)


def _segments(
    active: NDArray[np.bool_], speech: LocalSpeech, params: PostProcessingParams | None
) -> tuple[Segment, ...]:
    turns = frame_turns(active[:, None], speech.grid, params=params, end=speech.seconds)
    return tuple(turn.segment for turn in turns)
