"""Scores against pyannote.metrics itself, on made pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from speakerdiar.annotation import Diarization, Segment, Turn
from speakerdiar.metrics import (
    EntropyComponents,
    PurityComponents,
    completeness,
    coverage,
    der,
    detection,
    homogeneity,
    jer,
    overlap_detection,
    purity,
    speaker_count,
)
from speakerdiar.metrics.cells import Cells, cut
from speakerdiar.metrics.rules import Rules

referee = pytest.importorskip("pyannote.metrics.diarization")
detection_referee = pytest.importorskip("pyannote.metrics.detection")
core = pytest.importorskip("pyannote.core")

# pyannote.metrics says so at every call without a UEM
pytestmark = pytest.mark.filterwarnings("ignore:'uem' was approximated by the union:UserWarning")

TOLERANCE = 1e-6


def made(seed: int, speakers: int, turns: int, *, own_overlap: bool) -> Diarization:
    """Turns at random times, whole microseconds: so borders never coincide by chance."""
    draw = np.random.default_rng(seed)
    start = draw.uniform(0, 60, turns).round(6)
    end = (start + draw.exponential(2.5, turns).clip(0.05)).round(6)
    who = draw.integers(0, max(speakers, 1), turns)
    result = Diarization("made", 90.0, tuple(Turn(s, e, f"s{w}") for s, e, w in zip(start, end, who, strict=True)))
    return result if own_overlap else result.supported()


sides = st.builds(made, st.integers(0, 10**6), st.integers(1, 6), st.integers(0, 25), own_overlap=st.booleans())
regions = st.none() | st.lists(
    st.tuples(st.floats(0, 60), st.floats(0.5, 30)).map(lambda r: Segment(round(r[0], 4), round(r[0] + r[1], 4))),
    min_size=1,
    max_size=3,
)


def annotation(diarization: Diarization) -> Any:
    result = core.Annotation(uri=diarization.recording_id)
    for index, turn in enumerate(diarization):
        result[core.Segment(turn.start, turn.end), index] = turn.speaker
    return result


def timeline(uem: list[Segment] | None) -> Any:
    return None if uem is None else core.Timeline([core.Segment(part.start, part.end) for part in uem])


def several_pairings(cells: Cells) -> bool:
    """Whether more than one pairing shares the most time: there pyannote takes any, and we the best for the JER."""
    gain = cells.shared(cells.scored)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    best = gain[rows, columns].sum()
    for row, column in zip(rows, columns, strict=True):
        without = gain.copy()
        without[row, column] = -1.0
        other = linear_sum_assignment(without, maximize=True)
        if gain[row, column] > 0 and without[other].sum() > best - 1e-6:
            return True
    return False


def ask(metric: Any, reference: Any, hypothesis: Any, uem: list[Segment] | None) -> dict[str, float]:
    return dict(metric(reference, hypothesis, detailed=True, uem=timeline(uem)))


@given(sides, sides, st.sampled_from([0.0, 0.1, 0.25]), st.booleans(), regions)
@settings(max_examples=60, deadline=None)
def test_der_and_jer(
    truth: Diarization, guess: Diarization, collar: float, skip_overlap: bool, uem: list[Segment] | None
) -> None:
    ours: dict[str, Any] = {"collar": collar, "skip_overlap": skip_overlap, "uem": uem}
    theirs = {"collar": 2 * collar, "skip_overlap": skip_overlap}
    first, second = annotation(truth), annotation(guess)
    expected = ask(referee.DiarizationErrorRate(**theirs), first, second, uem)
    parts = der(truth, guess, **ours)
    assert parts.total == pytest.approx(expected["total"], abs=TOLERANCE)
    assert parts.correct == pytest.approx(expected["correct"], abs=TOLERANCE)
    assert parts.miss == pytest.approx(expected["missed detection"], abs=TOLERANCE)
    assert parts.false_alarm == pytest.approx(expected["false alarm"], abs=TOLERANCE)
    assert parts.confusion == pytest.approx(expected["confusion"], abs=TOLERANCE)
    expected = ask(referee.JaccardErrorRate(**theirs), first, second, uem)
    speakers = jer(truth, guess, **ours)
    assert speakers.speakers == expected["speaker count"]
    assert speakers.speaker_error <= expected["speaker error"] + TOLERANCE
    if not several_pairings(cut(truth, guess, Rules(collar, skip_overlap), uem)):
        assert speakers.speaker_error == pytest.approx(expected["speaker error"], abs=TOLERANCE)


@given(sides, sides, regions)
@settings(max_examples=30, deadline=None)
def test_greedy_pairing(truth: Diarization, guess: Diarization, uem: list[Segment] | None) -> None:
    expected = ask(referee.GreedyDiarizationErrorRate(), annotation(truth), annotation(guess), uem)
    parts = der(truth, guess, uem=uem, convention="pyannote-greedy")
    assert parts.correct == pytest.approx(expected["correct"], abs=TOLERANCE)


@given(sides, sides, st.sampled_from([0.0, 0.25]), regions)
@settings(max_examples=30, deadline=None)
def test_detection(truth: Diarization, guess: Diarization, collar: float, uem: list[Segment] | None) -> None:
    metric = detection_referee.DetectionErrorRate(collar=2 * collar)
    expected = ask(metric, annotation(truth), annotation(guess), uem)
    parts = detection(truth, guess, collar=collar, uem=uem)
    got = (parts.total, parts.miss, parts.false_alarm)
    assert got == pytest.approx((expected["total"], expected["miss"], expected["false alarm"]), abs=TOLERANCE)


@given(sides, sides, regions)
@settings(max_examples=30, deadline=None)
def test_overlap(truth: Diarization, guess: Diarization, uem: list[Segment] | None) -> None:
    """pyannote has no overlap metric: it is asked about the two people at once as if that were speech."""
    sides = [
        Diarization("overlap", 0.0, tuple(Turn(part.start, part.end, "overlap") for part in side.overlap))
        for side in (truth, guess)
    ]
    first, second = map(annotation, sides)
    parts = overlap_detection(truth, guess, uem=uem)
    precision = detection_referee.DetectionPrecision()(first, second, uem=timeline(uem))
    recall = detection_referee.DetectionRecall()(first, second, uem=timeline(uem))
    assert (parts.precision, parts.recall) == pytest.approx((precision, recall), abs=TOLERANCE)


@given(sides, sides, regions)
@settings(max_examples=30, deadline=None)
def test_clusters_and_counts(truth: Diarization, guess: Diarization, uem: list[Segment] | None) -> None:
    first, second = annotation(truth), annotation(guess)
    asked: dict[Callable[..., PurityComponents | EntropyComponents], Any] = {
        purity: referee.DiarizationPurity(),
        coverage: referee.DiarizationCoverage(),
        homogeneity: referee.DiarizationHomogeneity(),
        completeness: referee.DiarizationCompleteness(),
    }
    for function, metric in asked.items():
        assert function(truth, guess).rate == pytest.approx(metric(first, second), abs=TOLERANCE), metric.name
    count = speaker_count(truth, guess, uem=uem)
    assert count.absolute == referee.DiarizationSpeakerCountError()(first, second, uem=timeline(uem))
