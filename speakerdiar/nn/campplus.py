"""CAM++: densely connected time-delay layers, each masked by what surrounds its frames.

    features -> 2-D convolutions that shrink frequency by 8 -> time-delay layer that halves the frame rate
        -> 3 blocks of densely connected layers -> mean and deviation over time -> embedding

Source: Wang et al. 2023, "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware Masking",
arXiv:2303.00332. Weights have the names of 3D-Speaker's files.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.nn import functional

SEGMENT = 100
"""Frames (of 20 ms) that a mask takes for the surroundings of each of them."""
DILATIONS = (1, 2, 2)
"""Of the three blocks; no weight's shape says them."""
SHRINKAGE = 8
"""Mel bands that the head makes one of."""


@dataclass(frozen=True)
class CampPlusShape:
    """Sizes of the network; all can be read off its weights.

    Attributes:
        n_mels: bands of the features, a multiple of 8.
        dimension: size of an embedding.
        head: channels of the 2-D convolutions.
        channels: what the first time-delay layer gives.
        growth: channels that each dense layer adds.
        bottleneck: channels inside a dense layer.
        layers: dense layers of each block.
    """

    n_mels: int = 80
    dimension: int = 192
    head: int = 32
    channels: int = 128
    growth: int = 32
    bottleneck: int = 128
    layers: tuple[int, int, int] = (12, 24, 16)


def campplus_shape(weights: Mapping[str, torch.Tensor]) -> CampPlusShape:
    """Return the sizes that weights have.

    Raises:
        KeyError: a weight that tells a size is missing.
        ValueError: a weight that tells a size has another number of axes.
    """
    head, *_ = weights["head.conv1.weight"].shape
    channels, merged, _ = weights["xvector.tdnn.linear.weight"].shape
    bottleneck, _, _ = weights["xvector.block1.tdnnd1.linear1.weight"].shape
    growth, _, _ = weights["xvector.block1.tdnnd1.cam_layer.linear_local.weight"].shape
    dimension, *_ = weights["xvector.dense.linear.weight"].shape
    found = {match.groups() for name in weights if (match := re.match(r"xvector\.block([123])\.(tdnnd\d+)\.", name))}
    first, second, third = (sum(block == number for block, _ in found) for number in "123")
    return CampPlusShape(
        merged // max(1, head) * SHRINKAGE, dimension, head, channels, growth, bottleneck, (first, second, third)
    )


class CampPlusNetwork(torch.nn.Module):
    """Embeds features; see the module's page."""

    def __init__(self, shape: CampPlusShape) -> None:
        super().__init__()
        self.shape = shape
        self.head = _Head(shape.head)
        width = shape.channels
        first = torch.nn.Conv1d(shape.head * (shape.n_mels // SHRINKAGE), width, 5, stride=2, padding=2, bias=False)
        parts: OrderedDict[str, torch.nn.Module] = OrderedDict(tdnn=_named(linear=first, nonlinear=_norm_relu(width)))
        for number, (layers, dilation) in enumerate(zip(shape.layers, DILATIONS, strict=True), start=1):
            parts[f"block{number}"] = _DenseBlock(width, layers, dilation, shape)
            width += layers * shape.growth
            halving = torch.nn.Conv1d(width, width // 2, 1, bias=False)
            parts[f"transit{number}"] = _named(nonlinear=_norm_relu(width), linear=halving)
            width //= 2
        parts["out_nonlinear"] = _norm_relu(width)
        parts["stats"] = _MeanAndDeviation()
        dense = torch.nn.Conv1d(2 * width, shape.dimension, 1, bias=False)
        last = _named(batchnorm=torch.nn.BatchNorm1d(shape.dimension, affine=False))
        parts["dense"] = _named(linear=dense, nonlinear=last)
        self.xvector = torch.nn.Sequential(parts)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the embeddings (B, dimension) of features (B, T, n_mels); T is 3 or more."""
        pooled: torch.Tensor = self.xvector(self.head(features.transpose(1, 2)))
        return pooled.squeeze(-1)


def _named(**parts: torch.nn.Module) -> torch.nn.Sequential:
    return torch.nn.Sequential(OrderedDict(parts))


def _norm_relu(channels: int) -> torch.nn.Sequential:
    return _named(batchnorm=torch.nn.BatchNorm1d(channels), relu=torch.nn.ReLU(inplace=True))


class _Head(torch.nn.Module):
    """(B, n_mels, T) -> (B, channels * n_mels / 8, T)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(channels)
        self.layer1 = torch.nn.Sequential(_Residual(channels, 2), _Residual(channels, 1))
        self.layer2 = torch.nn.Sequential(_Residual(channels, 2), _Residual(channels, 1))
        self.conv2 = torch.nn.Conv2d(channels, channels, 3, stride=(2, 1), padding=1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn1(self.conv1(features.unsqueeze(1))))  # (B, channels, n_mels, T)
        x = torch.relu(self.bn2(self.conv2(self.layer2(self.layer1(x)))))
        return x.flatten(1, 2)


class _Residual(torch.nn.Module):
    """Two 2-D convolutions beside a shortcut; `stride` shrinks frequency alone."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(channels, channels, 3, stride=(stride, 1), padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(channels)
        self.conv2 = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(channels)
        self.shortcut = torch.nn.Sequential()
        if stride > 1:
            self.shortcut.append(torch.nn.Conv2d(channels, channels, 1, stride=(stride, 1), bias=False))
            self.shortcut.append(torch.nn.BatchNorm2d(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(inner + self.shortcut(x))


class _DenseBlock(torch.nn.Module):
    """Layers each of which sees what all before it gave: (B, inputs, T) -> (B, inputs + layers * growth, T)."""

    def __init__(self, inputs: int, layers: int, dilation: int, shape: CampPlusShape) -> None:
        super().__init__()
        for index in range(layers):
            layer = _DenseLayer(inputs + index * shape.growth, shape.bottleneck, shape.growth, dilation)
            self.add_module(f"tdnnd{index + 1}", layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.children():
            x = torch.cat([x, layer(x)], dim=1)
        return x


class _DenseLayer(torch.nn.Module):
    def __init__(self, inputs: int, bottleneck: int, growth: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = _norm_relu(inputs)
        self.linear1 = torch.nn.Conv1d(inputs, bottleneck, 1, bias=False)
        self.nonlinear2 = _norm_relu(bottleneck)
        self.cam_layer = ContextMask(bottleneck, growth, dilation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        masked: torch.Tensor = self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))
        return masked


class ContextMask(torch.nn.Module):
    """A convolution times a mask that the means of the utterance and of the segment around each frame give."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.linear_local = torch.nn.Conv1d(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=False)
        self.linear1 = torch.nn.Conv1d(inputs, inputs // 2, 1)
        self.linear2 = torch.nn.Conv1d(inputs // 2, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, outputs, T) for (B, inputs, T)."""
        segments = functional.avg_pool1d(x, SEGMENT, SEGMENT, ceil_mode=True)
        context = x.mean(-1, keepdim=True) + segments  # one column a segment: its frames share a mask
        mask = torch.sigmoid(self.linear2(torch.relu(self.linear1(context))))
        local: torch.Tensor = self.linear_local(x)
        return local * mask.repeat_interleave(SEGMENT, dim=-1)[..., : x.shape[-1]]


class _MeanAndDeviation(torch.nn.Module):
    """(B, channels, T) -> (B, 2 * channels, 1)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        deviation, mean = torch.std_mean(x, dim=-1, keepdim=True)
        return torch.cat([mean, deviation], dim=1)
