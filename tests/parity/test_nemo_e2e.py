"""`diarize()` against that of NeMo 3.0.0, line by line and score by score, with small random weights.

NeMo 3.0.0 post-processes on 10 ms and ends speech that lasts to the end of the audio a frame early; lines come by
speaker, and rows of a batch are padded with zeros, behind which nothing is open any more. Offline it scales a recording
by the loudest of its batch: those of its batches are held against what it gives for a file alone.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from speakerdiar.annotation import Diarization
from speakerdiar.config import PostProcessingParams
from speakerdiar.errors import InputError
from speakerdiar.frames import FrameGrid
from speakerdiar.models import load_model
from speakerdiar.models.diarizers.sortformer_latency import LATENCIES
from speakerdiar.postprocessing.binarize import binarize
from speakerdiar.postprocessing.params import load_params

RATE = 16000
PRESETS = [
    "default", "sortformer_diar_4spk-v1_callhome-part1", "sortformer_diar_4spk-v1_dihard3-dev",
    "diar_streaming_sortformer_4spk-v2_callhome-part1", "diar_streaming_sortformer_4spk-v2_dihard3-dev",
]  # fmt: skip


class Case(NamedTuple):
    """A case of NeMo's, and what the same is to us."""

    name: str
    files: tuple[str, ...]
    setting: str = ""
    """Of the streaming model; "" for the offline one."""
    preset: str = "default"
    tolerance: float = 2e-4


OFFLINE = [
    Case("v1_bs1", ("a", "b")),
    Case("v1_single_str", ("a",)),
    Case("v1_lines_only", ("a", "b")),
    Case("v1_numpy16k_bs1", ("a", "b")),
    Case("v1_train_mode_restored", ("a",)),
    *(Case(f"v1_pp_{preset}", ("a", "b", "long"), preset=preset) for preset in PRESETS),
]
_STREAMING = ("cfg_default_188", "vhigh_340_40_l1", "low_6_7", "tiny_4_2")
STREAMING = [
    *(Case(f"v2_{s}_{size}", ("long", "mid"), s, tolerance=5e-4) for s in _STREAMING for size in ("bs1", "bs2")),
    Case("v2_vhigh_340_40_l1_async_bs2", ("long", "mid"), "vhigh_340_40_l1", tolerance=5e-4),
    Case("v2_vhigh_340_40_l1_short", ("a", "b"), "vhigh_340_40_l1", tolerance=5e-4),
    *(Case(f"v2_vhigh_340_40_l1_pp_{p}", ("long", "mid", "a"), "vhigh_340_40_l1", p, 5e-4) for p in PRESETS),
]
OTHERS = {
    "v1_bs2", "v1_bs4_all", "v1_bs2_all", "v1_numpy16k_bs2", "v1_numpy_stereo_TC", "v1_numpy_stereo_CT",
    "v1_numpy_8k", "v1_numpy_int16", "v1_manifest_offset", "v1_manifest_offset_bs2", "v1_manifest_no_offset_key",
    "v1_err_empty", "v1_err_empty_in_train_mode", "v1_err_numpy_no_sr", "v1_err_missing_file", "v1_err_dict",
    "v1_err_path_obj", "v1_err_tensor", "v1_dup_basename_bs1", "v1_dup_basename_bs2", "_v1_after_restore",
}  # fmt: skip
"""Cases with a test of their own."""


class Golden:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cases: dict[str, dict[str, Any]] = json.loads((folder / "e2e/diarize.json").read_text())
        self.settings = json.loads((folder / "manifest.json").read_text())["streaming_settings"]
        with np.load(folder / "e2e/diarize_tensors.npz") as file:
            self.tensors = dict(file)
        self.offline = load_model(folder / "v1/tiny_v1.nemo")
        self.streaming = load_model(folder / "v2/tiny_v2.nemo")

    def wav(self, name: str) -> Path:
        return self.folder / f"wav/{name}.wav"

    def samples(self, name: str) -> NDArray[np.float32]:
        return np.asarray(soundfile.read(self.wav(name), dtype="float32")[0])

    def yaml(self, preset: str) -> Path:
        return self.folder / f"postproc/presets/{preset}.yaml"


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    return Golden(shared / "golden" / "nemo")


def diarized(model: Any, audio: Any, **options: Any) -> tuple[list[Diarization], list[NDArray[np.float32]]]:
    """Results, and the scores of all speakers, for each recording."""
    scores: list[NDArray[np.float32]] = []

    def hook(stage: str, artifact: Any, done: float, total: float | None) -> None:
        if artifact is not None:
            scores.append(artifact.data)

    return model.diarize(audio, hook=hook, include_tensor_outputs=True, **options), scores


def lines_of(scores: NDArray[np.float32], params: PostProcessingParams, start: float = 0.0) -> list[str]:
    """What NeMo 3.0.0 prints of scores."""
    found = binarize(scores, params, grid=FrameGrid(0.08, start), subframe=8, legacy_open_end=True)
    return [
        f"{round(begin, 2):.3f} {round(end, 2):.3f} speaker_{speaker}"
        for speaker, rows in enumerate(found)
        for begin, end in rows.tolist()
    ]


