"""Shapes, folding and refusals of WeSpeaker's residual networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from speakerdiar.errors import WeightsError
from speakerdiar.models.embedders.resnet import resnet_of
from speakerdiar.nn.resnet34 import ResNetShape, SpeakerResNet

FILE = Path("avg_model.pt")
SMALL = ResNetShape(channels=4, blocks=(1, 2, 1, 1), mel_bins=16, dimension=6)
SHAPES = {
    "basic": SMALL,
    "bottleneck": replace(SMALL, bottleneck=True),
    "second layer": replace(SMALL, second_layer=True),
}


def trained(shape: ResNetShape) -> SpeakerResNet:
    """A network whose batch norms did something."""
    torch.manual_seed(0)
    network = SpeakerResNet(shape).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.get_buffer("running_mean").uniform_(-0.1, 0.1)
            module.get_buffer("running_var").uniform_(0.5, 2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.1, 0.1)
    return network


@pytest.mark.parametrize("name", SHAPES)
def test_weights_say_the_shape_and_folding_changes_nothing(name: str) -> None:
    network = trained(SHAPES[name])
    weights = network.state_dict()
    made = resnet_of(weights, FILE)
    assert made.shape == replace(SHAPES[name], folded=True)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in made.modules())
    features, masks = torch.randn(2, 61, 16), torch.rand(2, 3, 61)
    with torch.inference_mode():
        torch.testing.assert_close(made(features), network(features), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(made(features, masks), network(features, masks), rtol=1e-4, atol=1e-5)
        again = resnet_of(made.state_dict(), FILE)
        torch.testing.assert_close(again(features), made(features))


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("count", [1, 8, 9, 100])
def test_frames_see_no_further_than_they_say(name: str, count: int) -> None:
    network = resnet_of(trained(SHAPES[name]).state_dict(), FILE)
    features = torch.randn(1, count, 16)
    with torch.inference_mode():
        frames = network.trunk(features)
        assert frames.shape == (1, network.frames(count), network.shape.frame_size)
        seen = 8 * (frames.shape[1] - 1) - network.shape.reach
        features[:, : max(0, seen)] = 0
        torch.testing.assert_close(network.trunk(features)[:, -1], frames[:, -1])


def test_published_sizes() -> None:
    assert ResNetShape().frame_size == 2560
    assert sum(value.numel() for value in SpeakerResNet(ResNetShape()).parameters()) == 6_634_336
    assert 112 <= ResNetShape().reach <= 120


def test_convolutions_take_another_precision() -> None:
    weights = trained(SMALL).state_dict()
    features = torch.randn(1, 80, 16)
    with torch.inference_mode():
        expected = resnet_of(weights, FILE)(features)
        found = resnet_of(weights, FILE, torch.bfloat16)(features)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)


def test_weights_that_do_not_fit_are_named() -> None:
    weights = trained(SMALL).state_dict()
    torn = {name: value for name, value in weights.items() if name != "layer2.1.bn2.running_var"}
    torn |= {"head.weight": torch.zeros(2), "layer1.0.conv1.weight": torch.zeros(4, 4, 5, 5)}
    with pytest.raises(WeightsError) as caught:
        resnet_of(torn, FILE)
    for fault in ("layer2.1.bn2.running_var", "head.weight", "layer1.0.conv1.weight", str(FILE)):
        assert fault in str(caught.value)


@pytest.mark.parametrize("prefix", ["conv1", "seg_1", "layer3"])
def test_other_networks_are_refused(prefix: str) -> None:
    weights = {name: value for name, value in trained(SMALL).state_dict().items() if not name.startswith(prefix)}
    with pytest.raises(WeightsError, match="no WeSpeaker ResNet"):
        resnet_of(weights, FILE)


@pytest.mark.parametrize("name", SHAPES)
def test_it_learns_with_channels_innermost(name: str) -> None:
    torch.manual_seed(0)
    network = SpeakerResNet(SHAPES[name]).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network(torch.randn(3, 40, 16), torch.ones(3, 1, 5)).square().sum().backward()
    slopes = [weight.grad for weight in network.parameters()]
    assert all(slope is not None and slope.isfinite().all() and slope.any() for slope in slopes[:-2])
