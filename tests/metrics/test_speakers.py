"""Speaker counts."""

from __future__ import annotations

import pytest

from speakerdiar.annotation import Diarization, Segment, Turn
from speakerdiar.metrics import CountComponents, SpeakerCounting, speaker_count

TRUTH = Diarization("a", 10.0, (Turn(0, 4, "A"), Turn(5, 6, "B"), Turn(8, 9, "A")))
GUESS = Diarization("a", 10.0, (Turn(0, 4, "x"), Turn(5, 6, "y"), Turn(8, 8.1, "z")))


def test_count() -> None:
    assert speaker_count(TRUTH, GUESS) == CountComponents(2, 3, 1, 0, 1)


def test_only_speakers_inside_the_regions_count() -> None:
    assert speaker_count(TRUTH, GUESS, uem=[Segment(0, 7)]) == CountComponents(2, 2, 0, 1, 1)


def test_collars_take_no_speaker_away() -> None:
    metric = SpeakerCounting(collar=2.0, skip_overlap=True)
    assert metric.add(TRUTH, GUESS).hypothesis == 3


def test_errors_in_both_directions_do_not_cancel() -> None:
    metric = SpeakerCounting()
    metric.add(TRUTH, GUESS)
    metric.add(Diarization("b", 9.0, TRUTH.turns), Diarization("b", 9.0, (Turn(0, 1, "x"),)))
    metric.add(Diarization("c", 9.0, TRUTH.turns), Diarization("c", 9.0, TRUTH.turns))
    assert metric.total == CountComponents(6, 6, 2, 1, 3)
    assert metric.total.error == pytest.approx(2 / 3)
    assert metric.total.accuracy == pytest.approx(1 / 3)


def test_no_recordings() -> None:
    assert (CountComponents().error, CountComponents().accuracy) == (0.0, 0.0)
