"""Diarization error rate on inputs small enough to check by hand."""

from __future__ import annotations

import pytest

from speakerdiar.annotation import Diarization, Segment, Turn
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.metrics import DerComponents, DiarizationErrorRate, der, speaker_mapping

TRUTH = Diarization("talk", 12.0, (Turn(0, 4, "Ann"), Turn(3, 8, "Bob"), Turn(10, 12, "Ann")))
GUESS = Diarization("talk", 12.0, (Turn(0, 5, "x"), Turn(5, 9, "y"), Turn(10, 11, "y")))


def as_tuple(parts: DerComponents) -> tuple[float, ...]:
    return parts.total, parts.correct, parts.miss, parts.false_alarm, parts.confusion, parts.scored


def test_components_by_hand() -> None:
    # x is Ann (0-4), y is Bob (5-8). 3-4 holds two speakers and one is found; 4-5 is Bob's and x was said;
    # 8-9 is nobody's; 10-11 is Ann's and y was said; 11-12 wasn't found.
    assert as_tuple(der(TRUTH, GUESS)) == pytest.approx((11, 7, 2, 1, 2, 12))


def test_rate_is_error_over_total() -> None:
    parts = der(TRUTH, GUESS)
    assert parts.error == pytest.approx(5)
    assert parts.rate == pytest.approx(5 / 11)


def test_skipping_overlap_leaves_out_where_two_reference_turns_run() -> None:
    assert as_tuple(der(TRUTH, GUESS, skip_overlap=True)) == pytest.approx((9, 6, 1, 1, 2, 11))


def test_collar_lies_on_each_side_of_a_reference_border() -> None:
    truth = Diarization("a", 10.0, (Turn(2, 8, "A"),))
    parts = der(truth, Diarization("a", 10.0, (Turn(0, 10, "x"),)), collar=0.5)
    assert as_tuple(parts) == pytest.approx((5, 5, 0, 3, 0, 8))


def test_collar_leaves_hypothesis_borders_alone() -> None:
    truth = Diarization("a", 10.0, (Turn(0, 10, "A"),))
    guess = Diarization("a", 10.0, (Turn(0, 4, "x"), Turn(6, 10, "x")))
    assert as_tuple(der(truth, guess, collar=0.5)) == pytest.approx((9, 7, 2, 0, 0, 9))


def test_regions_limit_what_is_scored() -> None:
    regions = [Segment(0, 3), Segment(2, 3.5), Segment(9, 9)]
    assert as_tuple(der(TRUTH, GUESS, uem=regions)) == pytest.approx((4, 3.5, 0.5, 0, 0, 3.5))


def test_no_regions_at_all_score_nothing() -> None:
    assert der(TRUTH, GUESS, uem=[]) == DerComponents()


def test_regions_reach_beyond_the_turns() -> None:
    assert der(TRUTH, GUESS, uem=[Segment(-5, 20)]).scored == pytest.approx(25)


@pytest.mark.parametrize(("turns", "rate"), [((), 0.0), ((Turn(0, 1, "x"),), 1.0)])
def test_rate_without_reference_speech(turns: tuple[Turn, ...], rate: float) -> None:
    assert der(Diarization("a", 5.0), Diarization("a", 5.0, turns)).rate == rate


def test_pairing_is_the_best_in_total_not_the_greediest() -> None:
    truth = Diarization("a", 20.0, (Turn(0, 6, "A"), Turn(6, 16, "B")))
    guess = Diarization("a", 20.0, (Turn(0, 5, "x"), Turn(5, 6, "y"), Turn(6, 12, "x"), Turn(12, 16, "y")))
    assert speaker_mapping(truth, guess) == {"x": "A", "y": "B"}
    assert der(truth, guess).correct == pytest.approx(9)
    assert speaker_mapping(truth, guess, convention="pyannote-greedy") == {"x": "B", "y": "A"}
    assert der(truth, guess, convention="pyannote-greedy").correct == pytest.approx(7)


def test_md_eval_counts_a_speaker_once() -> None:
    truth = Diarization("a", 4.0, (Turn(0, 3, "A"), Turn(2, 4, "A")))
    guess = Diarization("a", 4.0, (Turn(0, 4, "x"),))
    assert der(truth, guess).total == pytest.approx(5)
    assert der(truth, guess).miss == pytest.approx(1)
    assert der(truth, guess, convention="md-eval") == DerComponents(total=4, correct=4, scored=4)


def test_md_eval_pairs_speakers_before_collars_are_left_out() -> None:
    truth = Diarization("a", 20.0, (Turn(0, 10, "A"), Turn(10, 20, "B")))
    # x shares 4 s with A, all of it in collars, and 2 s with B outside of them
    guess = Diarization("a", 20.0, (Turn(0, 2, "x"), Turn(2, 3, "y"), Turn(8, 10, "x"), Turn(12, 14, "x")))
    assert speaker_mapping(truth, guess, collar=2) == {"x": "B", "y": "A"}
    assert der(truth, guess, collar=2).confusion == 0
    assert speaker_mapping(truth, guess, collar=2, convention="md-eval") == {"x": "A"}
    assert der(truth, guess, collar=2, convention="md-eval").confusion == pytest.approx(3)


@pytest.mark.parametrize("collar", [-0.1, float("nan"), float("inf")])
def test_impossible_collar_is_refused(collar: float) -> None:
    with pytest.raises(ConfigError, match=r"collar=.*each side"):
        der(TRUTH, GUESS, collar=collar)


def test_unknown_convention_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"convention='dscore'.*'md-eval'"):
        der(TRUTH, GUESS, convention="dscore")  # type: ignore[arg-type]


def test_accumulator_adds_seconds_not_rates() -> None:
    metric = DiarizationErrorRate()
    metric.add(TRUTH, GUESS)
    short = Diarization("short", 1.0, (Turn(0, 1, "A"),))
    metric.add(short, Diarization("short", 1.0), uem=[Segment(0, 1)])
    assert metric.total.rate == pytest.approx(6 / 12)
    assert list(metric.files) == ["talk", "short"]
    assert metric.files["short"].rate == 1.0
    assert metric.protocol.files == 2
    assert "given regions for 1 of 2 files" in str(metric.protocol)


def test_accumulator_refuses_the_same_recording_twice() -> None:
    metric = DiarizationErrorRate()
    metric.add(TRUTH, GUESS)
    with pytest.raises(InputError, match="'talk' was added before"):
        metric.add(TRUTH, GUESS)


def test_empty_accumulator_scores_nothing() -> None:
    assert DiarizationErrorRate().total == DerComponents()
