from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.annotation import Segment, Turn
from speakerdiar.errors import InputError
from speakerdiar.frames import FrameGrid, FrameScores, activity, runs, segments_of

GRIDS = st.builds(
    FrameGrid, st.sampled_from([0.01, 0.016875, 0.02, 0.08, 0.1, 1 / 3, 1.0]), st.sampled_from([0.0, 0.3, 1.25, -2.0])
)
ACTIVE = st.lists(st.booleans(), max_size=60).map(lambda values: np.array(values, dtype=bool))


def scores(frames: int, speakers: int = 2, grid: FrameGrid | None = None) -> FrameScores:
    data = np.arange(frames * speakers, dtype=np.float32).reshape(frames, speakers)
    return FrameScores(data, grid or FrameGrid(0.5, 1.0))


@given(GRIDS, st.integers(0, 3_000_000))
def test_index_undoes_time(grid: FrameGrid, index: int) -> None:
    assert grid.index(grid.time(index)) == index
    assert grid.index(grid.time(index) + 0.999 * grid.step) == index
    assert grid.border(grid.time(index)) == index


@given(GRIDS, st.floats(-100, 30_000))
def test_a_time_lies_in_its_frame(grid: FrameGrid, time: float) -> None:
    index = int(grid.index(time))
    assert grid.time(index) - 1e-5 * grid.step <= time < grid.time(index + 1)


@given(GRIDS, st.floats(-100, 30_000))
def test_no_border_is_nearer(grid: FrameGrid, time: float) -> None:
    assert abs(grid.time(int(grid.border(time))) - time) <= grid.step / 2 * (1 + 1e-6)


@given(GRIDS, st.integers(0, 3_000_000))
def test_count_covers_and_wastes_nothing(grid: FrameGrid, frames: int) -> None:
    assert grid.count(grid.time(frames)) == frames
    assert grid.count(grid.time(frames) + grid.step / 2) == frames + 1
    assert grid.count(grid.start - 1.0) == 0


def test_arrays_of_times() -> None:
    grid = FrameGrid(0.5, 1.0)
    assert grid.index(np.array([1.0, 1.4, 1.5])).tolist() == [0, 0, 1]
    assert grid.border(np.array([1.0, 1.4, 1.5])).tolist() == [0, 1, 1]
    assert grid.time(np.array([0, 3])).tolist() == [1.0, 2.5]


@pytest.mark.parametrize(("step", "start"), [(0, 0), (-1, 0), (float("nan"), 0), (float("inf"), 0), (1, float("inf"))])
def test_grids_that_are_none(step: float, start: float) -> None:
    with pytest.raises(InputError, match="step must be above 0"):
        FrameGrid(step, start)


def test_scores_are_float32_and_named() -> None:
    made = FrameScores([[0, 1, 2]], FrameGrid(1.0))  # type: ignore[arg-type]
    assert made.data.dtype == np.float32
    assert made.speakers == ("SPEAKER_00", "SPEAKER_01", "SPEAKER_02")
    assert FrameScores(made.data, made.grid, ["a", "b", "c"]).speakers == ("a", "b", "c")  # type: ignore[arg-type]


def test_scores_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(3,\).*\(frames, speakers\)"):
        FrameScores(np.zeros(3, dtype=np.float32), FrameGrid(1.0))
    with pytest.raises(InputError, match="1 names for 2 columns"):
        FrameScores(np.zeros((3, 2), dtype=np.float32), FrameGrid(1.0), ("a",))


def test_scores_iterate_over_time() -> None:
    made = scores(3)
    assert len(made) == 3
    assert made.extent == Segment(1.0, 2.5)
    assert [segment for segment, _ in made] == [Segment(1.0, 1.5), Segment(1.5, 2.0), Segment(2.0, 2.5)]
    assert [row.tolist() for _, row in made] == made.data.tolist()


def test_comparing_scores_is_no_error() -> None:
    made = scores(3)
    assert made == made
    assert made != scores(3)
    assert len({made, made}) == 1


@pytest.mark.parametrize(
    ("segment", "first", "last"),
    [
        (Segment(1.0, 3.0), 0, 4),
        (Segment(0.0, 9.0), 0, 4),
        (Segment(1.5, 2.0), 1, 2),
        (Segment(1.6, 2.1), 1, 3),
        (Segment(1.6, 1.7), 1, 2),
        (Segment(1.6, 1.6), 0, 0),
        (Segment(0.0, 0.9), 0, 0),
        (Segment(7.0, 9.0), 4, 4),
    ],
)
def test_crop_keeps_the_frames_that_share_time(segment: Segment, first: int, last: int) -> None:
    whole = scores(4)
    part = whole.crop(segment)
    assert part.data.tolist() == whole.data[first:last].tolist()
    assert part.speakers == whole.speakers
    if len(part):
        assert part.extent == Segment(1.0 + first / 2, 1.0 + last / 2)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_pieces_of_a_crop_make_the_whole(frames: int, one: int, other: int) -> None:
    whole = scores(frames, grid=FrameGrid(0.08, 0.3))
    borders = [0, *sorted(min(cut, frames) for cut in (one, other)), frames]
    times = [float(whole.grid.time(border)) for border in borders]
    pieces = [whole.crop(Segment(a, b)).data for a, b in itertools.pairwise(times)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole.data)


def test_activity_of_turns() -> None:
    turns = [Turn(0.0, 1.0, "A"), Turn(0.76, 1.6, "B"), Turn(1.0, 2.0, "C"), Turn(-3.0, -1.0, "A"), Turn(1.9, 9, "A")]
    active = activity(turns, ("A", "B"), FrameGrid(0.5), 4)
    assert active.dtype == bool
    assert active.T.tolist() == [[True, True, False, False], [False, False, True, False]]


def test_activity_of_nobody() -> None:
    assert activity([], ("A",), FrameGrid(1.0), 3).tolist() == [[False]] * 3
    assert activity([Turn(0, 1, "A")], (), FrameGrid(1.0), 3).shape == (3, 0)
    assert activity([Turn(0, 1, "A")], ("A",), FrameGrid(1.0), 0).shape == (0, 1)


@given(GRIDS, st.lists(ACTIVE, min_size=1, max_size=4))
def test_activity_of_segments_is_where_they_came_from(grid: FrameGrid, columns: list[Any]) -> None:
    frames = max(len(column) for column in columns)
    expected = np.zeros((frames, len(columns)), dtype=bool)
    turns = []
    for index, column in enumerate(columns):
        expected[: len(column), index] = column
        turns += [Turn(segment.start, segment.end, str(index)) for segment in segments_of(column, grid)]
    names = [str(index) for index in range(len(columns))]
    np.testing.assert_array_equal(activity(turns, names, grid, frames), expected)


@given(ACTIVE)
def test_runs_partition_the_true_frames(active: Any) -> None:
    found = runs(active)
    assert found.shape[1] == 2
    assert (found[:, 1] > found[:, 0]).all()
    assert (found[1:, 0] > found[:-1, 1]).all()  # a false frame lies between any two
    rebuilt = np.zeros(len(active), dtype=bool)
    for first, last in found:
        rebuilt[first:last] = True
    np.testing.assert_array_equal(rebuilt, active)


def test_runs_at_both_ends() -> None:
    assert runs(np.array([True, True, False, True])).tolist() == [[0, 2], [3, 4]]
    assert runs(np.zeros(0, dtype=bool)).shape == (0, 2)


def test_segments_are_plain_floats() -> None:
    (segment,) = segments_of(np.array([False, True, True]), FrameGrid(0.5, 1.0))
    assert segment == Segment(1.5, 2.5)
    assert type(segment.start) is float
