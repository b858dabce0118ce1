"""Windows over a recording and the frames inside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.errors import ConfigError
from speakerdiar.windows import WindowGrid


def test_the_frames_of_25_seconds() -> None:
    grid = WindowGrid()
    assert grid.count(25 * 16000) == 16
    assert grid.total_frames(16) == 1482
    assert grid.first_frame(np.arange(4)).tolist() == [0, 59, 119, 178]


def test_one_window_covers_what_is_shorter() -> None:
    grid = WindowGrid()
    assert [grid.count(samples) for samples in (0, 1, 160000, 160001, 176000, 176001)] == [0, 1, 1, 2, 2, 3]


@given(st.integers(1, 10**7), st.floats(0.05, 1))
def test_windows_cover_every_sample_and_no_window_is_idle(samples: int, share: float) -> None:
    grid = WindowGrid().with_step(share)
    starts = grid.starts(grid.count(samples))
    assert starts[-1] + grid.window >= samples
    assert len(starts) == 1 or starts[-2] + grid.window < samples
    assert grid.total_frames(len(starts)) >= grid.first_frame(len(starts) - 1) + grid.frames


def test_middles_are_those_of_the_frame_grid() -> None:
    grid = WindowGrid()
    frames = np.arange(5)
    assert grid.middle(frames) == pytest.approx((grid.frame_grid.time(frames) + grid.frame_grid.time(frames + 1)) / 2)
    assert grid.middle(0) == pytest.approx(0.03096875)


@pytest.mark.parametrize("share", [0, 1.5, float("nan")])
def test_a_step_outside_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="above 0, at most 1"):
        WindowGrid().with_step(share)


def test_gaps_between_windows_are_refused() -> None:
    with pytest.raises(ConfigError, match="leave gaps"):
        WindowGrid(step=160001)


def test_sizes_are_whole_numbers() -> None:
    with pytest.raises(ConfigError, match="frames=0"):
        WindowGrid(frames=0)
