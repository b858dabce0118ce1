"""Scores against the recorded figures of pyannote.metrics 4.2, NIST md-eval-22.pl and NeMo 3's md-eval port."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from speakerdiar.annotation import Diarization, Segment, Turn
from speakerdiar.formats import rttm
from speakerdiar.metrics import (
    DiarizationErrorRate,
    JaccardErrorRate,
    coverage,
    der,
    detection,
    homogeneity,
    jer,
    purity,
    speaker_count,
    speaker_mapping,
)

TOLERANCE = 1e-6
PAIRS = [f"pair{index:02d}" for index in range(40)]
Pair = tuple[Diarization, Diarization, list[Segment] | None, dict[str, Any]]


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Any]:
    folder = shared / "golden" / "peers" / "5_metrics"
    return {
        "reference": {turns.recording_id: turns for turns in rttm.load(folder / "ref.rttm")},
        "hypothesis": {turns.recording_id: turns for turns in rttm.load(folder / "hyp.rttm")},
        "uem": read_regions(folder / "all.uem"),
        **json.loads((folder / "expected.json").read_text()),
    }


def read_regions(path: Path) -> dict[str, list[Segment]]:
    """The regions of each pair; one begins before 0, on purpose, which is more than the UEM format's reader allows."""
    regions: dict[str, list[Segment]] = {}
    for name, _, start, end in map(str.split, path.read_text().splitlines()):
        regions.setdefault(name, []).append(Segment(float(start), float(end)))
    return regions


def pair_of(golden: dict[str, Any], name: str) -> Pair:
    expected = golden["pairs"][name]
    regions = golden["uem"][name] if expected["has_uem"] else None
    sides = [golden[side].get(name, Diarization(name, 0.0)) for side in ("reference", "hypothesis")]
    return sides[0], sides[1], regions, expected


def settings_of(figures: dict[str, Any], measure: str) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    """The recorded settings, with pyannote's full collar width turned into ours, and their figures."""
    for name, values in figures.items():
        kind, _, rest = name.partition("|")
        if kind == measure and rest.startswith("collar="):
            given = dict(part.split("=") for part in rest.split(","))
            yield {"collar": float(given["collar"]) / 2, "skip_overlap": given["skip_overlap"] == "True"}, values


def test_every_pair_is_recorded(golden: dict[str, Any]) -> None:
    assert list(golden["pairs"]) == PAIRS


@pytest.mark.parametrize("name", PAIRS)
def test_der_as_pyannote(golden: dict[str, Any], name: str) -> None:
    reference, hypothesis, regions, expected = pair_of(golden, name)
    checked = 0
    for settings, values in settings_of(expected["pyannote"], "der"):
        parts = der(reference, hypothesis, uem=regions, **settings)
        assert {
            "total": parts.total,
            "correct": parts.correct,
            "missed detection": parts.miss,
            "false alarm": parts.false_alarm,
            "confusion": parts.confusion,
            "diarization error rate": parts.rate,
        } == pytest.approx(values, abs=TOLERANCE)
        checked += 1
    assert checked == 6


@pytest.mark.parametrize("name", PAIRS)
def test_jer_as_pyannote(golden: dict[str, Any], name: str) -> None:
    reference, hypothesis, regions, expected = pair_of(golden, name)
    for settings, values in settings_of(expected["pyannote"], "jer"):
        parts = jer(reference, hypothesis, uem=regions, **settings)
        assert {
            "speaker error": parts.speaker_error,
            "speaker count": parts.speakers,
            "jaccard error rate": parts.rate,
        } == pytest.approx(values, abs=TOLERANCE)


@pytest.mark.parametrize("name", PAIRS)
def test_detection_as_pyannote(golden: dict[str, Any], name: str) -> None:
    reference, hypothesis, regions, expected = pair_of(golden, name)
    for settings, values in settings_of(expected["pyannote"], "detection error rate"):
        parts = detection(reference, hypothesis, uem=regions, **settings)
        assert {
            "total": parts.total,
            "miss": parts.miss,
            "false alarm": parts.false_alarm,
            "detection error rate": parts.rate,
        } == pytest.approx(values, abs=TOLERANCE)


@pytest.mark.parametrize("name", PAIRS)
def test_homogeneity_as_pyannote(golden: dict[str, Any], name: str) -> None:
    reference, hypothesis, regions, expected = pair_of(golden, name)
    # pyannote's completeness swaps the sides first, so that collar and overlap are those of the hypothesis
    for measure, sides in (("homogeneity", (reference, hypothesis)), ("completeness", (hypothesis, reference))):
        for settings, values in settings_of(expected["pyannote"], measure):
            parts = homogeneity(*sides, uem=regions, **settings)
            assert {
                "entropy": parts.entropy,
                "cross-entropy": parts.conditional,
                measure: parts.rate,
            } == pytest.approx(values, abs=TOLERANCE)


