"""The median of bits, and the runs that are long enough."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from speakerdiar.errors import ConfigError
from speakerdiar.postprocessing.smoothed_activity import long_runs, median_activity, smoothed_turns

ACTIVE = st.tuples(st.integers(1, 60), st.integers(1, 3)).flatmap(lambda shape: arrays(bool, shape))


@given(ACTIVE, st.integers(1, 90))
def test_the_median_is_that_of_scipy(active: np.ndarray[Any, Any], size: int) -> None:
    from scipy.ndimage import median_filter

    expected = median_filter(active.astype(int), (size, 1), mode="constant", cval=0.0)
    smoothed = median_activity(active, size)
    assert smoothed.dtype == bool
    assert smoothed.tolist() == expected.astype(bool).tolist()


@given(ACTIVE)
def test_no_filter_and_no_threshold_keep_every_frame(active: np.ndarray[Any, Any]) -> None:
    found = np.zeros_like(active)
    for speaker, turns in enumerate(smoothed_turns(active, smooth_size=1, dur_threshold=0)):
        for start, end in np.rint(turns * 100).astype(int):
            found[start:end, speaker] = True
    assert (found == active).all()


def test_a_run_must_be_longer_than_the_threshold() -> None:
    active = np.zeros((40, 3), dtype=bool)
    active[:10, 0] = active[20:31, 0] = active[:10, 1] = True
    turns = smoothed_turns(active, smooth_size=1)
    assert [rows.tolist() for rows in turns] == [[[0.2, 0.31]], [], []]
    assert {rows.shape[1] for rows in turns} == {2}


def test_a_lasting_turn_keeps_its_borders_but_not_at_the_ends() -> None:
    active = np.ones((300, 1), dtype=bool)
    assert smoothed_turns(active)[0].tolist() == [[0.0, 3.0]]
    active[:100] = False
    active[150:160] = False
    assert smoothed_turns(active)[0].tolist() == [[1.0, 3.0]]
    assert smoothed_turns(active[:120])[0].tolist() == []  # 20 of 83 frames


@given(st.integers(0, 10_000), st.integers(1, 100))
def test_times_are_hundredths_as_python_divides(start: int, frames: int) -> None:
    active = (np.arange(start + frames + 1) >= start)[:, None]
    active[-1] = False
    assert long_runs(active, dur_threshold=0)[0].tolist() == [[start / 100, (start + frames) / 100]]


def test_nothing_in_nothing_out() -> None:
    assert [rows.shape for rows in smoothed_turns(np.zeros((0, 2), dtype=bool))] == [(0, 2), (0, 2)]
    assert smoothed_turns(np.zeros((9, 0), dtype=bool)) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"smooth_size": 0}, "smooth_size=0: give a whole number of frames"),
        ({"smooth_size": 2.5}, "smooth_size=2.5"),
        ({"dur_threshold": -1}, "dur_threshold=-1: give a number of frames, 0 or more"),
        ({"step": 0.0}, "step=0.0: give the seconds of a frame"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        smoothed_turns(np.zeros((3, 1), dtype=bool), **options)
