"""Errors of verification, held against a sweep by hand and scikit-learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from speakerdiar.errors import ConfigError, InputError
from speakerdiar.metrics import DetCurve, det_curve, errors_at

Trials = tuple[NDArray[np.float64], NDArray[np.bool_]]


@st.composite
def trials(draw: st.DrawFn) -> Trials:
    """Scores, many of them tied, and labels of both kinds."""
    labels = [True, False, *draw(st.lists(st.booleans(), max_size=28))]
    steps = draw(st.lists(st.integers(-12, 12), min_size=len(labels), max_size=len(labels)))
    return np.array(steps) / 4, np.array(labels)


def curve_of(found: Trials) -> DetCurve:
    return det_curve(*found)


@given(trials())
def test_curve_is_that_of_a_sweep(found: Trials) -> None:
    scores, same = found
    curve = curve_of(found)
    assert (curve.targets, curve.nontargets) == (same.sum(), (~same).sum())
    for threshold, miss, false_accept in zip(curve.thresholds, curve.miss, curve.false_accept, strict=True):
        assert miss == np.mean(scores[same] < threshold)
        assert false_accept == np.mean(scores[~same] >= threshold)
        assert np.allclose(errors_at(scores, same, float(threshold)), (miss, false_accept))
    assert (np.diff(curve.thresholds) > 0).all()
    assert (curve.miss[0], curve.false_accept[0], curve.miss[-1], curve.false_accept[-1]) == (0, 1, 1, 0)


@given(trials())
def test_curve_is_that_of_scikit_learn(found: Trials) -> None:
    scores, same = found
    curve = curve_of(found)
    false_accept, hits, _ = roc_curve(same, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_accept[::-1], false_accept, atol=1e-12)
    np.testing.assert_allclose(1 - curve.miss[::-1], hits, atol=1e-12)


@given(trials())
def test_equal_error_rate_lies_where_the_lines_cross(found: Trials) -> None:
    curve = curve_of(found)
    eer = curve.eer
    assert 0 <= eer <= 1
    # Both errors as functions of the way along the curve, from point to point in straight lines.
    way = np.arange(len(curve.miss), dtype=float)
    fine = np.union1d(np.linspace(0, len(way) - 1, 4001), way)
    gap = np.abs(np.interp(fine, way, curve.miss) - np.interp(fine, way, curve.false_accept))
    at = int(np.argmin(gap))
    assert np.interp(fine[at], way, curve.miss) == pytest.approx(eer, abs=0.02)


@given(trials())
def test_monotone_maps_change_no_error(found: Trials) -> None:
    scores, same = found
    mapped = det_curve(np.exp(scores) * 3 - 7, same)
    curve = curve_of(found)
    np.testing.assert_array_equal(mapped.miss, curve.miss)
    np.testing.assert_array_equal(mapped.false_accept, curve.false_accept)
    assert (mapped.eer, mapped.min_dcf().cost) == (curve.eer, curve.min_dcf().cost)


@given(trials())
def test_turned_round_scores_swap_the_two_errors(found: Trials) -> None:
    scores, same = found
    turned = det_curve(-scores, ~same)
    assert turned.eer == pytest.approx(curve_of(found).eer, abs=1e-12)
    straight = curve_of(found).min_dcf(p_target=0.2, c_miss=3, c_fa=2)
    assert turned.min_dcf(p_target=0.8, c_miss=2, c_fa=3).cost == pytest.approx(straight.cost)


@given(trials(), st.floats(0.01, 0.99), st.floats(0.1, 10), st.floats(0.1, 10))
def test_least_cost_is_that_of_a_sweep(found: Trials, p_target: float, c_miss: float, c_fa: float) -> None:
    scores, same = found
    best = curve_of(found).min_dcf(p_target, c_miss, c_fa)

    def cost(threshold: float) -> float:
        miss, false_accept = np.mean(scores[same] < threshold), np.mean(scores[~same] >= threshold)
        return float(c_miss * p_target * miss + c_fa * (1 - p_target) * false_accept)

    useless = min(cost(-math.inf), cost(math.inf))
    least = min(cost(threshold) for threshold in [*scores, math.inf])
    assert best.cost == pytest.approx(least / useless)
    assert cost(best.threshold) == pytest.approx(least)
    assert 0 <= best.cost <= 1 + 1e-12


@given(trials(), st.floats(0, 1))
def test_threshold_for_a_false_accept_rate_is_the_lowest(found: Trials, rate: float) -> None:
    scores, same = found
    threshold = curve_of(found).threshold_at(rate)
    assert np.mean(scores[~same] >= threshold) <= rate
    lower = scores[scores < threshold]
    if len(lower):
        assert np.mean(scores[~same] >= lower.max()) > rate


def test_figures_by_hand() -> None:
    curve = det_curve([0.9, 0.8, 0.4, 0.7, 0.3, 0.2], [1, 1, 1, 0, 0, 0])
    assert curve.eer == pytest.approx(1 / 3)
    assert curve.eer_threshold == pytest.approx(0.55)
    assert curve.threshold_at(0) == pytest.approx(0.75)
    assert curve.min_dcf(p_target=0.5).cost == pytest.approx(1 / 3)
    apart = det_curve([2.0, 1.0], [True, False])
    assert (apart.eer, apart.eer_threshold, apart.min_dcf().cost) == (0.0, 1.5, 0.0)
    alike = det_curve([1.0, 1.0, 1.0], [True, False, False])
    assert (alike.eer, alike.min_dcf().cost) == (0.5, 1.0)
    between = det_curve([3.0, 1.0, 2.0, 0.0, -1.0], [1, 1, 0, 0, 0])
    assert between.eer == pytest.approx(1 / 3)  # where miss goes from 0 to 1/2 at a false-accept rate of 1/3


def test_neighbouring_numbers_are_told_apart() -> None:
    low = 0.1
    high = float(np.nextafter(low, 1))
    assert errors_at([high, low], [True, False], det_curve([high, low], [True, False]).eer_threshold) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("scores", "same", "says"),
    [
        ([0.1, 0.2], [True, True], "None of 2 trials is of two speakers"),
        ([0.1], [False], "None of 1 trials is of one speaker"),
        ([], [], "None of 0 trials"),
        ([0.1, math.nan], [True, False], "Score 1 is nan"),
        ([math.inf, 0.1], [True, False], "Score 0 is inf"),
        ([0.1, 0.2], [True], r"\(2,\) and labels \(1,\)"),
        ([[0.1, 0.2]], [[True, False]], "one label for each score"),
        ([0.1, 0.2], [1, 2], r"Labels \[1, 2\]"),
    ],
)
def test_what_has_no_error_rate_is_refused(scores: Any, same: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        det_curve(scores, same)
    with pytest.raises(InputError, match=says):
        errors_at(scores, same, 0.5)


def test_rates_and_prices_that_cannot_be_are_refused() -> None:
    curve = det_curve([0.9, 0.1], [True, False])
    with pytest.raises(ConfigError, match=r"false_accept=1\.5"):
        curve.threshold_at(1.5)
    with pytest.raises(ConfigError, match="p_target=0"):
        curve.min_dcf(p_target=0)
    with pytest.raises(ConfigError, match="c_fa=-1"):
        curve.min_dcf(c_fa=-1)
    with pytest.raises(ConfigError, match="threshold=nan"):
        errors_at([0.9, 0.1], [True, False], math.nan)
