from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.postprocessing.segments import as_segments, clip, drop_short, fill_gaps, merge, pad

SEGMENTS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), max_size=12).map(
    lambda items: as_segments([(start, start + length) for start, length in items])
)
TIMES = np.arange(0, 80) + 0.5


def covered(segments: np.ndarray) -> list[bool]:
    return [bool(((segments[:, 0] <= t) & (t < segments[:, 1])).any()) for t in TIMES]


def test_nothing_stays_nothing() -> None:
    for rows in (as_segments([]), pad([], 1, 1), merge([]), fill_gaps([], 1), drop_short([], 1), clip([], 0, 1)):
        assert rows.shape == (0, 2)
        assert rows.dtype == np.float64


def test_pad() -> None:
    assert pad([[1, 2], [4, 5]], 0.5, 0.25).tolist() == [[0.5, 2.25], [3.5, 5.25]]


def test_merge_joins_touching_and_nested() -> None:
    assert merge([[0, 1], [1, 2], [3, 4]]).tolist() == [[0, 2], [3, 4]]
    assert merge([[5, 6], [0, 10], [2, 3], [9, 11]]).tolist() == [[0, 11]]


def test_merge_of_equal_starts_keeps_the_longest() -> None:
    assert merge([[0, 5], [0, 1], [0, 3], [6, 7]]).tolist() == [[0, 5], [6, 7]]


def test_touching_on_paper_is_touching() -> None:
    assert merge([[0, 0.1 + 0.2], [0.3, 1]]).tolist() == [[0, 1]]
    assert merge([[0, 0.3], [0.1 + 0.2, 1]]).tolist() == [[0, 1]]


def test_fill_gaps_keeps_gaps_of_the_limit() -> None:
    assert fill_gaps([[0, 1], [2, 3], [5, 6]], 2.0).tolist() == [[0, 3], [5, 6]]
    assert fill_gaps([[0.0, 1.0], [1.0, 2.0], [2.5, 3.0]], 0.0).tolist() == [[0, 2], [2.5, 3]]


def test_drop_short_keeps_segments_of_the_limit() -> None:
    assert drop_short([[0.0, 1.0], [2.0, 4.0], [5.0, 5.5]], 1.0).tolist() == [[0, 1], [2, 4]]


def test_clip() -> None:
    assert clip([[-1, 1], [2, 3], [4, 9]], 0, 4).tolist() == [[0, 1], [2, 3]]
    assert clip([[-1, 1]]).tolist() == [[-1, 1]]


@given(SEGMENTS)
def test_merge_covers_the_same_time_in_disjoint_order(segments: np.ndarray) -> None:
    joined = merge(segments)
    assert covered(joined) == covered(segments)
    assert (joined[1:, 0] > joined[:-1, 1]).all()
    assert merge(joined).tolist() == joined.tolist()


@given(SEGMENTS, st.integers(0, 10))
def test_fill_gaps_leaves_only_long_gaps(segments: np.ndarray, shortest: int) -> None:
    filled = fill_gaps(segments, shortest)
    assert (filled[1:, 0] - filled[:-1, 1] >= max(shortest, 1)).all()
    assert all(after for before, after in zip(covered(segments), covered(filled), strict=True) if before)


@given(SEGMENTS, st.integers(0, 10))
def test_drop_short_keeps_the_others(segments: np.ndarray, shortest: int) -> None:
    kept = drop_short(segments, shortest).tolist()
    assert kept == [row for row in segments.tolist() if row[1] - row[0] >= shortest]


@given(SEGMENTS, st.integers(0, 40), st.integers(0, 40))
def test_clip_covers_what_lies_between(segments: np.ndarray, start: int, length: int) -> None:
    cut = clip(segments, start, start + length)
    inside = [c and start < t < start + length for c, t in zip(covered(segments), TIMES, strict=True)]
    assert covered(cut) == inside
