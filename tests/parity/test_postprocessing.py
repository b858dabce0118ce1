"""Segments equal NeMo's, for every probability track and parameter set of the golden files."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speakerdiar.config import PostProcessingParams
from speakerdiar.errors import UnknownOptionError
from speakerdiar.frames import FrameGrid
from speakerdiar.postprocessing.binarize import binarize
from speakerdiar.postprocessing.params import load_params

TRACKS = [
    "smooth0", "smooth1", "smooth2", "smooth3", "edges", "quantised",
    "one_frame_on", "two_frames", "silence", "two_spk",
]  # fmt: skip
GRANULARITIES: dict[str, dict[str, Any]] = {
    "raw10": {"subframe": 8, "legacy_open_end": True},
    "raw80": {"legacy_open_end": True},
    "main80": {},
}
TOLERANCE = 2e-4


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "golden" / "nemo" / "postproc"


@pytest.fixture(scope="module")
def golden(folder: Path) -> dict[str, Any]:
    with gzip.open(folder / "postproc.json.gz") as file:
        return json.load(file)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def tracks(folder: Path) -> dict[str, Any]:
    with np.load(folder / "tracks.npz") as file:
        return dict(file)


def rows_of(segments: Any) -> Any:
    """NeMo keeps segments without length, which no turn can be."""
    rows = np.array(segments, dtype=float).reshape(-1, 2)
    return rows[rows[:, 1] > rows[:, 0]]


def starts_at_zero(track: Any, params: PostProcessingParams, options: dict[str, Any]) -> bool:
    """Whether the pads of several segments reach back to 0.

    NeMo then sorts equal starts with an unstable sort and takes the end of whichever comes last, not the greatest.
    """
    bare = PostProcessingParams(params.onset, params.offset)
    (found,) = binarize(track, bare, grid=FrameGrid(0.08), **options)
    return bool((found[:, 0] <= params.pad_onset + 1e-6).sum() > 1)


@pytest.mark.parametrize("kind", GRANULARITIES)
@pytest.mark.parametrize("name", TRACKS)
def test_segments(golden: dict[str, Any], tracks: dict[str, Any], name: str, kind: str) -> None:
    compared = 0
    for setting, values in golden["params"].items():
        params = PostProcessingParams(**values)
        got = binarize(tracks[name], params, grid=FrameGrid(0.08), **GRANULARITIES[kind])
        for speaker, (ours, listed) in enumerate(zip(got, golden["cases"][name][setting][kind], strict=True)):
            theirs = rows_of(listed)
            if starts_at_zero(tracks[name][:, speaker], params, GRANULARITIES[kind]) and len(ours):
                theirs, ours = theirs[theirs[:, 0] > ours[0, 1]], ours[1:]
            assert ours.shape == theirs.shape, (setting, speaker)
            np.testing.assert_allclose(ours, theirs, atol=TOLERANCE, rtol=0, err_msg=f"{setting}, speaker {speaker}")
            compared += 1
    assert compared == len(golden["params"]) * tracks[name].shape[1]


def test_unstable_sorting_touches_few_cases(golden: dict[str, Any], tracks: dict[str, Any]) -> None:
    touched = total = 0
    for values in golden["params"].values():
        for name in TRACKS:
            for column in tracks[name].T:
                total += 1
                touched += starts_at_zero(column, PostProcessingParams(**values), GRANULARITIES["raw10"])
    assert total == 494
    assert touched < 0.1 * total


@pytest.mark.parametrize("name", TRACKS)
def test_rounded_times_of_a_recording_with_an_offset(golden: dict[str, Any], tracks: dict[str, Any], name: str) -> None:
    case, params = golden["cases"][name]["rand1"], PostProcessingParams(**golden["params"]["rand1"])
    grid = FrameGrid(0.08, case["offset"])
    got = binarize(tracks[name], params, grid=grid, subframe=8, legacy_open_end=True)
    for ours, theirs in zip(got, case["predlist"], strict=True):
        np.testing.assert_allclose(ours, np.array(theirs).reshape(-1, 2), atol=0.0051, rtol=0)


@pytest.mark.parametrize("name", TRACKS)
def test_bypass_is_the_default_parameters(golden: dict[str, Any], tracks: dict[str, Any], name: str) -> None:
    got = binarize(tracks[name], PostProcessingParams(), grid=FrameGrid(0.08), subframe=8, legacy_open_end=True)
    for ours, theirs in zip(got, golden["cases"][name]["_bypass"]["predlist"], strict=True):
        np.testing.assert_allclose(ours, rows_of(theirs), atol=0.0051, rtol=0)


def test_presets(golden: dict[str, Any], folder: Path) -> None:
    files = sorted((folder / "presets").glob("*.yaml"))
    assert len(files) == 5
    for path in files:
        expected = PostProcessingParams(**golden["params"][path.stem])
        assert asdict(load_params(path)) == asdict(expected)


def test_unknown_key_that_nemo_ignores_is_refused(golden: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(golden["yaml_with_unknown_key_and_int"]["yaml"])
    with pytest.raises(UnknownOptionError, match="'onset'"):
        load_params(path)