@pytest.mark.parametrize("name", PAIRS)
def test_purity_coverage_and_counts_as_pyannote(golden: dict[str, Any], name: str) -> None:
    reference, hypothesis, regions, expected = pair_of(golden, name)
    figures = expected["pyannote"]
    for measure, function in (("purity", purity), ("coverage", coverage)):
        parts = function(reference, hypothesis)  # pyannote passes over the UEM here
        got = {"total": parts.total, "correct": parts.correct, measure: parts.rate}
        assert got == pytest.approx(figures[measure], abs=TOLERANCE)
    count = speaker_count(reference, hypothesis, uem=regions)
    assert count.absolute == figures["speaker count error"]["error"]
    assert count.right == figures["speaker count accuracy"]["correct"]


@pytest.mark.parametrize("name", PAIRS)
def test_mappings_as_pyannote(golden: dict[str, Any], name: str) -> None:
    reference, hypothesis, regions, expected = pair_of(golden, name)
    assert speaker_mapping(reference, hypothesis, uem=regions) == expected["pyannote"]["optimal_mapping"]
    parts = der(reference, hypothesis, uem=regions, convention="pyannote-greedy")
    greedy = expected["pyannote"]["greedy der"]
    assert (parts.correct, parts.confusion) == pytest.approx((greedy["correct"], greedy["confusion"]), abs=TOLERANCE)


def test_totals_as_pyannote(golden: dict[str, Any]) -> None:
    for settings, values in settings_of(golden["accumulated"], "der"):
        metric = DiarizationErrorRate(**settings)
        for name in PAIRS:
            metric.add(*pair_of(golden, name)[:3])
        assert metric.total.rate == pytest.approx(values["value"], abs=TOLERANCE)
    speakers = JaccardErrorRate()
    for name in PAIRS:
        speakers.add(*pair_of(golden, name)[:3])
    assert speakers.total.rate == pytest.approx(golden["accumulated"]["jer"]["value"], abs=TOLERANCE)


@pytest.mark.parametrize("name", PAIRS)
def test_der_as_md_eval(golden: dict[str, Any], name: str) -> None:
    """Every figure that md-eval-22.pl prints, to the two decimals it prints."""
    reference, hypothesis, regions, expected = pair_of(golden, name)
    for key, values in expected.get("other", {}).items():
        tool, _, rest = key.partition("|")
        if tool != "md-eval-22.pl" or values["scored_speaker_time"] is None:
            continue
        given = dict(part.split("=") for part in rest.split(","))
        collar, skip = float(given["collar_each_side"]), given["single_speaker_only"] == "True"
        parts = der(reference, hypothesis, uem=regions, collar=collar, skip_overlap=skip, convention="md-eval")
        printed = (values["scored_speaker_time"], values["missed"], values["false_alarm"], values["confusion"])
        assert (parts.total, parts.miss, parts.false_alarm, parts.confusion) == pytest.approx(printed, abs=0.0051)
        if parts.total:
            assert 100 * parts.rate == pytest.approx(values["der_percent"], abs=0.0051)


def test_der_as_nemo(shared: Path) -> None:
    """NeMo 3 scores with a port of md-eval and, without a UEM, on the extent of both sides together."""
    cases = json.loads((shared / "golden" / "nemo" / "der" / "der.json").read_text())["cases"]
    assert len(cases) == 16
    for name, case in cases.items():
        reference, hypothesis = (from_labels(name, case[side]) for side in ("ref_labels", "hyp_labels"))
        regions = {
            "none": None,
            "ref": [Segment(*span) for span in case["uem_ref"]],
            "custom": [Segment(*span) for span in case["uem_custom"]],
        }
        for score in case["scores"]:
            parts = der(
                reference,
                hypothesis,
                collar=score["collar"],
                skip_overlap=score["ignore_overlap"],
                uem=regions[score["uem"]],
                convention="md-eval",
            )
            recorded = [score[key] for key in ("total", "missed", "false_alarm", "confusion")]
            got = [parts.total, parts.miss, parts.false_alarm, parts.confusion]
            assert got == pytest.approx(recorded, abs=TOLERANCE), (name, score)


def from_labels(name: str, labels: list[str]) -> Diarization:
    fields = (label.split() for label in labels)
    return Diarization(name, 0.0, tuple(Turn(float(start), float(end), who) for start, end, who in fields))
