"""Detection of speech and of overlap on inputs small enough to check by hand."""

from __future__ import annotations

import pytest

from speakerdiar.annotation import Diarization, Segment, Turn
from speakerdiar.metrics import (
    DetectionComponents,
    DetectionErrorRate,
    OverlapDetection,
    detection,
    overlap_detection,
)

TRUTH = Diarization("a", 10.0, (Turn(0, 4, "A"), Turn(2, 6, "B"), Turn(2.5, 5, "B")))
GUESS = Diarization("a", 10.0, (Turn(1, 5, "x"), Turn(3, 8, "y")))


def test_speech() -> None:
    parts = detection(TRUTH, GUESS)
    assert parts == DetectionComponents(total=6, miss=1, false_alarm=2, scored=8)
    assert parts.rate == pytest.approx(3 / 6)
    assert parts.precision == pytest.approx(5 / 7)
    assert parts.recall == pytest.approx(5 / 6)
    assert parts.f1 == pytest.approx(10 / 13)


def test_overlap_is_two_people_not_two_turns() -> None:
    parts = overlap_detection(TRUTH, GUESS)
    assert parts == DetectionComponents(total=2, miss=1, false_alarm=1, scored=8)


def test_overlap_inside_regions() -> None:
    assert overlap_detection(TRUTH, GUESS, uem=[Segment(0, 3)]).precision == 1.0
    assert overlap_detection(TRUTH, GUESS, uem=[Segment(0, 3)]).recall == 0.0


def test_collar_around_reference_borders() -> None:
    assert detection(TRUTH, GUESS, collar=0.5).miss == pytest.approx(0.5)


def test_nothing_to_find_and_nothing_found() -> None:
    parts = detection(Diarization("a", 1.0), Diarization("a", 1.0))
    assert (parts.rate, parts.precision, parts.recall, parts.f1) == (0.0, 1.0, 1.0, 1.0)


def test_nothing_right() -> None:
    parts = detection(Diarization("a", 2.0, (Turn(0, 1, "A"),)), Diarization("a", 2.0, (Turn(1, 2, "x"),)))
    assert (parts.rate, parts.precision, parts.recall, parts.f1) == (2.0, 0.0, 0.0, 0.0)


def test_accumulators_sum() -> None:
    for metric, function in ((DetectionErrorRate(), detection), (OverlapDetection(), overlap_detection)):
        metric.add(TRUTH, GUESS)
        metric.add(Diarization("b", 1.0, TRUTH.turns), Diarization("b", 1.0))
        expected = function(TRUTH, GUESS) + function(TRUTH, Diarization("a", 1.0))
        assert metric.total == expected
