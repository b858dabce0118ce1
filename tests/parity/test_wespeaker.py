"""The ResNet34 embedder equals pyannote.audio's WeSpeaker: filter bank, utterances, masks, windows of a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from parity.recipe_weights import recipe_weights

from speakerdiar.audio import load
from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.models.embedders.resnet import WespeakerEmbedder

RELATIVE, RELATIVE_OF_THREE_FRAMES, FBANK = 1e-3, 1e-2, 2e-3
"""Tolerances that the manifests give."""


@pytest.fixture(scope="module")
def peers(shared: Path) -> Path:
    return shared / "golden" / "peers"


@pytest.fixture(scope="module")
def expected(peers: Path) -> dict[str, np.ndarray]:
    with np.load(peers / "2_wespeaker" / "expected.npz", allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def weights(peers: Path) -> dict[str, torch.Tensor]:
    return recipe_weights(peers / "2_wespeaker")


@pytest.fixture(scope="module")
def model(weights: dict[str, torch.Tensor]) -> WespeakerEmbedder:
    return made(weights)


def made(weights: dict[str, torch.Tensor], **hyper_parameters: Any) -> WespeakerEmbedder:
    config = {"hyper_parameters": hyper_parameters}
    return WespeakerEmbedder.from_checkpoint(Checkpoint(Path("pytorch_model.bin"), config, weights))


def distance(found: NDArray[Any], expected: NDArray[Any]) -> float:
    return float((np.linalg.norm(found - expected, axis=-1) / np.linalg.norm(expected, axis=-1)).max())


def wave(peers: Path, name: str) -> NDArray[np.float32]:
    return np.asarray(load(peers / name), dtype=np.float32)


def masks_of(segmentations: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """What pyannote embeds of each local speaker: (windows, speakers, frames)."""
    alone = segmentations * (segmentations.sum(axis=2, keepdims=True) < 2)
    enough = alone.sum(axis=1, keepdims=True) > 2
    return np.where(enough, alone, segmentations).transpose(0, 2, 1) > 0


@pytest.mark.parametrize("index", [0, 1])
def test_features_are_pyannotes(
    model: WespeakerEmbedder, peers: Path, expected: dict[str, np.ndarray], index: int
) -> None:
    found = model.frontend(torch.from_numpy(wave(peers, f"2_wespeaker/wav{index}.wav"))[None])[0]
    np.testing.assert_allclose(found, expected[f"fbank{index}"], rtol=0, atol=FBANK)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_whole_utterances_are_pyannotes(
    model: WespeakerEmbedder, peers: Path, expected: dict[str, np.ndarray], index: int
) -> None:
    found = model.embed(wave(peers, f"2_wespeaker/wav{index}.wav"))[0]
    assert distance(found, expected[f"emb{index}"]) < RELATIVE


def test_features_centred_over_a_span_are_pyannotes(
    weights: dict[str, torch.Tensor], peers: Path, expected: dict[str, np.ndarray]
) -> None:
    model = made(weights, fbank_centering_span=1.0, frame_length=25, dither=0.0, num_mel_bins=80)
    samples = wave(peers, "2_wespeaker/wav1.wav")
    features = model.frontend(torch.from_numpy(samples)[None])[0]
    np.testing.assert_allclose(features, expected["fbank1_span1s"], rtol=0, atol=FBANK)
    assert distance(model.embed(samples)[0], expected["emb1_span1s"]) < RELATIVE


@pytest.mark.parametrize("index", [0, 1, 2])
def test_masks_are_pooled_as_pyannote_does(
    model: WespeakerEmbedder, peers: Path, expected: dict[str, np.ndarray], index: int
) -> None:
    names = ["binary", "soft", "ones", "few", "three_frames", "none"]
    masks = torch.from_numpy(np.stack([expected[f"mask{index}_{name}"] for name in names]))
    own_rate = torch.from_numpy(expected[f"mask{index}_model_rate"])
    with torch.inference_mode():
        features = model.frontend(torch.from_numpy(wave(peers, f"2_wespeaker/wav{index}.wav"))[None])
        vectors = model.network(features, masks[None])[0].numpy()
        at_own_rate = model.network(features, own_rate[None, None])[0, 0].numpy()
    for name, vector in zip(names, vectors, strict=True):
        tolerance = RELATIVE_OF_THREE_FRAMES if name in ("few", "three_frames") else RELATIVE
        assert distance(vector, expected[f"emb{index}_{name}"]) < tolerance, name
    assert distance(at_own_rate, expected[f"emb{index}_model_rate"]) < RELATIVE


def test_windows_of_a_pipeline_are_pyannotes(model: WespeakerEmbedder, peers: Path) -> None:
    with np.load(peers / "3_pipeline" / "expected.npz", allow_pickle=False) as arrays:
        embeddings, segmentations = arrays["embeddings"], arrays["segmentations"]
    windows = np.repeat([0, 17, 30], 3)  # the last one sticks out of the audio
    masks = masks_of(segmentations)[windows, np.tile([0, 1, 2], 3)]
    samples = wave(peers, "3_pipeline/input.wav")
    found = model.embed_masks(samples, windows * 16000, 160000, masks, exact=True)
    assert distance(found, embeddings[windows[::3]].reshape(-1, 256)) < RELATIVE


def test_one_run_over_the_audio_gives_about_the_same(peers: Path) -> None:
    model = made(recipe_weights(peers / "8_synthetic"))
    with np.load(peers / "8_synthetic" / "pyannote_expected.npz", allow_pickle=False) as arrays:
        embeddings, segmentations = arrays["embeddings"][:6], arrays["segmentations"][:6]
    masks, samples = masks_of(segmentations).reshape(-1, 589), wave(peers, "8_synthetic/talk.wav")
    spoken = segmentations.any(axis=1).ravel()
    starts = np.arange(6).repeat(3) * 16000
    found = model.embed_masks(samples[: 15 * 16000], starts[spoken], 160000, masks[spoken])
    reference = embeddings.reshape(-1, 256)[spoken]
    cosines = (found * reference).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(reference, axis=1)
    assert np.nanmean(cosines) > 0.98
    assert np.isfinite(cosines).mean() > 0.8
