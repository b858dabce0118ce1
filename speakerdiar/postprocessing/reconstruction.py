"""Local speakers of overlapping windows back to one recording: how many talk at once, and who.

Windows overlap, so each frame of the recording is heard in several. What they say is added up frame by frame; a
running sum over a few dozen windows is all that is held, whatever the length of the recording. The arithmetic is that
of pyannote.audio: mean counts rounded half to even, and sums of votes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.errors import InputError
from speakerdiar.postprocessing.local_speech import LocalSpeech

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOWS_AT_ONCE = 64

Block = tuple[int, "NDArray[Any]"]
"""First frame of a stretch of the recording, and an array whose first axis is the stretch's frames."""


def speakers_at_once(
    speech: LocalSpeech, most: int | None = None, *, windows_at_once: int = WINDOWS_AT_ONCE
) -> NDArray[np.uint8]:
    """Return how many people talk in each frame: uint8, (T,).

    It is the mean over the windows that hear a frame, rounded half to even; 0 where no window reaches.

    Args:
        speech: who talks in each window.
        most: upper bound, where there is one.
        windows_at_once: windows of a block; never changes the result.
    """
    numbers = _bit_counts()

    def counted(windows: slice) -> NDArray[Any]:
        return numbers[speech.bits[windows]][:, None]

    counts = np.zeros(total_frames(speech), dtype=np.uint8)
    for first, sums in window_means(speech, counted, 1, windows_at_once):
        counts[first : first + len(sums)] = np.rint(sums[:, 0])
    return counts if most is None else np.minimum(counts, min(most, 255)).astype(np.uint8)


def activations(
    speech: LocalSpeech, labels: NDArray[np.integer[Any]], speakers: int, *, windows_at_once: int = WINDOWS_AT_ONCE
) -> NDArray[np.float32]:
    """Return how many windows hear each speaker in each frame: float32, (T, speakers).

    Arguments and errors as for `reconstruct`. Takes four bytes a frame and speaker: for a look at short recordings.
    """
    votes = np.zeros((total_frames(speech), speakers), dtype=np.float32)
    for first, sums in activation_blocks(speech, labels, speakers, windows_at_once=windows_at_once):
        votes[first : first + len(sums)] = sums
    return votes


def reconstruct(
    speech: LocalSpeech,
    labels: NDArray[np.integer[Any]],
    speakers: int,
    count: NDArray[np.integer[Any]],
    *,
    exact: bool = False,
    windows_at_once: int = WINDOWS_AT_ONCE,
) -> NDArray[np.bool_]:
    """Return who talks in each frame: the `count` speakers whom most windows hear.

    Of speakers heard equally often the first column wins.

    Args:
        speech: who of the local speakers talks in each window.
        labels: the speaker whom each window's local speaker is, (windows, local speakers); below 0 for nobody.
        speakers: how many there are.
        count: how many talk in each frame, (T,): see `speakers_at_once`. Its minimum with 1 gives the exclusive view.
        exact: give every frame as many speakers as `count` says, as pyannote.audio does, even ones whom no window hears
            there; where `count` passes `speakers`, columns of invented ones follow. Ties then fall as pyannote.audio's
            do on the same machine. Otherwise nobody unheard talks.
        windows_at_once: windows of a block; never changes the result.

    Returns:
        bool, (T, speakers), with `exact` (T, max(speakers, count)).

    Raises:
        InputError: labels or counts of another shape, or a label that isn't below `speakers`.
    """
    blocks = reconstruct_blocks(speech, labels, speakers, count, exact=exact, windows_at_once=windows_at_once)
    active = np.zeros((total_frames(speech), _columns(speakers, count, exact)), dtype=bool)
    for first, block in blocks:
        active[first : first + len(block)] = block
    return active


def reconstruct_blocks(
    speech: LocalSpeech,
    labels: NDArray[np.integer[Any]],
    speakers: int,
    count: NDArray[np.integer[Any]],
    *,
    exact: bool = False,
    windows_at_once: int = WINDOWS_AT_ONCE,
) -> Iterator[Block]:
    """Like `reconstruct`, block by block: pairs of a first frame and who talks from it on, bool (frames, speakers).

    Blocks follow each other without gaps and cover all frames. Errors are raised by the call itself.
    """
    if count.shape != (total_frames(speech),):
        raise InputError(f"Counts of shape {count.shape}: give one for each of {total_frames(speech)} frames.")
    columns = _columns(speakers, count, exact)
    heard = activation_blocks(speech, labels, speakers, windows_at_once=windows_at_once)
    return ((first, _strongest(votes, count[first : first + len(votes)], columns, exact)) for first, votes in heard)


