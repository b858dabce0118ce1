from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.errors import ConfigError
from speakerdiar.postprocessing.smooth import mean_smooth, median_smooth


def windows(scores: np.ndarray, frames: int) -> np.ndarray:
    """(frames of the window, frames) of scores, mirrored at both ends."""
    padded = np.pad(scores, frames // 2, mode="symmetric")
    return np.stack([padded[i : i + len(scores)] for i in range(frames)])


def test_median_removes_spikes_and_holes_and_keeps_borders() -> None:
    scores = np.array([0, 0, 1, 0, 0, 1, 1, 0, 1, 1, 1, 0, 0, 0], dtype=np.float32)
    expected = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0]
    assert median_smooth(scores, 3).tolist() == expected


def test_speech_at_the_end_stays() -> None:
    scores = np.array([0, 0, 0, 0, 1, 1, 1], dtype=np.float32)
    assert median_smooth(scores, 5).tolist() == scores.tolist()


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.sampled_from([1, 3, 5, 7]))
@settings(deadline=None)
def test_each_frame_is_the_median_or_mean_of_its_window(values: list[int], frames: int) -> None:
    scores = np.array(values, dtype=np.float64)
    view = windows(scores, frames)
    np.testing.assert_allclose(median_smooth(scores, frames), np.median(view, axis=0))
    np.testing.assert_allclose(mean_smooth(scores, frames), view.mean(axis=0), atol=1e-9)


@pytest.mark.parametrize("smooth", [median_smooth, mean_smooth])
def test_axis_shape_and_type(smooth: Any) -> None:
    scores = np.random.default_rng(0).random((20, 3)).astype(np.float32)
    along = smooth(scores, 5)
    assert along.shape == scores.shape
    assert along.dtype == np.float32
    for column in range(3):
        np.testing.assert_allclose(along[:, column], smooth(scores[:, column], 5), rtol=1e-6)
    np.testing.assert_allclose(smooth(scores.T, 5, axis=1), along.T, rtol=1e-6)
    assert smooth(scores, 1).tolist() == scores.tolist()


def test_no_frames() -> None:
    assert median_smooth(np.zeros((0, 4)), 3).shape == (0, 4)


@pytest.mark.parametrize("frames", [0, 2, -3, 1.5])
def test_windows_without_a_middle_are_refused(frames: Any) -> None:
    with pytest.raises(ConfigError, match="odd number"):
        median_smooth(np.zeros(5), frames)
