"""The ECAPA-TDNN embedder: whose weights it takes, and what it refuses by name."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes_networks import ECAPA, buzz, drawn_weights, shape_of

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.errors import WeightsError
from speakerdiar.models.embedders.ecapa import EcapaEmbedder

DATA = Path(__file__).resolve().parents[2] / "parity" / "data" / "other_networks.json"


def published(kind: str) -> dict[str, torch.Tensor]:
    """Weights by the names that a toolkit saves them by."""
    names = json.loads(DATA.read_text())[kind]["weights"]
    weights = drawn_weights({name: shape_of(text) for name, text in names.items()})
    return {name: value for name, value in weights.items() if not name.startswith("preprocessor.")}


def loaded(weights: dict[str, torch.Tensor], config: dict[str, Any] | None = None) -> EcapaEmbedder:
    return EcapaEmbedder.from_checkpoint(Checkpoint(Path("ecapa.ckpt"), config or {}, weights))


def test_wespeakers_projection_takes_no_part() -> None:
    weights = published("wespeaker")
    expected = loaded(weights).embed(buzz(1))
    found = loaded({**weights, "projection.weight": torch.zeros(9, 6)}).embed(buzz(1))
    assert (found == expected).all()


@pytest.mark.parametrize(
    ("kind", "name", "own"),
    [
        ("speechbrain", "blocks.2.se_block.conv1.conv.bias", "blocks.1.gate.squeeze.bias"),
        ("wespeaker", "layer3.se_res2block.1.bns.2.weight", "blocks.1.middle.layers.2.norm.weight"),
        ("speechbrain", "fc.conv.weight", "embedding.weight"),
    ],
)
def test_a_missing_weight_is_named(kind: str, name: str, own: str) -> None:
    weights = published(kind)
    del weights[name]
    with pytest.raises(WeightsError, match=rf"ecapa\.ckpt .*{own}"):
        loaded(weights)


def test_other_models_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"ecapa\.ckpt holds no ECAPA-TDNN"):
        loaded({"conv1.weight": torch.zeros(2)})
    with pytest.raises(WeightsError, match=r"classifier\.weight \(2,\) is unknown"):
        loaded({**published("speechbrain"), "classifier.weight": torch.zeros(2)})


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("encoder", "scale", 8),
        ("encoder", "dilations", [1, 2, 3, 4, 1]),
        ("preprocessor", "pad_to", 0),
        ("preprocessor", "normalize", "None"),
        ("decoder", "pool_mode", "tap"),
    ],
)
def test_other_configs_of_nemo_are_refused_by_what_differs(part: str, key: str, value: Any) -> None:
    config = copy.deepcopy(ECAPA)
    loaded(published("nemo_ecapa"), config)
    config[part][key] = value
    with pytest.raises(WeightsError, match=rf"{part}\.{key}"):
        loaded(published("nemo_ecapa"), config)
