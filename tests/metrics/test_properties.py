"""Laws that every score keeps, on made pairs. Times are whole tenths of a second, so that borders often coincide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.annotation import Diarization, Segment, Turn
from speakerdiar.metrics import (
    DerComponents,
    DiarizationErrorRate,
    completeness,
    coverage,
    der,
    detection,
    homogeneity,
    jer,
    overlap_detection,
    purity,
)
from speakerdiar.metrics.rules import Convention

CONVENTIONS: tuple[Convention, ...] = ("pyannote", "pyannote-greedy", "md-eval")


def turns(speakers: str) -> st.SearchStrategy[Turn]:
    return st.builds(
        lambda start, length, speaker: Turn(start / 10, (start + length) / 10, speaker),
        st.integers(0, 300),
        st.integers(1, 80),
        st.sampled_from(speakers),
    )


def diarizations(speakers: str) -> st.SearchStrategy[Diarization]:
    return st.lists(turns(speakers), max_size=12).map(lambda made: Diarization("made", 40.0, tuple(made)))


def clean(speakers: str) -> st.SearchStrategy[Diarization]:
    """Without turns of one speaker that overlap."""
    return diarizations(speakers).map(lambda made: made.supported())


regions = st.none() | st.lists(
    st.tuples(st.integers(0, 380), st.integers(1, 100)).map(lambda r: Segment(r[0] / 10, (r[0] + r[1]) / 10)),
    max_size=3,
)
options = st.fixed_dictionaries(
    {
        "collar": st.sampled_from([0.0, 0.1, 0.25, 1.0]),
        "skip_overlap": st.booleans(),
        "uem": regions,
        "convention": st.sampled_from(CONVENTIONS),
    }
)
Options = dict[str, Any]


def close(first: DerComponents, second: DerComponents) -> bool:
    pairs = ((getattr(first, name), getattr(second, name)) for name in DerComponents.__dataclass_fields__)
    return all(one == pytest.approx(other, abs=1e-6) for one, other in pairs)


@given(diarizations("ABCD"), options)
def test_nothing_is_wrong_with_oneself(truth: Diarization, options: Options) -> None:
    parts = der(truth, truth, **options)
    assert parts.error == pytest.approx(0, abs=1e-9)
    assert jer(truth, truth, **options).speaker_error == pytest.approx(0, abs=1e-9)


@given(diarizations("ABCD"), diarizations("wxyz"), options)
def test_components_add_up(truth: Diarization, guess: Diarization, options: Options) -> None:
    parts = der(truth, guess, **options)
    assert parts.correct + parts.miss + parts.confusion == pytest.approx(parts.total)
    assert min(parts.total, parts.correct, parts.miss, parts.false_alarm, parts.confusion, parts.scored) >= 0


@given(diarizations("ABCD"), clean("wxyz"), options, st.permutations("wxyz"))
def test_names_do_not_matter(truth: Diarization, guess: Diarization, options: Options, names: Sequence[str]) -> None:
    other = guess.renamed(dict(zip("wxyz", names, strict=True)))
    if options["convention"] == "pyannote-greedy":  # equal shares may be taken in another order
        options = {**options, "convention": "pyannote"}
    truth = truth.supported()
    assert close(der(truth, guess, **options), der(truth, other, **options))


@given(diarizations("ABCD"), diarizations("wxyz"), options)
def test_optimal_pairing_is_never_worse_than_greedy(truth: Diarization, guess: Diarization, options: Options) -> None:
    truth, guess = truth.supported(), guess.supported()
    best = der(truth, guess, **{**options, "convention": "pyannote"})
    assert best.correct >= der(truth, guess, **{**options, "convention": "pyannote-greedy"}).correct - 1e-9


@given(diarizations("ABCD"), diarizations("wxyz"), st.floats(0, 2), st.floats(0, 2), regions)
def test_a_larger_collar_scores_less(
    truth: Diarization, guess: Diarization, one: float, other: float, uem: list[Segment] | None
) -> None:
    small, large = sorted((one, other))
    narrow, wide = (der(truth, guess, collar=collar, uem=uem) for collar in (small, large))
    assert wide.scored <= narrow.scored + 1e-4
    assert wide.total <= narrow.total + 1e-4


@given(diarizations("ABCD"), diarizations("wxyz"), options, st.integers(0, 11), st.integers(1, 9))
def test_splitting_a_hypothesis_turn_changes_nothing(
    truth: Diarization, guess: Diarization, options: Options, which: int, tenth: int
) -> None:
    assert close(der(truth, guess, **options), der(truth, split(guess, which, tenth), **options))


@given(diarizations("ABCD"), diarizations("wxyz"), options, st.integers(0, 11), st.integers(1, 9))
def test_splitting_a_reference_turn_changes_nothing_without_a_collar(
    truth: Diarization, guess: Diarization, options: Options, which: int, tenth: int
) -> None:
    options = {**options, "collar": 0.0}
    assert close(der(truth, guess, **options), der(split(truth, which, tenth), guess, **options))


def split(diarization: Diarization, which: int, tenth: int) -> Diarization:
    """Cut one of the turns in two that touch."""
    if which >= len(diarization):
        return diarization
    turn = diarization.turns[which]
    middle = turn.start + turn.duration * tenth / 10
    parts = (Turn(turn.start, middle, turn.speaker), Turn(middle, turn.end, turn.speaker))
    rest = (*diarization.turns[:which], *diarization.turns[which + 1 :])
    return Diarization(diarization.recording_id, diarization.duration, rest + parts)


@given(diarizations("ABCD"), diarizations("wxyz"), st.floats(-50, 50))
def test_moving_both_changes_nothing(truth: Diarization, guess: Diarization, seconds: float) -> None:
    assert close(der(truth, guess), der(truth.shifted(seconds), guess.shifted(seconds)))


@given(st.lists(st.tuples(diarizations("ABCD"), diarizations("wxyz"), regions), max_size=4), st.booleans())
@settings(max_examples=30)
def test_accumulating_is_summing(
    files: list[tuple[Diarization, Diarization, list[Segment] | None]], skip_overlap: bool
) -> None:
    metric = DiarizationErrorRate(collar=0.1, skip_overlap=skip_overlap)
    total = DerComponents()
    for index, (truth, guess, uem) in enumerate(files):
        named = Diarization(str(index), truth.duration, truth.turns)
        assert metric.add(named, guess, uem) == der(truth, guess, collar=0.1, skip_overlap=skip_overlap, uem=uem)
        total = total + metric.files[str(index)]
    assert close(metric.total, total)
    assert metric.protocol.files == len(files)


@given(clean("ABCD"), clean("wxyz"), regions)
def test_detection_is_der_with_one_name(truth: Diarization, guess: Diarization, uem: list[Segment] | None) -> None:
    one = [d.renamed(dict.fromkeys(d.speakers, "speech")).supported() for d in (truth, guess)]
    parts, found = der(*one, uem=uem), detection(truth, guess, uem=uem)
    assert (parts.total, parts.miss, parts.false_alarm) == pytest.approx((found.total, found.miss, found.false_alarm))


@given(clean("ABCD"), clean("wxyz"), regions)
def test_overlap_is_what_the_value_says(truth: Diarization, guess: Diarization, uem: list[Segment] | None) -> None:
    parts = overlap_detection(truth, guess, uem=uem)
    region = Diarization("r", 0.0, tuple(Turn(s.start, s.end, "r") for s in uem)).speech if uem else ()
    spans = region if uem is not None else (Segment(0, 100),)
    expected = sum((overlap & span).duration for overlap in truth.overlap for span in spans)
    assert parts.total == pytest.approx(expected, abs=1e-6)


@given(diarizations("ABCD"), diarizations("wxyz"), regions)
def test_swapping_sides_swaps_measures(truth: Diarization, guess: Diarization, uem: list[Segment] | None) -> None:
    assert purity(truth, guess, uem=uem).rate == pytest.approx(coverage(guess, truth, uem=uem).rate)
    assert homogeneity(truth, guess, uem=uem).rate == pytest.approx(completeness(guess, truth, uem=uem).rate, abs=1e-6)
