from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.annotation import Turn
from speakerdiar.config import PostProcessingParams
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.frames import FrameGrid, FrameScores
from speakerdiar.postprocessing.binarize import binarize, talking, to_turns

SECOND = FrameGrid(1.0)
LEVELS = st.sampled_from([0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0])


def rows(scores: Any, *, grid: FrameGrid = SECOND, **options: Any) -> list[list[float]]:
    names = {"subframe", "end", "legacy_open_end"}
    keywords = {key: options.pop(key) for key in names & options.keys()}
    found = binarize(np.asarray(scores, dtype=np.float32), PostProcessingParams(**options), grid=grid, **keywords)
    assert len(found) == 1
    assert found[0].dtype == np.float64
    return found[0].round(6).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("scores", "onset", "offset", "expected"),
    [
        ([0.6, 0.5, 0.6, 0.4], 0.5, 0.5, [[0, 3]]),
        ([0.5, 0.5, 0.6, 0.5, 0.4], 0.5, 0.5, [[2, 4]]),
        ([0.7, 0.5, 0.5, 0.3], 0.6, 0.4, [[0, 3]]),
        ([0.5, 0.5, 0.5, 0.7, 0.5, 0.3], 0.4, 0.6, [[0, 1], [2, 4]]),
        ([0.75, 0.25], 0.25, 0.75, [[0, 1]]),
        ([0.2, 0.1], 0.5, 0.5, []),
        ([], 0.5, 0.5, []),
    ],
)
def test_nemo_vectors(scores: list[float], onset: float, offset: float, expected: list[list[float]]) -> None:
    assert rows(scores, onset=onset, offset=offset) == expected


def test_speech_that_lasts_to_the_end_counts_the_last_frame() -> None:
    assert rows([0.6, 0.6], grid=FrameGrid(0.08)) == [[0, 0.16]]


def test_legacy_open_end_stops_one_subframe_short() -> None:
    assert rows([0.6, 0.6], grid=FrameGrid(0.08), subframe=8, legacy_open_end=True) == [[0, 0.15]]
    assert rows([0.6, 0.6], grid=FrameGrid(0.08), legacy_open_end=True) == [[0, 0.08]]
    assert rows([0.6, 0.1], grid=FrameGrid(0.08), subframe=8, legacy_open_end=True) == [[0, 0.08]]


def test_two_speakers_with_an_offset() -> None:
    scores = np.array([[0.6, 0.4], [0.5, 0.6], [0.6, 0.5], [0.4, 0.4], [0.4, 0.6]], dtype=np.float32)
    first, second = binarize(scores, PostProcessingParams(), grid=FrameGrid(0.08, 1.25))
    np.testing.assert_allclose(first, [[1.25, 1.49]])
    np.testing.assert_allclose(second, [[1.33, 1.49], [1.57, 1.65]])


def test_an_even_number_of_subframes_undoes_its_toggles() -> None:
    scores = [0.5, 0.5, 0.7, 0.5, 0.3]
    assert rows(scores, onset=0.4, offset=0.6) == [[0, 1], [2, 3]]
    halves = rows(scores, onset=0.4, offset=0.6, subframe=2)
    assert halves == [[0, 0.5], [1, 1.5], [2, 3], [3.5, 4]]


def test_pads_lengthen_merge_and_stop_at_the_start_of_the_grid() -> None:
    scores = [0.9, 0.1, 0.1, 0.9, 0.1, 0.9, 0.1]
    assert rows(scores, pad_onset=0.5, pad_offset=0.5) == [[0, 1.5], [2.5, 6.5]]
    assert rows(scores, pad_onset=0.5, pad_offset=0.5, grid=FrameGrid(1.0, 10.0)) == [[10, 11.5], [12.5, 16.5]]


def test_negative_pads_shorten_and_drop_what_is_left_empty() -> None:
    scores = [0.9, 0.1, 0.9, 0.9, 0.9, 0.1]
    assert rows(scores, pad_onset=-0.5, pad_offset=-0.5) == [[2.5, 4.5]]
    shortened = rows(scores, pad_onset=-0.75, pad_offset=-0.75, filter_speech_first=False, min_duration_off=3.0)
    assert shortened == [[2.75, 4.25]]


def test_durations_equal_to_the_limit_are_kept() -> None:
    tenths = FrameGrid(0.1)  # 0.3 - 0.1 isn't 0.2 in binary
    scores = [0.1, 0.9, 0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1]
    assert rows(scores, grid=tenths, min_duration_on=0.2) == [[0.1, 0.3]]
    assert rows(scores, grid=tenths, min_duration_off=0.2) == [[0.1, 0.3], [0.5, 0.6]]
    assert rows(scores, grid=tenths, min_duration_off=0.21) == [[0.1, 0.6]]