def by_speaker(lines: list[str]) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        start, end, speaker = line.split()
        found.setdefault(speaker, []).append((float(start), float(end)))
    return found


def check_turns(result: Diarization, lines: list[str], params: PostProcessingParams, frames: int) -> None:
    """Our turns are NeMo's lines, but for speech that the end of the audio cuts off, and for the speakers' names."""
    early = result.offset + frames * 0.08 - 0.01 + params.pad_offset
    last = result.offset + result.duration
    theirs = []
    for rows in by_speaker(lines).values():
        ends = [end + 0.01 if abs(end - early) < 0.006 else end for _, end in rows]
        theirs.append([(start, min(end, last)) for (start, _), end in zip(rows, ends, strict=True) if start < last])
    ours = [
        [(turn.start, turn.end) for turn in result if turn.speaker == f"SPEAKER_{index:02d}"]
        for index in range(len(result.speakers))
    ]
    assert [rows[0] for rows in ours] == sorted(rows[0] for rows in ours)  # named by first appearance
    left = sorted(rows for rows in theirs if rows)
    for found, wanted in zip(sorted(ours), left, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=0.0051)  # NeMo's have two decimals


def test_every_case_is_tried(golden: Golden) -> None:
    assert set(golden.cases) == {case.name for case in OFFLINE + STREAMING} | OTHERS


def test_presets_are_the_published_ones(golden: Golden) -> None:
    for model, kind in ((golden.offline, "sortformer_diar_4spk-v1"), (golden.streaming, PRESETS[3].rpartition("_")[0])):
        presets = model.POSTPROCESSING
        assert presets["none"] == load_params(golden.yaml("default"))
        assert presets["callhome"] == load_params(golden.yaml(f"{kind}_callhome-part1"))
        assert presets["dihard3"] == load_params(golden.yaml(f"{kind}_dihard3-dev"))
    assert asdict(LATENCIES["30.4s"]) == golden.settings["vhigh_340_40_l1"]
    assert asdict(LATENCIES["1.04s"]) == golden.settings["low_6_7"]


@pytest.mark.parametrize("case", OFFLINE + STREAMING, ids=lambda case: case.name)
def test_lines_turns_and_scores(golden: Golden, case: Case) -> None:
    model = golden.streaming if case.setting else golden.offline
    params, expected = load_params(golden.yaml(case.preset)), golden.cases[case.name]["lines"]
    results, scores = diarized(
        model,
        [golden.wav(name) for name in case.files],
        batch_size=2 if "bs2" in case.name else 1,
        latency=golden.settings[case.setting] if case.setting else None,
        postprocessing_yaml=str(golden.yaml(case.preset)),
    )
    for index, (result, found, lines) in enumerate(zip(results, scores, expected, strict=True)):
        check_turns(result, lines, params, len(found))
        wanted = golden.tensors.get(f"{case.name}__{index}", found[None])[0]
        np.testing.assert_allclose(found, wanted[: len(found)], rtol=0, atol=case.tolerance)
        padded = np.pad(found, ((0, len(wanted) - len(found)), (0, 0)))
        assert lines_of(padded, params) == lines


@pytest.mark.parametrize("audio", ["files", "arrays"])
def test_a_batch_gives_what_nemo_gives_for_each_alone(golden: Golden, audio: str) -> None:
    """`v1_bs2` and the like: NeMo's own batches hold what scaling by the loudest makes of the others."""
    names = ["b", "long", "a", "mid"]
    given = [golden.wav(name) if audio == "files" else golden.samples(name) for name in names]
    results, scores = diarized(golden.offline, given, batch_size=4, sample_rate=RATE)
    alone = dict(zip("ab", golden.cases["v1_bs1"]["lines"], strict=True))
    alone["long"] = golden.cases["v1_pp_default"]["lines"][2]
    alone["mid"] = golden.cases["v1_bs2_all"]["lines"][3]  # the loudest of its batch
    params = PostProcessingParams()
    for name, result, found in zip(names, results, scores, strict=True):
        assert lines_of(found, params) == alone[name]
        check_turns(result, alone[name], params, len(found))


@pytest.mark.parametrize("kind", ["TC", "CT"])
def test_channels_are_mixed(golden: Golden, kind: str) -> None:
    pair = np.stack([golden.samples("a"), golden.samples("a") / 2])
    [result], [found] = diarized(golden.offline, pair.T if kind == "TC" else pair, sample_rate=RATE)
    np.testing.assert_allclose(found, golden.tensors[f"v1_numpy_stereo_{kind}__0"][0], rtol=0, atol=2e-4)
    [lines] = golden.cases[f"v1_numpy_stereo_{kind}"]["lines"]
    assert lines_of(found, PostProcessingParams()) == lines
    check_turns(result, lines, PostProcessingParams(), len(found))


