"""Whole pipelines, from folder and audio to RTTM, against pyannote.audio 4.0.7."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speakerdiar import load_model
from speakerdiar.annotation import Turn
from speakerdiar.config import PostProcessingParams
from speakerdiar.matching import best_pairs
from speakerdiar.mixins.blockwise import Job
from speakerdiar.models.diarizers.eend_vc import EendVcDiarizer
from speakerdiar.recording import as_recordings

KINDS = ("community-1", "3.1")
Span = tuple[str, str, str]


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "golden/peers/3_pipeline"


@pytest.fixture(scope="module")
def runs(golden: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((golden / "expected.json").read_text())["runs"]
    return found


@pytest.fixture(scope="module")
def pipelines(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, EendVcDiarizer]:
    """Folders laid out like the published ones, in pyannote's formats."""
    root = tmp_path_factory.mktemp("pipelines")
    # In a process of its own: to write pyannote's format, it takes the names of pyannote's modules.
    make = [sys.executable, str(golden / "materialize.py"), str(root), "--only", "community-1"]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    shutil.copytree(root / "community-1", root / "3.1", ignore=shutil.ignore_patterns("plda", "config.yaml"))
    shutil.copy(golden / "3.1/config.yaml", root / "3.1")
    made = {kind: load_model(root / kind, exact=True) for kind in KINDS}
    assert all(isinstance(model, EendVcDiarizer) for model in made.values())
    return made  # type: ignore[return-value]


@pytest.fixture(scope="module")
def heard(pipelines: dict[str, EendVcDiarizer], golden: Path) -> Any:
    """What the networks make of each recording; both pipelines have the same ones, so that it is computed once."""
    model = pipelines["3.1"]
    known: dict[str, Any] = {}

    def of(name: str) -> Any:
        if name not in known:
            audio: Any = golden / f"{name}.wav"
            if name == "silence":
                audio = (np.zeros(12 * 16000, dtype=np.float32), 16000)
            [recording] = as_recordings(audio)
            [known[name]] = model._hear([Job(recording, model._diarize_config(None, {}))])
        return known[name]

    return of


def test_the_networks_give_pyannotes_numbers(heard: Any, golden: Path) -> None:
    expected = np.load(golden / "expected.npz")
    found = heard("input")
    active = found.speech.active()
    assert (active != expected["segmentations"]).sum() <= 2
    talks = active.any(axis=1)
    ours, theirs = found.embeddings[talks], expected["embeddings"][talks]
    errors = np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
    assert errors.max() < 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_every_run_gives_pyannotes_rttm(
    kind: str, pipelines: dict[str, EendVcDiarizer], heard: Any, runs: dict[str, dict[str, Any]]
) -> None:
    model, compared = pipelines[kind], 0
    for key, run in runs.items():
        if not key.startswith(f"{kind}/") or key.endswith("nospeech"):
            continue
        _, *name, _ = key.split("/")
        recording = heard(name[0] if name else "input")
        options = dict(run["options"])
        if "min_duration_off" in options:
            gap = options.pop("min_duration_off")
            options["postprocessing_params"] = PostProcessingParams(min_duration_off=gap, filter_speech_first=False)
        found = model._decide(recording, model._diarize_config(None, options))
        end = recording.speech.seconds
        assert_same(spans(found.turns), expected_spans(run["rttm"], end), key)
        assert_same(spans(found.exclusive.turns), expected_spans(run["exclusive_rttm"], end), key)
        compared += 1
    assert compared == 16


def spans(turns: tuple[Turn, ...]) -> list[Span]:
    return [(f"{turn.start:.3f}", f"{turn.duration:.3f}", turn.speaker) for turn in turns]


def expected_spans(lines: list[str], end: float) -> list[Span]:
    """The lines of an RTTM file as far as there is audio: pyannote's turns run past its end."""
    return list(_cut([line.split() for line in lines], end))


def _cut(rows: list[list[str]], end: float) -> Iterator[Span]:
    for row in rows:
        start, length = float(row[3]), float(row[4])
        if start + length > end + 5e-4:
            length = end - start
        if length > 5e-4:
            yield f"{start:.3f}", f"{length:.3f}", row[7]


def assert_same(found: list[Span], expected: list[Span], key: str) -> None:
    """The same times for each speaker, whatever the speakers are called."""
    ours, theirs = by_speaker(found), by_speaker(expected)
    common = np.array([[len(set(a) & set(b)) for b in theirs.values()] for a in ours.values()]).reshape(
        len(ours), len(theirs)
    )
    pairs = best_pairs(common)
    assert len(pairs) == len(ours) == len(theirs), key
    for row, column in pairs:
        assert sorted(list(ours.values())[row]) == sorted(list(theirs.values())[column]), key


def by_speaker(rows: list[Span]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for start, length, speaker in rows:
        found.setdefault(speaker, []).append((start, length))
    return found


def test_speakers_have_pyannotes_vectors(
    pipelines: dict[str, EendVcDiarizer], heard: Any, golden: Path, runs: dict[str, dict[str, Any]]
) -> None:
    expected, compared = np.load(golden / "expected.npz"), 0
    for key in runs:
        kind, *rest = key.split("/")
        if f"{key}/speaker_embeddings" not in expected or len(rest) != 1 or "min_duration_off" in key:
            continue
        options = runs[key]["options"]
        found = pipelines[kind]._decide(heard("input"), pipelines[kind]._diarize_config(None, options))
        ours = np.stack(list(found.embeddings.values()))
        theirs = expected[f"{key}/speaker_embeddings"]
        theirs = theirs[theirs.any(axis=1)]  # zeros are those of speakers that pyannote invents
        # The mean of all is all but zero in these weights: then the size of what went into it is the measure.
        sizes = np.maximum(np.linalg.norm(theirs, axis=1), 1.0)
        distances = np.linalg.norm(ours[:, None] - theirs[None], axis=2) / sizes
        assert distances.min(axis=1).max() < 1e-3, key
        compared += 1
    assert compared >= 10


def test_nobody_talks(pipelines: dict[str, EendVcDiarizer], heard: Any) -> None:
    model, recording = pipelines["community-1"], heard("silence")
    silent = replace(recording.speech, bits=np.zeros_like(recording.speech.bits))
    found = model._decide(replace(recording, speech=silent), model._diarize_config(None, {}))
    assert not found
    assert not found.embeddings
