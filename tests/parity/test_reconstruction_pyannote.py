"""Counts, reconstruction and turns against pyannote.audio, on real recordings and on random networks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from speakerdiar.annotation import Turn
from speakerdiar.config import PostProcessingParams
from speakerdiar.postprocessing.frame_turns import frame_turns
from speakerdiar.postprocessing.local_speech import LocalSpeech
from speakerdiar.postprocessing.reconstruction import activations, reconstruct, speakers_at_once
from speakerdiar.windows import WindowGrid

GRID = WindowGrid()
RECORDINGS = ["01_dialogue", "02_pyannote_sample", "04_three_speaker", "06_long_recording"]
PEERS = [("3_pipeline", "expected"), ("8_synthetic", "pyannote_expected")]
# The goldens come from processors on which NumPy sorts with vector instructions; on others ties fall otherwise.
SORTS_ALIKE = int(np.argsort(np.array([-1, -1, -3, -3], dtype=np.float32))[0]) == 3


def heard(active: NDArray[Any]) -> LocalSpeech:
    return LocalSpeech.of(active > 0, GRID, GRID.window + (len(active) - 1) * GRID.step)


def spans(rows: Iterable[tuple[str, str, str]]) -> list[list[tuple[str, str]]]:
    """The turns of each speaker, whatever the names."""
    found: dict[str, list[tuple[str, str]]] = {}
    for start, length, speaker in sorted(rows):
        found.setdefault(speaker, []).append((start, length))
    return sorted(found.values())


def of_lines(lines: Iterable[str]) -> list[list[tuple[str, str]]]:
    return spans((line.split()[3], line.split()[4], line.split()[7]) for line in lines)


def of_turns(turns: Iterable[Turn]) -> list[list[tuple[str, str]]]:
    return spans((f"{turn.start:.3f}", f"{turn.duration:.3f}", turn.speaker) for turn in turns)


def no_tie(speech: LocalSpeech, labels: NDArray[Any], speakers: int, count: NDArray[Any]) -> NDArray[np.bool_]:
    """Frames in which the last speaker taken has more votes than the first one left: (T,)."""
    votes = -np.sort(-activations(speech, labels, speakers), axis=1)
    votes = np.pad(votes, ((0, 0), (1, max(2, int(count.max())))), constant_values=((0, 0), (np.inf, -1)))
    rows = np.arange(len(count))
    return np.asarray(votes[rows, count] > votes[rows, count + 1])


@pytest.mark.parametrize("recording", RECORDINGS)
def test_the_real_pipeline(recording: str, shared: Path) -> None:
    folder = shared / "golden/community1" / recording
    speech = heard(np.load(folder / "segmentations.npz")["segmentations"])
    labels = np.load(folder / "clustering.npz")["hard_clusters"]
    golden = np.load(folder / "reconstruction.npz")
    count = speakers_at_once(speech)
    np.testing.assert_array_equal(count, golden["count"][:, 0])
    active = reconstruct(speech, labels, labels.max() + 1, count, exact=True)
    np.testing.assert_array_equal(active, golden["discrete_diarization"])
    params = PostProcessingParams(min_duration_off=golden["min_duration_off"].item())
    turns = frame_turns(active, GRID, params=params)
    assert of_turns(turns) == of_lines((folder / "reference.rttm").read_text().splitlines())


@pytest.mark.parametrize(("folder", "name"), PEERS)
def test_pipelines_of_random_networks(folder: str, name: str, shared: Path) -> None:
    golden = np.load(shared / f"golden/peers/{folder}/{name}.npz")
    runs = json.loads((shared / f"golden/peers/{folder}/{name}.json").read_text())["runs"]
    compared = [run for run, expected in runs.items() if compare(run, expected, golden)]
    assert len(compared) >= 12


def compare(name: str, expected: dict[str, Any], golden: Any) -> bool:
    """Hold one run against its golden; False where its local speakers weren't kept."""
    file = "/".join(name.split("/")[1:-1])
    prefix = f"{file}/" if file else ""
    if "hard_clusters" not in expected or f"{prefix}segmentations" not in golden:
        return False
    speech, labels = heard(golden[f"{prefix}segmentations"]), np.array(expected["hard_clusters"])
    asked, speakers = expected["options"], int(labels.max()) + 1
    np.testing.assert_array_equal(speakers_at_once(speech), golden[f"{prefix}count"][:, 0], name)
    count = speakers_at_once(speech, asked.get("num_speakers") or asked.get("max_speakers"))
    params = PostProcessingParams(min_duration_off=asked.get("min_duration_off", 0.0))
    for key, at_once in (("rttm", count), ("exclusive_rttm", np.minimum(count, 1))):
        active = reconstruct(speech, labels, speakers, at_once, exact=True)
        sure = no_tie(speech, labels, speakers, at_once) | SORTS_ALIKE
        if key == "rttm" and f"{name}/discrete" in golden:
            np.testing.assert_array_equal(active[sure], golden[f"{name}/discrete"][sure], name)
        if sure.all():
            assert of_turns(frame_turns(active, GRID, params=params)) == of_lines(expected[key]), name
    return True


@pytest.mark.parametrize("network", ["small", "small_split"])
def test_counts_of_a_sliding_network(network: str, shared: Path) -> None:
    golden = np.load(shared / f"golden/peers/1_pyannet/{network}_expected.npz")
    np.testing.assert_array_equal(speakers_at_once(heard(golden["sliding"])), golden["count"][:, 0])


def test_turns_end_with_the_audio_where_pyannote_runs_past_it(shared: Path) -> None:
    runs = json.loads((shared / "golden/peers/3_pipeline/expected.json").read_text())["runs"]
    expected, seconds = runs["community-1/short0/none"], 3.0
    golden = np.load(shared / "golden/peers/3_pipeline/expected.npz")
    speech, labels = heard(golden["short0/segmentations"]), np.array(expected["hard_clusters"])
    active = reconstruct(speech, labels, 1, speakers_at_once(speech), exact=True)
    whole, clipped = frame_turns(active, GRID), frame_turns(active, GRID, end=seconds)
    assert of_turns(whole) == of_lines(expected["rttm"])
    assert max(turn.end for turn in whole) > seconds == max(turn.end for turn in clipped)
    inside = [Turn(turn.start, min(turn.end, seconds), turn.speaker) for turn in whole if turn.start < seconds]
    assert of_turns(clipped) == of_turns(inside)
