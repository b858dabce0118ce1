"""Turns from frames, with the times of their middles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar.config import PostProcessingParams
from speakerdiar.errors import InputError
from speakerdiar.postprocessing.frame_turns import frame_turns
from speakerdiar.windows import WindowGrid

# Frames of 0.5 s, centred on 0.25 s, 0.75 s, ...
GRID = WindowGrid(rate=100, window=400, step=100, frames=8, frame_step=50, receptive=50)


def rows(text: str) -> NDArray[np.bool_]:
    """Columns apart by blanks; a letter talks, a dot is silent."""
    return np.array([[sign != "." for sign in column] for column in text.split()]).T


def told(active: NDArray[np.bool_], **options: object) -> list[tuple[float, float, str]]:
    return [(turn.start, turn.end, turn.speaker) for turn in frame_turns(active, GRID, **options)]  # type: ignore[arg-type]


@st.composite
def frames(draw: st.DrawFn) -> NDArray[np.bool_]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rng.random((draw(st.integers(0, 40)), draw(st.integers(0, 4)))) < draw(st.floats(0, 1))


def test_turns_run_from_middle_to_middle() -> None:
    assert told(rows("aa..a. .bbbbb"), names=["a", "b"]) == [(0.25, 1.25, "a"), (0.75, 2.75, "b"), (2.25, 2.75, "a")]


def test_a_turn_of_the_last_frame_alone_has_no_length() -> None:
    assert told(rows("..a")) == []


def test_gaps_shorter_than_asked_are_filled() -> None:
    active = rows("a.a..a.")
    assert told(active, params=PostProcessingParams(min_duration_off=0.5)) == told(active)
    filled = told(active, params=PostProcessingParams(min_duration_off=0.6))
    assert [span[:2] for span in filled] == [(0.25, 1.75), (2.75, 3.25)]


def test_short_turns_go_before_or_after_gaps_are_filled() -> None:
    active = rows("a.a..")
    for first, expected in ((True, []), (False, [(0.25, 1.75)])):
        params = PostProcessingParams(min_duration_on=1.0, min_duration_off=0.6, filter_speech_first=first)
        assert [span[:2] for span in told(active, params=params)] == expected


def test_pads_stay_inside_the_audio() -> None:
    params = PostProcessingParams(pad_onset=0.5, pad_offset=1.0)
    assert told(rows("a..a."), params=params, end=2.5) == [(0.0, 2.5, "SPEAKER_00")]
    assert told(rows("a...."), params=params, end=1.0) == [(0.0, 1.0, "SPEAKER_00")]


@given(frames(), st.floats(0, 25))
def test_no_turn_past_the_end(active: NDArray[np.bool_], end: float) -> None:
    assert all(turn.end <= end for turn in frame_turns(active, GRID, end=end))


@given(frames())
def test_frames_come_back_from_turns(active: NDArray[np.bool_]) -> None:
    again = np.zeros_like(active)
    middles = GRID.middle(np.arange(len(active)))
    for turn in frame_turns(active, GRID, names="abcd"):
        again[(middles >= turn.start) & (middles < turn.end), "abcd".index(turn.speaker)] = True
    np.testing.assert_array_equal(again[:-1], active[:-1])


@given(frames(), st.lists(st.integers(0, 40), max_size=5))
def test_blocks_never_change_the_turns(active: NDArray[np.bool_], cuts: list[int]) -> None:
    edges = sorted([0, len(active), *(min(cut, len(active)) for cut in cuts)])
    blocks = [(first, active[first:last]) for first, last in pairwise(edges)]
    assert frame_turns(iter(blocks), GRID) == frame_turns(active, GRID)


def test_blocks_that_leave_gaps_are_refused() -> None:
    with pytest.raises(InputError, match="frame 3: frame 2 comes next"):
        frame_turns([(0, rows("aa")), (3, rows("aa"))], GRID)


def test_a_name_is_needed_where_somebody_talks() -> None:
    assert told(rows("a.. ..."), names=["a"]) == [(0.25, 0.75, "a")]
    with pytest.raises(InputError, match="Column 1 talks and there are 1 names"):
        told(rows("... b.."), names=["a"])


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (5, 0), (5, 2)])
def test_silence_has_no_turns(shape: tuple[int, int]) -> None:
    assert told(np.zeros(shape, dtype=bool)) == []
