"""Masks of windows on the frames of a network that hears the audio once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from speakerdiar.models.embedders.mask_runs import MaskRuns, tiles


def test_runs_lie_where_masks_are() -> None:
    masks = np.zeros((3, 100), dtype=bool)
    masks[0, 20:40] = masks[0, 60:70] = masks[1, 90:] = True
    kept = MaskRuns.of(np.array([0, 500, 500]), 1000, masks, 10, 100, 140)
    np.testing.assert_array_equal(kept.runs, [[20, 40], [60, 70], [140, 140]][:2])
    np.testing.assert_array_equal(kept.rows, [0, 0])
    np.testing.assert_array_equal(kept.frames, [30, 0, 0])  # the second one lies behind the end
    np.testing.assert_array_equal(kept.ends, [70, 0, 0])
    np.testing.assert_array_equal(np.flatnonzero(kept.needed(30, 65)), [*range(10), *range(30, 35)])


def test_windows_between_frames_go_to_the_nearest_and_masks_stay_in_time() -> None:
    masks = np.zeros((2, 100), dtype=bool)
    masks[:, 50:60] = True
    kept = MaskRuns.of(np.array([14, 16]), 1000, masks, 10, 100, 200)
    np.testing.assert_array_equal(kept.runs, [[52, 62], [52, 62]])  # 514 to 614, and 516 to 616: the first inside


@given(st.integers(0, 900), arrays.arrays(bool, (3, 59)))
def test_chosen_masks_have_the_same_runs_alone(start: int, masks: np.ndarray) -> None:
    starts = np.array([start, start, 0])
    kept = MaskRuns.of(starts, 1000, masks, 8, 125, 400)
    chosen = np.flatnonzero(kept.frames)[-1:]
    runs, rows = kept.only(chosen)
    alone = MaskRuns.of(starts[chosen], 1000, masks[chosen], 8, 125, 400)
    np.testing.assert_array_equal(runs, alone.runs)
    np.testing.assert_array_equal(rows, alone.rows)


@given(arrays.arrays(bool, st.integers(0, 60)), st.integers(1, 20), st.integers(0, 8))
def test_tiles_cover_what_is_needed_once(needed: np.ndarray, longest: int, gap: int) -> None:
    found = tiles(needed, longest, gap)
    covered = np.zeros(len(needed), dtype=int)
    for first, last in found:
        assert 0 < last - first <= longest
        covered[first:last] += 1
    assert covered.max(initial=0) <= 1
    assert covered[needed].all()
    for first, last in zip(
        [0, *(last for _, last in found)], [*(first for first, _ in found), len(needed)], strict=True
    ):
        inner = first > 0 and last < len(needed)
        assert not inner or last == first or last - first >= gap
