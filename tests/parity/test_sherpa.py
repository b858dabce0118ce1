"""ONNX networks and the stages of sherpa-onnx give what sherpa-onnx gives."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.audio import load
from speakerdiar.config import PostProcessingParams, SpeakerCount
from speakerdiar.metrics import der
from speakerdiar.models.diarizers.eend_vc import EendVcDiarizer
from speakerdiar.models.diarizers.sherpa_stages import SherpaStages, cluster_vectors, sherpa_durations
from speakerdiar.models.embedders.onnx import OnnxEmbedder
from speakerdiar.models.segmenters.onnx import OnnxSegmenter
from speakerdiar.postprocessing.local_speech import LocalSpeech

BORDER = 0.0169
"""Seconds that a border may be off: a frame."""
RATE = 16000


class Heard(NamedTuple):
    """What the networks make of a signal."""

    speech: LocalSpeech
    embeddings: NDArray[np.float32]


@cache
def manifest(path: Path) -> Any:
    return json.loads(path.read_text())


@cache
def segmenter(file: Path) -> OnnxSegmenter:
    return OnnxSegmenter(file)


@cache
def embedder(file: Path) -> OnnxEmbedder:
    return OnnxEmbedder(file, frontend="sherpa")


@cache
def recording(file: Path) -> NDArray[np.float32]:
    return np.asarray(load(file, RATE))


def signal(peers: Path, folder: str, name: str) -> NDArray[np.float32]:
    """The samples that a manifest's name stands for."""
    whole = peers / ("3_pipeline/input.wav" if folder == "7_onnx" else "8_synthetic/talk.wav")
    if name.startswith("silence"):
        return np.zeros(12 * RATE, dtype=np.float32)
    if name.startswith("short"):
        return recording(peers / f"3_pipeline/{name}.wav")
    if name.startswith("from"):
        return recording(whole)[12 * RATE : int(35.3 * RATE)]
    spans = {"first_7s": 7 * RATE, "first_9s": 9 * RATE, "first_10s": 10 * RATE, "first_11s": 11 * RATE}
    return recording(whole)[: (spans | {"first_10s_plus_1": 10 * RATE + 1}).get(name)]


@cache
def heard(peers: Path, folder: str, embedding: str, name: str, shift: float) -> Heard:
    samples = signal(peers, folder, name)
    local, voices = segmenter(peers / folder / "segmentation.onnx"), embedder(peers / folder / f"{embedding}.onnx")
    grid = local.grid.with_step(shift)
    starts = grid.starts(grid.count(len(samples)))
    padded = np.pad(samples, (0, int(starts[-1]) + grid.window - len(samples)))
    bits, certainty = local.segment_windows(np.stack([padded[at : at + grid.window] for at in starts]))
    speech = LocalSpeech(bits, local.speakers, grid, len(samples), certainty)
    masks = SherpaStages().masks(bits, local.speakers)
    vectors = np.full((len(speech), local.speakers, voices.dimension), np.nan, dtype=np.float32)
    given = voices.embed_masks(samples, starts[masks.windows], grid.window, masks.frames, exact=True)
    vectors[masks.windows, masks.slots] = given
    return Heard(speech, vectors)


def diarized(made: Heard, options: dict[str, Any]) -> tuple[Turn, ...]:
    stages = SherpaStages(threshold=options.get("threshold", 0.5))
    asked = SpeakerCount.of(options.get("num_clusters"))
    if not made.speech.bits.any():
        return ()
    count = stages.count(made.speech, asked)
    active = stages.reconstruct(made.speech, stages.cluster(made.speech, made.embeddings, asked), count, asked)
    params = PostProcessingParams(
        min_duration_on=options.get("min_duration_on", 0.3), min_duration_off=options.get("min_duration_off", 0.5)
    )
    return stages.turns(active, made.speech, params)


def in_order(turns: tuple[Turn, ...]) -> list[tuple[float, float, str]]:
    """Times to the microsecond, as turns of one time may come in any order of speakers."""
    return sorted((round(turn.start, 4), round(turn.end, 4), turn.speaker) for turn in turns)


def one_to_one(found: list[tuple[float, float, str]], expected: list[tuple[float, float, str]]) -> bool:
    pairs = {(mine[2], theirs[2]) for mine, theirs in zip(found, expected, strict=True)}
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def check(run: dict[str, Any], turns: tuple[Turn, ...], tolerance: float) -> None:
    expected = tuple(Turn(start, end, str(speaker)) for start, end, speaker in run["segments"])
    what = f"{run['embedding']} {run['signal']} {run['options']}"
    noise = run.get("der_after_1e-6_weight_noise", run.get("der_after_1e5_weight_noise")) or 0.0
    error = der(*(Diarization("talk", 60.0, side) for side in (expected, turns))).rate
    assert error <= max(tolerance, 2 * noise), (what, error)
    if noise:
        return
    assert len(turns) == len(expected), what
    mine, theirs = in_order(turns), in_order(expected)
    times = np.array([row[:2] for row in mine]), np.array([row[:2] for row in theirs])
    np.testing.assert_allclose(*times, atol=BORDER, err_msg=what)
    assert one_to_one(mine, theirs), what
    assert len({turn.speaker for turn in turns}) == run["num_speakers"], what


def runs_of(all_runs: list[dict[str, Any]], embedding: str, signals: tuple[str, ...]) -> list[dict[str, Any]]:
    """Runs that say something of equality: not those that noise in the weights changes, nor integer kernels."""
    chosen = [run for run in all_runs if run["embedding"] == embedding and run["signal"] in signals]
    steady = [run for run in chosen if run.get("num_speakers_after_noise", run["num_speakers"]) == run["num_speakers"]]
    return [run for run in steady if not run["options"].get("int8")]