def test_integers_count_by_their_range(golden: Golden) -> None:
    """NeMo takes them as they are, so that what it adds to the peak (1e-3) counts for nothing."""
    integers = np.round(golden.samples("a") * 2**15).astype(np.int16)
    [result], [found] = diarized(golden.offline, integers, sample_rate=RATE)
    wanted, [lines] = golden.tensors["v1_numpy_int16__0"][0], golden.cases["v1_numpy_int16"]["lines"]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=3e-3)
    assert lines_of(found, PostProcessingParams()) == lines
    check_turns(result, lines, PostProcessingParams(), len(found))
    model: Any = golden.offline
    [unscaled] = model._scores([torch.from_numpy(integers.astype(np.float32))])
    np.testing.assert_allclose(unscaled, wanted, rtol=0, atol=2e-4)


def test_another_rate_is_resampled(golden: Golden) -> None:
    """NeMo resamples by another filter: as many frames, and scores that follow its own."""
    [_], [found] = diarized(golden.offline, golden.samples("a")[::2], sample_rate=8000)
    wanted = golden.tensors["v1_numpy_8k__0"][0]
    assert found.shape == wanted.shape
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("size", [1, 2])
def test_parts_named_by_a_manifest(golden: Golden, tmp_path: Path, size: int) -> None:
    case = golden.cases["v1_manifest_offset"]
    rows = [{**row, "audio_filepath": str(golden.wav(Path(row["audio_filepath"]).stem))} for row in case["manifest"]]
    manifest = tmp_path / "parts.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    results, scores = diarized(golden.offline, manifest, batch_size=size)
    assert [result.recording_id for result in results] == ["u1", "u2"]
    for index, (row, result, found) in enumerate(zip(rows, results, scores, strict=True)):
        np.testing.assert_allclose(found, golden.tensors[f"v1_manifest_offset__{index}"][0], rtol=0, atol=2e-4)
        assert lines_of(found, PostProcessingParams(), row["offset"]) == case["lines"][index]
        assert (result.offset, result.duration) == (row["offset"], row["duration"])
        check_turns(result, case["lines"][index], PostProcessingParams(), len(found))


def test_a_manifest_without_offsets_is_the_whole_file(golden: Golden, tmp_path: Path) -> None:
    """NeMo fails."""
    assert "TypeError" in golden.cases["v1_manifest_no_offset_key"]["error"]
    manifest = tmp_path / "whole.json"
    rows = [
        {"audio_filepath": str(golden.wav("a")), "offset": 0, "duration": None},
        {"audio_filepath": str(golden.wav("b"))},
    ]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    results, scores = diarized(golden.offline, manifest)
    for result, found, lines in zip(results, scores, golden.cases["v1_bs1"]["lines"], strict=True):
        check_turns(result, lines, PostProcessingParams(), len(found))


@pytest.mark.parametrize("size", [1, 2])
def test_files_of_one_name_are_two_recordings(golden: Golden, tmp_path: Path, size: int) -> None:
    """NeMo gives one of the two."""
    assert len(golden.cases["v1_dup_basename_bs1"]["lines"]) == 1
    paths = [tmp_path / f"d{index}" / "x.wav" for index in (1, 2)]
    for path, name in zip(paths, "ab", strict=True):
        path.parent.mkdir()
        shutil.copy(golden.wav(name), path)
    results, scores = diarized(golden.offline, paths, batch_size=size)
    for result, found, lines in zip(results, scores, golden.cases["v1_bs1"]["lines"], strict=True):
        assert lines_of(found, PostProcessingParams()) == lines
        check_turns(result, lines, PostProcessingParams(), len(found))


@pytest.mark.parametrize("kind", ["dict", "path_obj", "tensor"])
def test_inputs_that_nemo_refuses(golden: Golden, kind: str) -> None:
    assert "ValueError" in golden.cases[f"v1_err_{kind}"]["error"]
    path = golden.wav("a")
    audio = {
        "dict": [{"audio_filepath": str(path)}],
        "path_obj": path,
        "tensor": torch.from_numpy(golden.samples("a")),
    }[kind]
    [result], [found] = diarized(golden.offline, audio, sample_rate=RATE)
    check_turns(result, golden.cases["v1_single_str"]["lines"][0], PostProcessingParams(), len(found))


@pytest.mark.parametrize("training", [True, False])
def test_refused_input_leaves_the_model_as_it_was(golden: Golden, training: bool) -> None:
    """NeMo's is in eval mode and without dither from then on."""
    model: Any = load_model(golden.folder / "v1/tiny_v1.nemo")
    model.train(training)
    with pytest.raises(ValueError, match="empty"):
        model.diarize([])
    with pytest.raises(InputError, match="sample_rate"):
        model.diarize(golden.samples("a"))
    with pytest.raises(InputError, match=r"nowhere/x\.wav"):
        model.diarize("/nowhere/x.wav")
    assert all(module.training is training for module in model.modules())
    [result] = model.diarize(golden.wav("a"))  # v1_train_mode_restored
    check_turns(result, golden.cases["v1_train_mode_restored"]["lines"][0], PostProcessingParams(), 92)
    assert all(module.training is training for module in model.modules())