def test_order_of_the_duration_filters() -> None:
    scores = [0.9, 0.1, 0.9, 0.1, 0.9, 0.9, 0.9]
    durations: dict[str, Any] = {"min_duration_on": 2.0, "min_duration_off": 1.5}
    assert rows(scores, **durations) == [[4, 7]]
    assert rows(scores, **durations, filter_speech_first=False) == [[0, 7]]


def test_end_of_the_audio() -> None:
    assert rows([0.1, 0.9], pad_offset=3.0) == [[1, 5]]
    assert rows([0.1, 0.9], pad_offset=3.0, end=1.75) == [[1, 1.75]]
    assert rows([0.1, 0.9], pad_offset=3.0, end=1.0) == []


def test_thresholds_have_the_precision_of_the_scores() -> None:
    exactly = np.full(3, 0.53, dtype=np.float32)  # as a float64 it is 0.52999997
    assert rows(exactly, onset=0.53, offset=0.53) == []
    np.testing.assert_array_equal(talking(exactly[:, None], 0.5, 0.53), np.array([[True], [True], [True]]))


def test_no_frames_and_no_speakers() -> None:
    assert [a.shape for a in binarize(np.zeros((0, 3)), PostProcessingParams(), grid=SECOND)] == [(0, 2)] * 3
    assert binarize(np.zeros((4, 0)), PostProcessingParams(), grid=SECOND) == []
    assert rows([], legacy_open_end=True) == []


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"\(1, 1, 1\).*\(frames, speakers\)"):
        binarize(np.zeros((1, 1, 1)), PostProcessingParams(), grid=SECOND)
    with pytest.raises(InputError, match="NaN"):
        binarize(np.array([0.1, np.nan]), PostProcessingParams(), grid=SECOND)
    with pytest.raises(ConfigError, match="subframe=0"):
        binarize(np.zeros(3), PostProcessingParams(), grid=SECOND, subframe=0)


def test_scores_are_left_as_they_were() -> None:
    scores = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
    before = scores.copy()
    first = binarize(scores, PostProcessingParams(), grid=SECOND)
    second = binarize(scores, PostProcessingParams(), grid=SECOND)
    np.testing.assert_array_equal(scores, before)
    assert [a.tolist() for a in first] == [a.tolist() for a in second]


def test_turns() -> None:
    data = np.array([[0.1, 0.9], [0.9, 0.9], [0.9, 0.1]], dtype=np.float32)
    scores = FrameScores(data, FrameGrid(0.5, 2.0), ("Ann", "Bob"))
    assert to_turns(scores) == (Turn(2.0, 3.0, "Bob"), Turn(2.5, 3.5, "Ann"))
    padded = to_turns(scores, PostProcessingParams(pad_offset=1.0), end=3.25, subframe=8)
    assert padded == (Turn(2.0, 3.25, "Bob"), Turn(2.5, 3.25, "Ann"))


def machine(scores: list[float], onset: float, offset: float) -> list[bool]:
    """The state machine, one frame after the other."""
    state, states = False, []
    for score in scores:
        state = (not score < offset) if state else score > onset
        states.append(state)
    return states


@given(
    scores=st.lists(st.lists(LEVELS, min_size=2, max_size=2), max_size=40),
    onset=LEVELS,
    offset=LEVELS,
    subframe=st.integers(1, 9),
)
@settings(max_examples=300, deadline=None)
def test_talking_equals_the_state_machine(
    scores: list[list[float]], onset: float, offset: float, subframe: int
) -> None:
    array = np.array(scores).reshape(-1, 2)
    got = talking(array, onset, offset, subframe)
    for column in range(2):
        repeated = np.repeat(array[:, column], subframe).tolist()
        assert got[:, column].tolist() == machine(repeated, onset, offset)


@given(
    scores=st.lists(LEVELS, max_size=40),
    onset=LEVELS,
    offset=LEVELS,
    pads=st.tuples(st.integers(-2, 5), st.integers(-2, 5)),
    durations=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    first=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_segments_are_sorted_disjoint_and_inside(
    scores: list[float], onset: float, offset: float, pads: tuple[int, int], durations: tuple[int, int], first: bool
) -> None:
    params = PostProcessingParams(onset, offset, pads[0] / 2, pads[1] / 2, durations[0], durations[1], first)
    (found,) = binarize(np.array(scores), params, grid=FrameGrid(1.0, 5.0), end=5.0 + len(scores))
    assert (found[:, 1] > found[:, 0]).all()
    assert (found[1:, 0] > found[:-1, 1]).all()
    assert ((found >= 5.0) & (found <= 5.0 + len(scores))).all()
    (free,) = binarize(np.array(scores), params, grid=FrameGrid(1.0, 5.0))
    last_filter = free[1:, 0] - free[:-1, 1] - durations[1] if first else free[:, 1] - free[:, 0] - durations[0]
    assert (last_filter >= -1e-9).all()
