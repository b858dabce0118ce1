"""SOND's classes as sets of speakers."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from speakerdiar.errors import ConfigError, InputError
from speakerdiar.postprocessing.power_set_encoding import PowerSetEncoding

SMALL = PowerSetEncoding(5, 2)
FRAMES = st.integers(0, 30)


@pytest.mark.parametrize(("at_once", "classes"), [(1, 17), (2, 137), (3, 697), (4, 2517)])
def test_as_many_classes_as_the_token_lists_have(at_once: int, classes: int) -> None:
    encoding = PowerSetEncoding(16, at_once)
    assert encoding.classes == classes == sum(comb(16, size) for size in range(at_once + 1))
    assert encoding.tokens.dtype == np.int64
    assert encoding.tokens.tolist() == [n for n in range(1 << 16) if bin(n).count("1") <= at_once]


def test_the_lowest_bit_is_the_first_speaker() -> None:
    assert SMALL.tokens[:8].tolist() == [0, 1, 2, 3, 4, 5, 6, 8]
    assert SMALL.members[5].tolist() == [True, False, True, False, False]
    assert SMALL.members.shape == (SMALL.classes, 5)


@given(st.integers(1, 5))
def test_what_is_allowed_names_nobody_who_is_absent(present: int) -> None:
    assert SMALL.allowed(present).tolist() == (~SMALL.members[:, present:].any(axis=1)).tolist()


def decoded_frame_by_frame(classes: np.ndarray[Any, Any], present: int) -> list[list[bool]]:
    """Read the rule aloud: walk over the frames, and over all that fit for each."""
    tokens = SMALL.tokens[classes].tolist()
    fitting = [at for at, token in enumerate(tokens) if token < 2**present]
    rows = []
    for frame in range(len(tokens)):
        nearest = min(fitting, key=lambda at: (abs(at - frame), at), default=None)
        token = 0 if nearest is None else tokens[nearest]
        rows.append([bool(token >> speaker & 1) for speaker in range(present)])
    return rows


@given(FRAMES.flatmap(lambda n: arrays(np.int64, n, elements=st.integers(0, SMALL.classes - 1))), st.integers(1, 5))
def test_absent_speakers_give_way_to_the_nearest_frame(classes: np.ndarray[Any, Any], present: int) -> None:
    decoded = SMALL.decode(classes, present)
    assert decoded.dtype == bool
    assert decoded.shape == (len(classes), present)
    assert decoded.tolist() == decoded_frame_by_frame(classes, present)


def test_the_earlier_of_two_equally_near_frames_counts() -> None:
    first, absent, second = np.searchsorted(SMALL.tokens, [1, 8, 2])
    decoded = SMALL.decode(np.array([first, absent, absent, absent, second]), 2)
    assert decoded[:, 0].tolist() == [True, True, True, False, False]
    assert decoded[:, 1].tolist() == [False, False, False, True, True]


def test_silence_where_every_frame_names_somebody_absent() -> None:
    assert not SMALL.decode(np.full(4, SMALL.classes - 1), 2).any()


@given(FRAMES.flatmap(lambda n: arrays(bool, (n, 5))))
def test_a_frame_keeps_all_who_talk_or_as_many_as_may(active: np.ndarray[Any, Any]) -> None:
    kept = SMALL.members[SMALL.classes_of(active)]
    assert (kept <= active).all()
    assert (kept.sum(axis=1) == np.minimum(active.sum(axis=1), 2)).all()


def test_who_began_first_stays_in_a_crowd() -> None:
    rows = ["00110", "01110", "11111", "11011", "11000"]
    kept = SMALL.members[SMALL.classes_of(np.array([[letter == "1" for letter in row] for row in rows]))]
    # In the fourth row the third speaker has ended, and the second came next; in the last only two are left.
    as_text = ["".join("1" if bit else "0" for bit in row) for row in kept]
    assert as_text == ["00110", "00110", "00110", "01010", "11000"]


@pytest.mark.parametrize("sizes", [(0, 1), (17, 4), (3, 0), (3, 4), (True, 1)])
def test_sizes_that_are_no_encoding(sizes: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="give a whole number from 1 to"):
        PowerSetEncoding(*sizes)


@pytest.mark.parametrize("present", [0, 6])
def test_a_number_of_speakers_that_cannot_be(present: int) -> None:
    with pytest.raises(ConfigError, match=f"present={present}: give a whole number from 1 to 5"):
        SMALL.decode(np.zeros(3, dtype=np.int64), present)


def test_activity_of_another_width() -> None:
    with pytest.raises(InputError, match=r"\(3, 4\): give \(frames, 5\)"):
        SMALL.classes_of(np.zeros((3, 4), dtype=bool))
