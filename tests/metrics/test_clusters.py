"""Purity, coverage, homogeneity and completeness on inputs small enough to check by hand."""

from __future__ import annotations

import math

import pytest

from speakerdiar.annotation import Diarization, Segment, Turn
from speakerdiar.metrics import (
    Coverage,
    EntropyComponents,
    Purity,
    PurityComponents,
    completeness,
    coverage,
    homogeneity,
    purity,
)

TRUTH = Diarization("a", 10.0, (Turn(0, 4, "A"), Turn(4, 8, "B")))
SPLIT = Diarization("a", 10.0, (Turn(0, 3, "x"), Turn(3, 4, "y"), Turn(4, 8, "z")))
ONE = Diarization("a", 10.0, (Turn(0, 8, "x"),))


def test_splitting_costs_coverage_merging_costs_purity() -> None:
    assert purity(TRUTH, SPLIT) == PurityComponents(8, 8)
    assert coverage(TRUTH, SPLIT) == PurityComponents(8, 7)
    assert purity(TRUTH, ONE) == PurityComponents(8, 4)
    assert coverage(TRUTH, ONE).rate == 1.0


def test_regions() -> None:
    assert purity(TRUTH, ONE, uem=[Segment(2, 5)]) == PurityComponents(3, 2)


def test_time_without_reference_lowers_purity() -> None:
    assert purity(TRUTH, Diarization("a", 10.0, (Turn(6, 10, "x"),))).rate == pytest.approx(0.5)


def test_entropies() -> None:
    assert homogeneity(TRUTH, SPLIT).rate == pytest.approx(1.0)
    merged = homogeneity(TRUTH, ONE)
    assert (merged.entropy, merged.conditional) == pytest.approx((math.log(2), math.log(2)))
    assert merged.rate == pytest.approx(0.0)
    assert completeness(TRUTH, ONE).rate == 1.0
    assert 0 < completeness(TRUTH, SPLIT).rate < 1


def test_no_speech() -> None:
    nobody = Diarization("a", 10.0)
    assert purity(nobody, nobody).rate == 1.0
    assert homogeneity(TRUTH, nobody).rate == 1.0
    assert EntropyComponents(0.0, 0.5).rate == 0.0


def test_accumulators_sum() -> None:
    for metric, expected in ((Purity(), PurityComponents(12, 12)), (Coverage(), PurityComponents(16, 11))):
        metric.add(TRUTH, SPLIT)
        metric.add(Diarization("b", 10.0, TRUTH.turns), Diarization("b", 10.0, (Turn(0, 4, "x"),)))
        assert metric.total == expected


def test_entropies_add() -> None:
    assert EntropyComponents(1, 2) + EntropyComponents(3, 4) == EntropyComponents(4, 6)
