from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.errors import InputError
from speakerdiar.postprocessing.exclusive import exclusive


def test_keeps_the_strongest_and_the_first_of_equals() -> None:
    scores = np.array([[0.2, 0.9, 0.4], [0.5, 0.5, 0.1], [0.0, 0.0, 0.0]], dtype=np.float32)
    kept = exclusive(scores)
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept, np.array([[0, 0.9, 0], [0.5, 0, 0], [0, 0, 0]], dtype=np.float32))
    assert scores[0, 2] == np.float32(0.4)


def test_no_frames_and_no_speakers() -> None:
    assert exclusive(np.zeros((0, 3))).shape == (0, 3)
    assert exclusive(np.zeros((3, 0))).shape == (3, 0)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(3,\)"):
        exclusive(np.zeros(3))


@given(st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=1, max_size=20))
def test_at_most_one_speaker_and_the_maximum_stays(rows: list[list[float]]) -> None:
    scores = np.array(rows)
    kept = exclusive(scores)
    assert ((kept > 0).sum(axis=1) <= 1).all()
    np.testing.assert_array_equal(kept.max(axis=1), scores.max(axis=1))