def activation_blocks(
    speech: LocalSpeech, labels: NDArray[np.integer[Any]], speakers: int, *, windows_at_once: int = WINDOWS_AT_ONCE
) -> Iterator[Block]:
    """Like `activations`, block by block: pairs of the first frame and float32 (frames, speakers)."""
    check_labels(speech, labels, speakers)
    return _sums(speech, lambda windows: clusters_of(speech, labels, speakers, windows), speakers, windows_at_once)


def clusters_of(
    speech: LocalSpeech, labels: NDArray[np.integer[Any]], speakers: int, windows: slice
) -> NDArray[np.bool_]:
    """Return which speakers talk in some windows: bool, (windows, speakers, frames).

    A speaker talks where any local speaker with that label does.
    """
    heard, named = speech.active(windows), labels[windows]
    found = np.zeros((len(heard), speakers, speech.grid.frames), dtype=bool)
    for slot in range(speech.speakers):
        rows = np.flatnonzero(named[:, slot] >= 0)
        found[rows, named[rows, slot]] |= heard[rows, :, slot]
    return found


def window_means(
    speech: LocalSpeech, values: Callable[[slice], NDArray[Any]], columns: int, windows_at_once: int = WINDOWS_AT_ONCE
) -> Iterator[Block]:
    """Yield the mean of `values` over the windows that hear a frame; 0 where none does.

    Args:
        speech: says where windows lie.
        values: gives those of some windows, (windows, columns, frames).
        columns: how many values a frame has.
        windows_at_once: windows of a block; never changes the result.

    Yields:
        Pairs of the first frame and float32 (frames, columns), one after the other without gaps, to the last frame.
    """
    starts = speech.grid.first_frame(np.arange(len(speech)))
    for first, sums in _sums(speech, values, columns, windows_at_once):
        frames = first + np.arange(len(sums))
        begun, over = (np.searchsorted(edges, frames, side="right") for edges in (starts, starts + speech.grid.frames))
        yield first, sums / np.maximum(begun - over, 1).astype(np.float32)[:, None]


def total_frames(speech: LocalSpeech) -> int:
    """Frames of the recording, T: all that its windows reach."""
    return speech.grid.total_frames(len(speech))


def check_labels(speech: LocalSpeech, labels: NDArray[np.integer[Any]], speakers: int) -> None:
    """Raise InputError unless there is a label below `speakers` for each local speaker of each window."""
    expected = (len(speech), speech.speakers)
    if labels.shape != expected:
        raise InputError(f"Labels of shape {labels.shape}: give {expected}, one for each window and local speaker.")
    if labels.size and labels.max() >= speakers:
        raise InputError(
            f"Label {labels.max()} for {speakers} speakers: give labels below {speakers}, or more speakers."
        )


def _sums(
    speech: LocalSpeech, values: Callable[[slice], NDArray[Any]], columns: int, windows_at_once: int
) -> Iterator[Block]:
    """Add up the values of windows where they overlap; a frame goes out once no later window can reach it."""
    grid, windows = speech.grid, len(speech)
    places = grid.first_frame(np.arange(windows + 1))
    places[-1] = total_frames(speech)
    running = np.zeros((columns, 0), dtype=np.float32)
    for first in range(0, windows, windows_at_once):
        last = min(first + windows_at_once, windows)
        begin, done = int(places[first]), int(places[last])
        reach = max(done, int(places[last - 1]) + grid.frames)
        sums = np.zeros((columns, reach - begin), dtype=np.float32)
        sums[:, : running.shape[1]] = running
        for at, window in zip(places[first:last] - begin, values(slice(first, last)), strict=True):
            sums[:, at : at + grid.frames] += window
        yield begin, np.ascontiguousarray(sums[:, : done - begin].T)
        running = sums[:, done - begin :]


def _strongest(
    votes: NDArray[np.float32], count: NDArray[np.integer[Any]], columns: int, exact: bool
) -> NDArray[np.bool_]:
    """Return the `count` columns of most votes in each frame: bool (frames, columns). See `reconstruct` for `exact`."""
    if columns > votes.shape[1]:
        votes = np.pad(votes, ((0, 0), (0, columns - votes.shape[1])))
    # Which of equals NumPy's default order puts first depends on the processor; pyannote.audio leaves it at that.
    order = np.argsort(-votes, axis=1, kind="quicksort" if exact else "stable")
    active = np.zeros(votes.shape, dtype=bool)
    np.put_along_axis(active, order, np.arange(columns) < count[:, None], axis=1)
    return active if exact else active & (votes > 0)


def _columns(speakers: int, count: NDArray[np.integer[Any]], exact: bool) -> int:
    return max(speakers, int(count.max(initial=0))) if exact else speakers


def _bit_counts() -> NDArray[np.uint8]:
    """Members of each set of 8 local speakers: (256,)."""
    members = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    return np.asarray(members.sum(axis=1, dtype=np.uint8))
