"""Sizes, alignment and refusals of the pre-activation residual network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from speakerdiar.errors import WeightsError
from speakerdiar.nn.preact_resnet import PreactLayer, PreactResNet, TrunkShape, each_length, frame_count

FILE = Path("sond.pb")
SMALL = TrunkShape((4, 4, 6, 8), (1, 2, 1, 1), 16, 10)
JOINED = TrunkShape((4, 4, 6, 8), (1, 2, 1, 1), 16, 10, joined=True)


def weights_of(shape: TrunkShape) -> dict[str, torch.Tensor]:
    return {f"encoder.{name}": value for name, value in PreactResNet(shape).state_dict().items()}


@pytest.mark.parametrize("shape", [SMALL, JOINED])
def test_weights_say_the_shape(shape: TrunkShape) -> None:
    assert TrunkShape.of(weights_of(shape), FILE, 16) == shape


@pytest.mark.parametrize("name", ["block_2.layer_0.conv1.weight", "resnet0_dense.weight"])
def test_missing_weights_are_named(name: str) -> None:
    weights = weights_of(SMALL)
    del weights[f"encoder.{name}"]
    with pytest.raises(WeightsError, match=rf"sond\.pb .* encoder\.{name} is missing"):
        TrunkShape.of(weights, FILE)


@pytest.mark.parametrize(("shape", "bands"), [(SMALL, 2), (JOINED, 1)])
@pytest.mark.parametrize("frames", [1, 7, 8, 9, 40])
def test_frames_and_bands_are_divided_by_eight(shape: TrunkShape, bands: int, frames: int) -> None:
    found = PreactResNet(shape).eval().trunk(torch.randn(2, frames, 16))
    assert found.shape == (2, 10, frame_count(frames), bands)


def test_gradients_reach_every_weight() -> None:
    network = PreactResNet(TrunkShape((8, 16, 32, 64), (1, 1, 1, 1), 80, 64))
    for _ in range(5):  # PyTorch 2.13 corrupts memory in most of them where channels lie side by side
        loss = network.trunk(torch.randn(8, 160, 80)).square().sum()
        gradients = torch.autograd.grad(loss, list(network.parameters()))
    assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients)


@pytest.mark.parametrize("count", [640, 641])
def test_frames_see_as_far_as_the_shape_says_and_no_further(count: int) -> None:
    network = PreactResNet(SMALL).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):  # positive, so that every rectifier lets through
            nn.init.constant_(module.weight, 0.01)
    features = torch.rand(1, count, 16, requires_grad=True)
    [slopes] = torch.autograd.grad(network.trunk(features)[0, :, 40].sum(), features)
    seen = slopes[0].any(dim=1).nonzero()
    assert (seen >= 8 * 40 - SMALL.reach).all()
    assert seen.max() <= 8 * 40 + SMALL.reach
    if count % 2 == 0:
        assert seen.max() == 8 * 40 + SMALL.reach
    assert TrunkShape().reach == 119


@pytest.mark.parametrize("frames", [6, 7])
def test_halving_pads_in_front_of_an_odd_count(frames: int) -> None:
    layer = PreactLayer(1, 1, 2, 0.1).eval()
    nn.init.ones_(layer.conv1.weight)
    images = torch.rand(1, 1, frames, 4)
    seen: list[torch.Tensor] = []
    layer.conv1.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    layer(images)
    normed = layer.bn1(images).relu()
    padded = functional.pad(normed, (0, 1, frames % 2, 1))
    torch.testing.assert_close(seen[0], 9 * functional.avg_pool2d(padded, 3, 2))


def test_rows_of_each_length_come_without_padding() -> None:
    features, lengths = torch.randn(4, 9, 2), torch.tensor([9, 4, 9, 1])
    found = [(rows.tolist(), alike.shape) for rows, alike in each_length(features, lengths)]
    assert found == [
        ([False, False, False, True], (1, 1, 2)),
        ([False, True, False, False], (1, 4, 2)),
        ([True, False, True, False], (2, 9, 2)),
    ]
