"""The CAM++ embedder: files as 3D-Speaker saves them, and those of other models."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes_networks import buzz, drawn_weights, shapes_of
from nemo_files import saved

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.tensors import read_tensors
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.models.embedders.campplus import CampPlusEmbedder, CenteredFbank
from speakerdiar.nn.campplus import CampPlusNetwork, CampPlusShape


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    return drawn_weights(shapes_of(CampPlusNetwork(CampPlusShape(80, 6, 4, 8, 4, 8, (1, 2, 1))).state_dict()))


def loaded(weights: dict[str, torch.Tensor], precision: str = "fp32") -> CampPlusEmbedder:
    return CampPlusEmbedder.from_checkpoint(Checkpoint(Path("campplus.bin"), {}, weights), precision=precision)


def test_a_saved_state_dict_is_read(weights: dict[str, torch.Tensor]) -> None:
    file = io.BytesIO(saved(weights))
    read = read_tensors(file, len(file.getvalue()), ArchiveLimits(), "campplus.bin")
    model = loaded(read)
    assert model.dimension == 6
    np.testing.assert_array_equal(model.embed(buzz(1)), loaded(weights).embed(buzz(1)))


def test_half_precision_is_near(weights: dict[str, torch.Tensor]) -> None:
    exact, half = loaded(weights).embed(buzz(1))[0], loaded(weights, "bf16").embed(buzz(1))[0]
    assert half.dtype == np.float32
    assert exact @ half / np.linalg.norm(exact) / np.linalg.norm(half) > 0.99
    assert not np.array_equal(exact, half)


def test_no_such_precision_is_refused(weights: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ConfigError, match="fp64"):
        loaded(weights, "fp64")


@pytest.mark.parametrize("name", ["xvector.transit2.linear.weight", "head.conv1.weight"])
def test_a_missing_weight_is_named(weights: dict[str, torch.Tensor], name: str) -> None:
    del weights[name]
    with pytest.raises(WeightsError, match=rf"campplus\.bin .*{name}"):
        loaded(weights)


def test_weights_of_another_model_are_refused(weights: dict[str, torch.Tensor]) -> None:
    with pytest.raises(WeightsError, match=r"projection\.weight \(7, 6\) is unknown"):
        loaded({**weights, "projection.weight": torch.zeros(7, 6)})
    with pytest.raises(WeightsError, match="holds no CAM"):
        loaded({"head.conv1.weight": torch.zeros(4)})


def test_features_have_no_mean() -> None:
    features = CenteredFbank(80)(torch.from_numpy(buzz(0.7))[None])
    assert features.shape == (1, 68, 80)
    torch.testing.assert_close(features.mean(1), torch.zeros(1, 80), rtol=0, atol=1e-4)
