"""Jaccard error rate on inputs small enough to check by hand."""

from __future__ import annotations

import pytest

from speakerdiar.annotation import Diarization, Segment, Turn
from speakerdiar.metrics import JaccardErrorRate, JerComponents, jer

TRUTH = Diarization("a", 10.0, (Turn(0, 8, "A"), Turn(8, 9, "B"), Turn(9, 10, "C")))


def test_every_reference_speaker_weighs_the_same() -> None:
    guess = Diarization("a", 10.0, (Turn(0, 6, "x"), Turn(8, 9.5, "y")))
    parts = jer(TRUTH, guess)
    # A: 6 of 8 shared; B: 1 of 1.5 shared; C has no partner
    assert parts.speakers == 3
    assert parts.speaker_error == pytest.approx(2 / 8 + 0.5 / 1.5 + 1)
    assert parts.rate == pytest.approx(parts.speaker_error / 3)


def test_speakers_outside_the_regions_do_not_count() -> None:
    assert jer(TRUTH, TRUTH, uem=[Segment(0, 8.5)]) == JerComponents(0.0, 2)


def test_speakers_that_collars_cover_do_not_count() -> None:
    assert jer(TRUTH, TRUTH, collar=0.5).speakers == 1
    assert jer(TRUTH, TRUTH, collar=0.5, convention="md-eval").rate == pytest.approx(0)


def test_without_reference_speakers_the_rate_is_one() -> None:
    assert jer(Diarization("a", 1.0), Diarization("a", 1.0)).rate == 1.0


def test_own_overlap_counts_once() -> None:
    doubled = Diarization("a", 10.0, (*TRUTH.turns, Turn(1, 3, "A")))
    assert jer(doubled, TRUTH).rate == pytest.approx(0)


def test_equal_pairings_are_told_apart_by_jaccard_not_by_order() -> None:
    # x shares 2 s with A and with B; A fits it better, whatever the order of names or turns
    truth = Diarization("a", 30.0, (Turn(0, 2, "A"), Turn(4, 20, "B")))
    swapped = truth.renamed({"A": "B", "B": "A"})
    later = Diarization("a", 60.0, (Turn(40, 42, "A"), Turn(4, 20, "B")))
    for reference, guess in (
        (truth, (Turn(0, 2, "x"), Turn(4, 6, "x"))),
        (swapped, (Turn(0, 2, "x"), Turn(4, 6, "x"))),
        (later, (Turn(40, 42, "x"), Turn(4, 6, "x"))),
    ):
        assert jer(reference, Diarization("a", 60.0, guess)).speaker_error == pytest.approx(0.5 + 1)


def test_accumulator_takes_the_mean_over_speakers() -> None:
    metric = JaccardErrorRate()
    metric.add(TRUTH, TRUTH)
    metric.add(Diarization("b", 1.0, (Turn(0, 1, "A"),)), Diarization("b", 1.0))
    assert metric.total == JerComponents(1.0, 4)
