"""Votes as they come give what all votes at once give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from speakerdiar.errors import ConfigError, InputError
from speakerdiar.postprocessing.window_votes import WindowVotes

Windows = list[tuple[int, np.ndarray[Any, Any]]]
WINDOW = st.tuples(st.integers(0, 12), st.integers(0, 10).flatmap(lambda frames: arrays(bool, (frames, 2))))
WINDOWS = st.lists(WINDOW, max_size=8).map(lambda windows: sorted(windows, key=lambda window: window[0]))


def all_at_once(windows: Windows, share: float) -> np.ndarray[Any, Any]:
    """Hold every vote of the recording, then decide."""
    frames = max((first + len(active) for first, active in windows), default=0)
    frames = max([frames, *(first for first, _ in windows)])
    votes, seen = np.zeros((frames, 2)), np.zeros((frames, 1))
    for first, active in windows:
        votes[first : first + len(active)] += active
        seen[first : first + len(active)] += 1
    return votes > share * seen


@given(WINDOWS, st.sampled_from([0.0, 0.25, 0.5, 0.75]))
def test_settled_frames_are_those_of_all_votes(windows: Windows, share: float) -> None:
    votes = WindowVotes(2, share)
    settled = [*(votes.add(first, active) for first, active in windows), votes.finish()]
    assert np.concatenate(settled).tolist() == all_at_once(windows, share).tolist()


def test_frames_settle_once_the_windows_are_past_them() -> None:
    votes = WindowVotes(1)
    ones = np.ones((4, 1), dtype=bool)
    assert votes.add(0, ones).shape == (0, 1)
    assert votes.add(2, ~ones).tolist() == [[True], [True]]
    assert votes.add(9, ones).tolist() == [[False]] * 7  # two shared by halves, two against, three that nobody saw
    assert votes.finish().tolist() == [[True]] * 4
    assert votes.finish().shape == (0, 1)


def test_no_more_is_held_than_a_window() -> None:
    import tracemalloc

    votes, window = WindowVotes(16), np.ones((200, 16), dtype=bool)
    tracemalloc.start()
    try:
        settled = sum(len(votes.add(first, window)) for first in range(0, 100_000, 50))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert settled == 99_950
    assert most < 200_000


def test_windows_out_of_order() -> None:
    votes = WindowVotes(1)
    votes.add(5, np.ones((2, 1), dtype=bool))
    with pytest.raises(InputError, match="begins at frame 4, after one at 5: give them in order"):
        votes.add(4, np.ones((2, 1), dtype=bool))


def test_a_window_of_another_width() -> None:
    with pytest.raises(InputError, match=r"\(2, 3\): give \(frames, 1\)"):
        WindowVotes(1).add(0, np.ones((2, 3), dtype=bool))


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_cannot_be(share: float) -> None:
    with pytest.raises(ConfigError, match="from 0 to less than 1"):
        WindowVotes(1, share)
