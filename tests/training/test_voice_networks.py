"""What networks hear in training is what their embedders hear; only weights that can learn are taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fakes_networks import buzz, drawn_weights, shapes_of

from speakerdiar.checkpoints.folder import ModelCard, write_folder
from speakerdiar.clustering.affinity import directions
from speakerdiar.errors import ConfigError
from speakerdiar.models.embedders.ge2e import Ge2eEmbedder
from speakerdiar.models.embedders.scoring import Scoring
from speakerdiar.nn.campplus import CampPlusNetwork, CampPlusShape
from speakerdiar.nn.ge2e import Ge2eEncoder
from speakerdiar.training.voice_networks import Ge2eVoices, trained_voices
from speakerdiar.training.voice_views import View

CARD = ModelCard("t", "s", "l", "o")


def voices() -> tuple[Ge2eVoices, Ge2eEmbedder]:
    torch.manual_seed(0)
    scoring = Scoring(centre=np.full(6, 0.1, dtype=np.float32), slot_threshold=0.5)
    embedder = Ge2eEmbedder(encoder=Ge2eEncoder(n_mels=8, hidden=5, dimension=6, layers=2), scoring=scoring)
    return Ge2eVoices(embedder), embedder


def test_ge2e_hears_of_views_what_masks_leave_of_windows() -> None:
    made, embedder = voices()
    samples = buzz(1.2)
    masks = np.ones((3, 15), dtype=bool)
    masks[1, 4:8] = masks[2, 9:] = False
    features, kept = made.inputs([View(samples * level, mask) for level, mask in zip((1, 0.1, 1), masks, strict=True)])
    assert features.shape == (3, 120, 8)
    assert kept.sum(dim=(1, 2)).tolist() == [120, 88, 72]
    with torch.inference_mode():
        found = made.vectors(made.network(), features, kept)
    expected = embedder.embed_masks(samples, np.zeros(3, dtype=np.int64), len(samples), masks)
    np.testing.assert_allclose(directions(found.numpy()), expected, atol=1e-5)


def test_of_a_view_that_keeps_nothing_ge2e_hears_nothing() -> None:
    made, _ = voices()
    features, kept = made.inputs([View(buzz(0.8), np.zeros(10, dtype=bool))])
    assert not features.any()
    assert not kept.any()
    assert torch.isfinite(made.vectors(made.network(), features, kept)).all()


def test_ge2e_hears_of_sides_what_its_embedder_does() -> None:
    made, embedder = voices()
    samples = np.stack([buzz(0.8), 0.1 * buzz(0.8)[::-1]])
    with torch.inference_mode():
        found = made.vectors(made.network(), made.features(torch.from_numpy(samples)))
    np.testing.assert_allclose(directions(found.numpy()), embedder.embed(samples), atol=1e-5)


def test_ge2e_learns_and_its_start_stays() -> None:
    made, embedder = voices()
    network = made.network()
    assert all(weight.requires_grad for weight in network.parameters())
    with torch.no_grad():
        network.linear.weight.zero_()
    assert embedder.encoder.linear.weight.any()
    assert made.scoring.slot_threshold == 0.5
    assert made.scoring.centre is not None


def test_other_networks_are_refused(tmp_path: Path) -> None:
    network = CampPlusNetwork(CampPlusShape(80, 6, 4, 8, 4, 8, (1, 2, 1)))
    folder = write_folder(tmp_path / "a", {"model": "campplus"}, drawn_weights(shapes_of(network.state_dict())), CARD)
    with pytest.raises(ConfigError, match="no WeSpeaker ResNet and no GE2E encoder"):
        trained_voices(str(folder))
