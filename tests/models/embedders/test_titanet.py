"""The TitaNet embedder: what of NeMo's configs it takes, and what it refuses by name."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes_networks import SQUEEZED, TITANET, block, drawn_weights, shapes_of

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.errors import WeightsError
from speakerdiar.models.embedders.titanet import TitaNetEmbedder, titanet_shape
from speakerdiar.nn.jasper import BlockShape
from speakerdiar.nn.titanet import TitaNetNetwork

PATH = Path("titanet.nemo")


def changed(changes: Mapping[str, Any], weights: dict[str, torch.Tensor] | None = None) -> Checkpoint:
    """A checkpoint whose config has other values at some places, such as decoder/emb_sizes."""
    config = copy.deepcopy(TITANET)
    for place, value in changes.items():
        *parts, last = [int(part) if part.isdigit() else part for part in place.split("/")]
        inner: Any = config
        for part in parts:
            inner = inner[part]
        inner[last] = value
    return Checkpoint(PATH, config, dict.fromkeys("abcdefgh", torch.zeros(1)) if weights is None else weights)


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    return drawn_weights(shapes_of(TitaNetNetwork(titanet_shape(changed({}))).state_dict()))


def test_sizes_come_from_the_config() -> None:
    shape = titanet_shape(changed({}))
    assert shape.blocks[1] == BlockShape(16, kernel=7, repeat=3, residual=True, separable=True, squeeze=8)
    assert (shape.n_mels, shape.attention, shape.dimensions) == (80, 128, (6,))
    wider: dict[str, Any] = {"decoder/emb_sizes": [9, 4], "decoder/attention_channels": 7, "preprocessor/features": 40}
    shape = titanet_shape(changed(wider))
    assert (shape.n_mels, shape.attention, shape.dimensions) == (40, 7, (9, 4))


@pytest.mark.parametrize(("kernel", "factor", "frames"), [(11, 1.0, 11), (11, 0.5, 5), (12, 1, 13), (3, 0.1, 1)])
def test_kernels_are_odd_behind_their_factor(kernel: int, factor: float, frames: int) -> None:
    jasper = [block(4, kernel, kernel_size_factor=factor, **SQUEEZED)]
    assert titanet_shape(changed({"encoder/jasper": jasper})).blocks[0].kernel == frames


REFUSED: dict[str, Any] = {
    "preprocessor": None,
    "preprocessor/_target_": "nemo.collections.asr.modules.AudioToMFCCPreprocessor",
    "preprocessor/normalize": "all_features",
    "preprocessor/sample_rate": 8000,
    "preprocessor/features": "80",
    "encoder/conv_mask": False,
    "encoder/activation": "selu",
    "encoder/jasper": [],
    "encoder/jasper/1": "wide",
    "encoder/jasper/1/groups": 2,
    "encoder/jasper/1/kernel": [0],
    "encoder/jasper/1/kernel_size_factor": -1,
    "encoder/jasper/1/repeat": 10**9,
    "encoder/jasper/1/filters": True,
    "decoder/pool_mode": "xvector",
    "decoder/emb_sizes": [],
}


@pytest.mark.parametrize("place", REFUSED)
def test_other_models_are_refused_by_what_differs(place: str) -> None:
    *_, last = [part for part in place.split("/") if not part.isdigit()]
    named = "AudioToMFCC" if last == "_target_" else last
    with pytest.raises(WeightsError, match=rf"titanet\.nemo.*{named}"):
        titanet_shape(changed({place: REFUSED[place]}))


def test_a_missing_weight_is_named(weights: dict[str, torch.Tensor]) -> None:
    TitaNetEmbedder.from_checkpoint(changed({}, weights))
    del weights["encoder.1.res.0.weight"]
    with pytest.raises(WeightsError, match=r"encoder\.1\.res\.0\.weight \(16, 16, 1\) is missing"):
        TitaNetEmbedder.from_checkpoint(changed({}, weights))


def test_other_mel_bands_are_refused(weights: dict[str, torch.Tensor]) -> None:
    weights["preprocessor.featurizer.fb"] = torch.zeros(1, 80, 257)
    with pytest.raises(WeightsError, match="other mel bands"):
        TitaNetEmbedder.from_checkpoint(changed({}, weights))
