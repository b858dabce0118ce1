"""Powerset classes as sets of speakers."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.errors import ConfigError
from speakerdiar.postprocessing.powerset import Powerset, bits_of, members_of


def test_the_order_of_pyannote() -> None:
    assert Powerset().bits.tolist() == [0b000, 0b001, 0b010, 0b100, 0b011, 0b101, 0b110]
    assert Powerset().members[4].tolist() == [True, True, False]


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))))
def test_every_small_set_has_one_class(sizes: tuple[int, int]) -> None:
    powerset = Powerset(*sizes)
    assert powerset.classes == sum(comb(sizes[0], size) for size in range(sizes[1] + 1))
    assert len(set(powerset.bits.tolist())) == powerset.classes
    assert (powerset.members.sum(axis=1) <= sizes[1]).all()
    assert (bits_of(powerset.members) == powerset.bits).all()


@given(st.lists(st.integers(0, 255), max_size=9))
def test_bits_and_members_are_the_same_sets(sets: list[int]) -> None:
    bits = np.array(sets, dtype=np.uint8)
    assert (bits_of(members_of(bits, 8)) == bits).all()


@pytest.mark.parametrize("sizes", [(0, 1), (9, 1), (3, 0), (3, 4)])
def test_sizes_that_are_no_powerset(sizes: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="give a whole number"):
        Powerset(*sizes)
