from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.matching import best_pairs, match

gains = st.tuples(st.integers(0, 4), st.integers(0, 4)).flatmap(
    lambda shape: st.lists(
        st.lists(st.integers(-3, 9), min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0]
    ).map(lambda rows: np.array(rows, dtype=float).reshape(shape))
)


def greatest_total(gain: np.ndarray) -> float:
    """The best total over every way of pairing, tried one by one."""
    short = gain if gain.shape[0] <= gain.shape[1] else gain.T
    rows, columns = short.shape
    return max(
        sum(max(0.0, float(short[row, column])) for row, column in zip(range(rows), order, strict=False))
        for order in permutations(range(columns), rows)
    )


@given(gains)
def test_pairs_are_one_to_one_and_their_gain_is_the_greatest(gain: np.ndarray) -> None:
    pairs = best_pairs(gain)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(gain[pair] > 0 for pair in pairs)
    assert sum(gain[pair] for pair in pairs) == greatest_total(gain)


def test_the_best_total_beats_the_best_pair() -> None:
    assert best_pairs(np.array([[5, 4], [4, 0]])) == [(0, 1), (1, 0)]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_pair(shape: tuple[int, int]) -> None:
    assert best_pairs(np.zeros(shape)) == []


def test_names() -> None:
    assert match(np.array([[0, 3.0], [2, 0], [0, 0]]), ["a", "b", "c"], ["x", "y"]) == {"a": "y", "b": "x"}