SHORT = ("short0", "short1", "short2", "first_9s", "first_10s", "first_10s_plus_1", "first_11s", "silence_12s")


@pytest.mark.parametrize("signals", [SHORT, ("input",)], ids=["short", "input"])
@pytest.mark.parametrize("embedding", ["wespeaker", "3dspeaker"])
def test_turns_of_random_networks(shared: Path, embedding: str, signals: tuple[str, ...]) -> None:
    peers = shared / "golden" / "peers"
    runs = runs_of(manifest(peers / "7_onnx" / "expected.json")["diarization"], embedding, signals)
    assert len(runs) >= 2
    for run in runs:
        made = heard(peers, "7_onnx", embedding, run["signal"], run["options"].get("shift", 0.1))
        check(run, diarized(made, run["options"]), 0.01)


PARTS = ("first_7s", "first_10s", "first_10s_plus_1", "from_12_to_35.3s", "silence_12s")


@pytest.mark.parametrize(
    ("embedding", "signals", "shifted"),
    [
        ("wespeaker", PARTS, False),
        ("wespeaker", ("talk",), False),
        ("wespeaker", ("talk",), True),
        ("3dspeaker", PARTS, False),
        ("3dspeaker", ("talk",), False),
    ],
    ids=["wespeaker-parts", "wespeaker-talk", "wespeaker-steps", "3dspeaker-parts", "3dspeaker-talk"],
)
def test_turns_of_a_made_conversation(shared: Path, embedding: str, signals: tuple[str, ...], shifted: bool) -> None:
    peers = shared / "golden" / "peers"
    steady = runs_of(manifest(peers / "8_synthetic" / "sherpa_expected.json")["runs"], embedding, signals)
    runs = [run for run in steady if ("shift" in run["options"]) == shifted]
    assert len(runs) >= 2
    for run in runs:
        made = heard(peers, "8_synthetic", embedding, run["signal"], run["options"].get("shift", 0.1))
        check(run, diarized(made, run["options"]), 0.002)


@pytest.mark.parametrize(("name", "options"), [("first_10s_plus_1", {"num_clusters": 2}), ("from_12_to_35.3s", {})])
def test_the_whole_diarizer(shared: Path, name: str, options: dict[str, int]) -> None:
    peers = shared / "golden" / "peers"
    model = EendVcDiarizer(
        segmenter(peers / "8_synthetic" / "segmentation.onnx"),
        embedder(peers / "8_synthetic" / "wespeaker.onnx"),
        stages=SherpaStages(),
        exact=True,
        postprocessing=sherpa_durations(),
    )
    runs = runs_of(manifest(peers / "8_synthetic" / "sherpa_expected.json")["runs"], "wespeaker", (name,))
    [run] = [run for run in runs if run["options"] == options]
    samples = signal(peers, "8_synthetic", name)
    [found] = model.diarize([samples], num_speakers=options.get("num_clusters"), sample_rate=RATE)
    # Turns of sherpa-onnx may run on for a frame or two after the audio.
    inside = [[start, min(end, len(samples) / RATE), speaker] for start, end, speaker in run["segments"]]
    check(run | {"segments": inside}, found.turns, 0.002)


def test_labels_of_made_vectors(shared: Path) -> None:
    folder = shared / "golden" / "peers" / "7_onnx"
    arrays, runs = np.load(folder / "expected.npz"), manifest(folder / "expected.json")["clustering"]
    assert len(runs) > 40
    for run in runs:
        options = run["options"]
        asked = SpeakerCount.of(options["num_clusters"] if options["num_clusters"] > 0 else None)
        labels = cluster_vectors(arrays[run["features"]], options.get("threshold", 0.5), asked)
        assert labels.tolist() == run["labels"], run


@pytest.mark.parametrize("kind", ["wespeaker", "3dspeaker"])
def test_features_and_vectors(shared: Path, kind: str) -> None:
    folder = shared / "golden" / "peers" / "7_onnx"
    arrays, samples = np.load(folder / "expected.npz"), recording(folder.parent / "3_pipeline" / "input.wav")
    model, probe = embedder(folder / f"{kind}.onnx"), OnnxEmbedder(folder / f"probe_{kind}.onnx", frontend="sherpa")
    for index, (start, end) in enumerate([(0, 2), (5, 6.3), (20, 23)]):
        piece = samples[int(start * RATE) : int(end * RATE)]
        bands = probe.front_end(torch.from_numpy(piece)[None])[0].numpy()
        np.testing.assert_allclose(bands, arrays[f"{kind}/features{index}"], atol=2e-3)
        expected = arrays[f"{kind}/embedding{index}"]
        expected = expected / np.linalg.norm(expected)
        assert np.linalg.norm(model.embed(piece)[0] - expected) < 1e-3


def test_scores_of_a_trained_network_are_onnxruntimes_own(shared: Path) -> None:
    file = shared / "models" / "segmentation3_int8" / "model.int8.onnx"
    samples = recording(shared / "golden" / "peers" / "8_synthetic" / "talk.wav")
    windows = np.stack([samples[at : at + 160000] for at in (0, 16000, 200000)])
    scores = segmenter(file).score_windows(windows)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for row, window in zip(scores, windows, strict=True):
        np.testing.assert_array_equal(row, session.run(None, {"x": window[None, None]})[0][0])
    assert len(np.unique(scores.argmax(axis=2))) > 2
