"""Segmenters and embedders as folders of our own format: what is read back gives the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fakes_networks import buzz, drawn_weights, shapes_of

from speakerdiar.checkpoints.folder import read_folder
from speakerdiar.errors import ConfigError, ModelError, WeightsError
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.mixins.local_segmentation import LocalSegmentationMixin
from speakerdiar.models.opening_parts import open_part
from speakerdiar.models.saving_parts import save_part
from speakerdiar.nn.campplus import CampPlusNetwork, CampPlusShape
from speakerdiar.nn.resnet34 import ResNetShape, SpeakerResNet

NETWORKS = {
    "wespeaker-resnet": SpeakerResNet(ResNetShape(channels=4, blocks=(1, 1, 1, 1), dimension=12)),
    "campplus": CampPlusNetwork(CampPlusShape(80, 6, 4, 8, 4, 8, (1, 2, 1))),
}


def saved(folder: Path, name: str) -> Path:
    torch.save(drawn_weights(shapes_of(NETWORKS[name].state_dict())), folder / "weights.pt")
    return folder / "weights.pt"


@pytest.mark.parametrize("name", NETWORKS)
def test_an_embedder_is_read_back(tmp_path: Path, name: str) -> None:
    file = saved(tmp_path, name)
    folder = save_part(file, tmp_path / "own")
    assert read_folder(folder).config == {"model": name}
    samples = buzz(2.0)
    before, after = (open_part(place, "embedder", EmbeddingMixin).embed(samples) for place in (file, folder))
    np.testing.assert_array_equal(before, after)
    assert 'embedder="path/to/this/folder"' in (folder / "README.md").read_text()


def test_a_segmenter_is_read_back(shared: Path, tmp_path: Path) -> None:
    file = shared / "golden/peers/1_pyannet/small.bin"
    folder = save_part(file, tmp_path / "own")
    assert read_folder(folder).config["model"] == "pyannet"
    before, after = (open_part(place, "local segmenter", LocalSegmentationMixin) for place in (file, folder))
    windows = np.random.default_rng(3).standard_normal((2, before.grid.window)).astype(np.float32)
    np.testing.assert_array_equal(before.score_windows(windows), after.score_windows(windows))
    assert (before.grid, before.powerset) == (after.grid, after.powerset)
    assert 'load_model("path/to/this/folder", embedder=...)' in (folder / "README.md").read_text()


def test_the_filter_bank_of_an_embedder_is_kept(shared: Path, tmp_path: Path) -> None:
    network = NETWORKS["wespeaker-resnet"]
    checkpoint = {
        "state_dict": {f"resnet.{name}": value for name, value in network.state_dict().items()},
        "hyper_parameters": {"window_type": "povey", "fbank_centering_span": 3.0},
        "pytorch-lightning_version": "2.6.0",
        "pyannote.audio": {
            "versions": {"torch": "2.8.0", "pyannote.audio": "4.0.0"},
            "architecture": {
                "module": "pyannote.audio.models.embedding.wespeaker",
                "class": "WeSpeakerResNet34",
            },
        },
    }
    torch.save(checkpoint, tmp_path / "pytorch_model.bin")
    folder = save_part(tmp_path / "pytorch_model.bin", tmp_path / "own")
    assert read_folder(folder).config["hyper_parameters"] == checkpoint["hyper_parameters"]
    read = open_part(folder, "embedder", EmbeddingMixin)
    assert (read.frontend.options.window, read.frontend.radius) == ("povey", 149)


def test_a_folder_is_replaced_only_on_purpose(tmp_path: Path) -> None:
    file = saved(tmp_path, "campplus")
    folder = save_part(file, tmp_path / "own")
    with pytest.raises(ConfigError, match="isn't empty"):
        save_part(file, folder)
    assert save_part(folder, folder, overwrite=True) == folder


def test_what_has_no_name_in_our_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speakerdiar.models.saving_parts.OWN", {})
    with pytest.raises(ModelError, match="CampPlusEmbedder has no name in our format"):
        save_part(saved(tmp_path, "campplus"), tmp_path / "own")
    (tmp_path / "broken.bin").write_bytes(b"broken")
    with pytest.raises(WeightsError, match=r"broken\.bin"):
        save_part(tmp_path / "broken.bin", tmp_path / "own")
    assert not (tmp_path / "own").exists()
