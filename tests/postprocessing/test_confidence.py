from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.annotation import Turn
from speakerdiar.errors import InputError
from speakerdiar.frames import FrameGrid, FrameScores
from speakerdiar.postprocessing.confidence import turn_confidence, with_confidence

DATA = np.array([[0.9, 0.1], [0.7, 0.2], [0.2, 0.8], [0.1, 0.6]], dtype=np.float32)
SCORES = FrameScores(DATA, FrameGrid(0.5, 1.0), ("Ann", "Bob"))


def test_mean_of_the_speakers_own_frames() -> None:
    turns = [Turn(1.0, 2.0, "Ann"), Turn(2.0, 3.0, "Bob"), Turn(1.0, 3.0, "Bob")]
    np.testing.assert_allclose(turn_confidence(SCORES, turns), [0.8, 0.7, 0.425], rtol=1e-6)


def test_a_turn_shorter_than_a_frame_has_the_frame_of_its_middle() -> None:
    np.testing.assert_allclose(turn_confidence(SCORES, [Turn(1.55, 1.65, "Ann")]), [0.7], rtol=1e-6)


def test_time_outside_the_frames_does_not_count() -> None:
    turns = [Turn(0.0, 1.5, "Ann"), Turn(2.5, 9.0, "Ann"), Turn(7.0, 9.0, "Bob")]
    np.testing.assert_allclose(turn_confidence(SCORES, turns), [0.9, 0.1, 0.6], rtol=1e-6)


def test_turns_get_their_confidence() -> None:
    (turn,) = with_confidence(SCORES, [Turn(1.0, 2.0, "Ann")])
    assert turn == Turn(1.0, 2.0, "Ann")
    assert turn.confidence == pytest.approx(0.8)
    assert type(turn.confidence) is float


def test_no_turns() -> None:
    assert turn_confidence(SCORES, []).shape == (0,)
    assert with_confidence(SCORES, []) == ()


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"'Carl'.*Ann, Bob"):
        turn_confidence(SCORES, [Turn(0, 1, "Carl")])
    empty = FrameScores(np.zeros((0, 1), dtype=np.float32), FrameGrid(1.0))
    with pytest.raises(InputError, match="no frames"):
        turn_confidence(empty, [Turn(0, 1, "SPEAKER_00")])


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30), st.data())
@settings(deadline=None)
def test_equals_the_mean_of_a_slice(values: list[float], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(values) - 1))
    last = data.draw(st.integers(first + 1, len(values)))
    scores = FrameScores(np.array(values, dtype=np.float32)[:, None], FrameGrid(0.08, 0.3))
    turn = Turn(float(scores.grid.time(first)), float(scores.grid.time(last)), "SPEAKER_00")
    expected = np.mean(np.array(values[first:last]))
    np.testing.assert_allclose(turn_confidence(scores, [turn]), [expected], atol=1e-9)
