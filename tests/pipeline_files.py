"""Small weight files and pipeline folders in the forms that toolkits publish."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml  # type: ignore[import-untyped, unused-ignore]
from fakes_networks import drawn_weights, shapes_of

from speakerdiar.audio import load
from speakerdiar.checkpoints.folder import ModelCard, write_folder
from speakerdiar.models.segmenters.pyannet import PyannetSegmenter
from speakerdiar.nn.campplus import CampPlusNetwork, CampPlusShape
from speakerdiar.nn.pyannet import PyanNet, PyanNetShape
from speakerdiar.nn.resnet34 import ResNetShape, SpeakerResNet
from speakerdiar.postprocessing.powerset import Powerset

CONVERSATION = Path(__file__).resolve().parents[1] / "examples/data/conversation.flac"
CARD = ModelCard("Small", "A network that knows nothing.", "MIT", "drawn")


def tiny_pyannet() -> PyannetSegmenter:
    """A segmenter of windows of 10 s that knows nothing, and hears one or other of its classes in the conversation."""
    torch.manual_seed(0)
    network = PyanNet(PyanNetShape(7, lstm_size=8, linear_size=8))
    network.classifier.weight.data *= 50
    heard = network(torch.from_numpy(load(CONVERSATION))[None])
    network.classifier.bias.data -= heard.mean(dim=(0, 1))  # else one class is the likeliest everywhere
    return PyannetSegmenter(network, powerset=Powerset())


def pyannet_folder(folder: Path) -> Path:
    """A folder of our own format."""
    model = tiny_pyannet()
    return write_folder(folder, model.config(), model.state_dict(), CARD)


def resnet_file(file: Path) -> Path:
    """A residual network as WeSpeaker saves it, with a layer of the training loss."""
    shape = ResNetShape(channels=2, blocks=(1, 1, 1, 1), mel_bins=80, dimension=6)
    weights = drawn_weights(shapes_of(SpeakerResNet(shape).state_dict()))
    torch.save({**weights, "projection.weight": torch.zeros(5, 6)}, file)
    return file


def campplus_file(file: Path) -> Path:
    """CAM++ as 3D-Speaker saves it."""
    torch.save(
        drawn_weights(shapes_of(CampPlusNetwork(CampPlusShape(80, 6, 4, 8, 4, 8, (1, 2, 1))).state_dict())), file
    )
    return file


def pipeline_folder(folder: Path, **params: Any) -> Path:
    """A folder laid out as pyannote's pipelines are."""
    folder.mkdir()
    pyannet_folder(folder / "segmentation")
    (folder / "embedding").mkdir()
    resnet_file(folder / "embedding/avg_model.pt")
    parts = {"segmentation": "$model/segmentation", "embedding": "$model/embedding"}
    of = {**parts, "clustering": "AgglomerativeClustering", "embedding_exclude_overlap": True, **params}
    config = {"pipeline": {"name": "pyannote.audio.pipelines.SpeakerDiarization", "params": of}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder
