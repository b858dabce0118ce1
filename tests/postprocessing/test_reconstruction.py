"""Local speakers of windows put together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar.errors import InputError
from speakerdiar.postprocessing.local_speech import LocalSpeech
from speakerdiar.postprocessing.reconstruction import (
    activations,
    reconstruct,
    reconstruct_blocks,
    speakers_at_once,
    total_frames,
    window_means,
)
from speakerdiar.windows import WindowGrid

# Windows of 5 frames; each begins 2.5 frames after the one before, on the even frame nearest to that.
GRID = WindowGrid(rate=100, window=100, step=50, frames=5, frame_step=20, receptive=20)


def of_windows(active: NDArray[Any]) -> LocalSpeech:
    """Make it of (windows, frames, local speakers)."""
    windows = len(active)
    return LocalSpeech.of(active.astype(bool), GRID, GRID.window + (windows - 1) * GRID.step if windows else 0)


@st.composite
def recordings(draw: st.DrawFn) -> tuple[LocalSpeech, NDArray[np.int64], int]:
    """Local speech with labels, and the number of speakers."""
    windows, slots, speakers = draw(st.integers(0, 12)), draw(st.integers(1, 4)), draw(st.integers(0, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    active = rng.random((windows, GRID.frames, slots)) < draw(st.floats(0, 1))
    return of_windows(active), rng.integers(-2, speakers, (windows, slots)), speakers


def votes_one_by_one(speech: LocalSpeech, labels: NDArray[np.int64], speakers: int) -> NDArray[np.float32]:
    """Count the windows that hear each speaker, one frame at a time."""
    votes = np.zeros((total_frames(speech), speakers), dtype=np.float32)
    for window, heard in enumerate(speech.active()):
        for frame, slots in enumerate(heard, start=int(GRID.first_frame(window))):
            for label in {int(one) for one in labels[window][slots] if one >= 0}:
                votes[frame, label] += 1
    return votes


def test_the_count_is_the_mean_rounded_half_to_even() -> None:
    active = np.zeros((2, 5, 3))
    active[0, 1, 0] = 1  # one window hears the frame
    active[0, 2, :1] = 1  # the other hears nobody: a half
    active[0, 3, :], active[1, 1, :2] = 1, 1  # three and two: two and a half
    active[0, 4, :2], active[1, 2, :1] = 1, 1  # two and one: one and a half
    assert GRID.first_frame(1) == 2
    assert speakers_at_once(of_windows(active)).tolist() == [0, 1, 0, 2, 2, 0, 0, 0, 0]
    assert speakers_at_once(of_windows(active), most=1).tolist() == [0, 1, 0, 1, 1, 0, 0, 0, 0]
    assert speakers_at_once(of_windows(active), most=1000).max() == 2


def test_a_speaker_has_one_vote_a_window() -> None:
    active = np.zeros((2, 5, 3))
    active[0, 2:, :2] = active[1, 1:, 2] = 1
    labels = np.array([[1, 1, 0], [0, 0, 1]])
    expected = [0, 0, 1, 2, 2, 1, 1, 0, 0]
    assert activations(of_windows(active), labels, 2)[:, 1].tolist() == expected


@given(recordings())
def test_votes_are_those_counted_one_by_one(recording: tuple[LocalSpeech, NDArray[np.int64], int]) -> None:
    np.testing.assert_array_equal(activations(*recording), votes_one_by_one(*recording))


@given(recordings(), st.integers(1, 15), st.booleans())
def test_blocks_never_change_the_result(
    recording: tuple[LocalSpeech, NDArray[np.int64], int], size: int, exact: bool
) -> None:
    speech, labels, speakers = recording
    count = speakers_at_once(speech, windows_at_once=size)
    np.testing.assert_array_equal(count, speakers_at_once(speech))
    whole = reconstruct(speech, labels, speakers, count, exact=exact)
    parts = list(reconstruct_blocks(speech, labels, speakers, count, exact=exact, windows_at_once=size))
    assert [first for first, _ in parts] == np.cumsum([0, *(len(block) for _, block in parts)])[:-1].tolist()
    np.testing.assert_array_equal(np.concatenate([np.zeros_like(whole[:0]), *(block for _, block in parts)]), whole)


@given(recordings(), st.integers(0, 4))
def test_the_most_heard_talk_and_nobody_unheard(
    recording: tuple[LocalSpeech, NDArray[np.int64], int], most: int
) -> None:
    speech, labels, speakers = recording
    count, votes = speakers_at_once(speech, most), activations(*recording)
    active = reconstruct(speech, labels, speakers, count)
    assert active.shape == (total_frames(speech), speakers)
    np.testing.assert_array_equal(active.sum(axis=1), np.minimum(count, (votes > 0).sum(axis=1)))
    weakest = np.where(active, votes, np.inf).min(axis=1, initial=np.inf)
    left = np.where(active, 0, votes).max(axis=1, initial=0)
    assert (weakest[count > 0] >= left[count > 0]).all()


@given(recordings())
def test_exactly_as_many_talk_as_were_counted(recording: tuple[LocalSpeech, NDArray[np.int64], int]) -> None:
    speech, labels, speakers = recording
    count = speakers_at_once(speech)
    active = reconstruct(speech, labels, speakers, count, exact=True)
    assert active.shape[1] == max(speakers, count.max(initial=0))
    np.testing.assert_array_equal(active.sum(axis=1), count)


@given(recordings())
def test_the_exclusive_view_has_one_speaker_at_a_time(recording: tuple[LocalSpeech, NDArray[np.int64], int]) -> None:
    speech, labels, speakers = recording
    count = speakers_at_once(speech)
    active = reconstruct(speech, labels, speakers, count)
    alone = reconstruct(speech, labels, speakers, np.minimum(count, 1))
    np.testing.assert_array_equal(alone.sum(axis=1), active.any(axis=1))
    assert not (alone & ~active).any()


def test_the_first_of_equals_wins() -> None:
    active = np.zeros((1, 5, 4))
    active[0, 0] = 1
    speech = of_windows(active)
    count = np.array([2, 0, 0, 0, 0, 0], dtype=np.uint8)
    for labels in ([0, 1, 2, 3], [3, 2, 1, 0]):
        assert reconstruct(speech, np.array([labels]), 20, count)[0].nonzero()[0].tolist() == [0, 1]


def test_fewer_clusters_than_local_speakers_invent_nobody() -> None:
    active = np.zeros((1, 5, 3))
    active[0, :3, :2] = 1
    speech, labels = of_windows(active), np.array([[0, -2, -2]])
    count = speakers_at_once(speech)
    assert count.tolist() == [2, 2, 2, 0, 0, 0]
    assert reconstruct(speech, labels, 1, count, exact=True)[:3].tolist() == [[True, True]] * 3
    assert reconstruct(speech, labels, 1, count)[:4].tolist() == [[True]] * 3 + [[False]]


def test_more_than_127_speakers() -> None:
    speech = of_windows(np.ones((100, 5, 2)))
    labels = np.arange(200).reshape(100, 2)
    active = reconstruct(speech, labels, 200, speakers_at_once(speech))
    assert active.sum(axis=1)[:-1].tolist() == [2] * (len(active) - 1)
    assert active[-2].nonzero()[0].tolist() == [198, 199]


def test_recordings_without_sound_and_without_speakers() -> None:
    nothing = LocalSpeech.of(np.zeros((0, 5, 3), dtype=bool), GRID, 0)
    assert speakers_at_once(nothing).shape == (0,)
    assert reconstruct(nothing, np.zeros((0, 3), dtype=int), 2, speakers_at_once(nothing)).shape == (0, 2)
    silence = of_windows(np.zeros((2, 5, 3)))
    assert not speakers_at_once(silence).any()
    assert reconstruct(silence, np.full((2, 3), -1), 0, speakers_at_once(silence)).shape == (9, 0)


def test_means_are_over_the_windows_that_hear_a_frame() -> None:
    values = np.array([[[1.0] * 5], [[0.0] * 5]])
    speech = of_windows(np.zeros((2, 5, 1)))
    ((first, means),) = window_means(speech, lambda windows: values[windows], 1)
    assert (first, means[:, 0].tolist()) == (0, [1, 1, 0.5, 0.5, 0.5, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("labels", "count", "message"),
    [
        (np.zeros((2, 2), dtype=int), np.zeros(9, dtype=np.uint8), r"give \(2, 3\)"),
        (np.full((2, 3), 2), np.zeros(9, dtype=np.uint8), "Label 2 for 2 speakers"),
        (np.zeros((2, 3), dtype=int), np.zeros(8, dtype=np.uint8), "each of 9 frames"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(labels: NDArray[Any], count: NDArray[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        reconstruct_blocks(of_windows(np.zeros((2, 5, 3))), labels, 2, count)
