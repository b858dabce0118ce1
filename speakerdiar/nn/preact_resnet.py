"""The residual network that SOND and its speaker network see filter banks with: norms come before convolutions.

    features -> convolution -> 4 stages, of which three halve time and bands -> 1x1 convolution -> frames

A stage that halves pads as TensorFlow does: in front of an odd number of rows, never of an even one. Whether a count of
frames is odd at some stage therefore moves what its frames see, so that recordings of several lengths can't be padded
to one: they go through apart from each other (`each_length`).

Source: He et al. 2016, arXiv:1603.05027, as FunASR has it. Parameters are named as FunASR's checkpoints name them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from speakerdiar.errors import WeightsError

REDUCTION = 8
"""Frames of the filter bank for one frame of the network, and bands for one band."""
EPSILON = 1e-3
"""Of all batch norms."""


@dataclass(frozen=True)
class TrunkShape:
    """Sizes of the residual network.

    Attributes:
        filters: channels of each stage.
        blocks: layers of each stage.
        mel_bins: bands of the filter bank.
        outputs: channels that the last convolution gives.
        joined: the last convolution sees all bands of a frame at once, so that its frames have no bands.
        momentum: how fast the batch norms follow when they train.
    """

    filters: tuple[int, ...] = (32, 64, 128, 256)
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    mel_bins: int = 80
    outputs: int = 256
    joined: bool = False
    momentum: float = 0.5

    @property
    def reach(self) -> int:
        """Frames of the filter bank that a network frame sees on either side of its first."""
        return 1 + sum(2 * blocks << stage for stage, blocks in enumerate(self.blocks))

    @classmethod
    def of(cls, weights: Mapping[str, torch.Tensor], file: Path, mel_bins: int = 80) -> TrunkShape:
        """Infer the shape from weights whose names begin with "encoder.".

        Args:
            weights: of the whole network.
            file: to be named in errors.
            mel_bins: taken where weights don't say it, which those of a trunk that isn't `joined` do not.

        Raises:
            WeightsError: they are no such network's.
        """
        filters, blocks = [], []
        for stage in range(REDUCTION.bit_length()):
            found = (re.match(rf"encoder\.block_{stage}\.layer_(\d+)\.conv1\.weight$", name) for name in weights)
            blocks.append(1 + max((int(match[1]) for match in found if match), default=-1))
            filters.append(len(named(weights, f"encoder.block_{stage}.layer_0.conv1.weight", file)))
        last = named(weights, "encoder.resnet0_dense.weight", file)
        joined = last.dim() == 3
        bands = last.shape[1] // filters[-1] * REDUCTION if joined else mel_bins
        return cls(tuple(filters), tuple(blocks), bands, len(last), joined)


def named(weights: Mapping[str, torch.Tensor], name: str, file: Path) -> torch.Tensor:
    """Return a weight of a file.

    Raises:
        WeightsError: there is none of that name.
    """
    if name not in weights:
        raise WeightsError(f"{file} is no SOND network of FunASR: {name} is missing.")
    return weights[name]


def frame_count(frames: int) -> int:
    """Return how many frames the network gives for so many of the filter bank."""
    return -(-frames // REDUCTION)


def each_length(features: torch.Tensor, lengths: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the rows (bool, (B,)) of each length, and their features (R, length, mel_bins) without padding."""
    for length in sorted(set(lengths.tolist())):
        rows = lengths == length
        yield rows, features[rows, :length]


class PreactLayer(nn.Module):
    """Two convolutions, each behind a norm and a rectifier, added to their input; the first may halve."""

    def __init__(self, inputs: int, outputs: int, stride: int, momentum: float) -> None:
        super().__init__()
        self.stride = stride
        self.bn1 = nn.BatchNorm2d(inputs, EPSILON, momentum)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=0 if stride > 1 else 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs, EPSILON, momentum)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.widens = stride > 1 or inputs != outputs
        if self.widens:
            self.conv_sc = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.bn_sc = nn.BatchNorm2d(outputs, EPSILON, momentum)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return images (B, C', T', F') of images (B, C, T, F)."""
        inner = self.bn1(images).relu()
        if self.stride > 1:
            inner = functional.pad(inner, (inner.shape[3] % 2, 1, inner.shape[2] % 2, 1))
        inner = self.conv2(self.bn2(self.conv1(inner)).relu())
        found: torch.Tensor = inner + (self.bn_sc(self.conv_sc(images)) if self.widens else images)
        return found


class PreactResNet(nn.Module):
    """The network, with random weights."""

    def __init__(self, shape: TrunkShape) -> None:
        super().__init__()
        self.joined = shape.joined
        self.pre_conv = nn.Conv2d(1, shape.filters[0], 3, padding=1, bias=False)
        self.pre_conv_bn = nn.BatchNorm2d(shape.filters[0], EPSILON, shape.momentum)
        inputs = shape.filters[0]
        self.stages = len(shape.filters)
        for stage, (filters, count) in enumerate(zip(shape.filters, shape.blocks, strict=True)):
            layers = nn.Sequential()
            for index in range(count):
                stride = 2 if stage and not index else 1
                layers.add_module(f"layer_{index}", PreactLayer(inputs, filters, stride, shape.momentum))
                inputs = filters
            self.add_module(f"block_{stage}", layers)
        self.resnet0_dense: nn.Module
        self.resnet0_bn: nn.Module
        if shape.joined:
            self.resnet0_dense = nn.Conv1d(inputs * shape.mel_bins // REDUCTION, shape.outputs, 1)
            self.resnet0_bn = nn.BatchNorm1d(shape.outputs, EPSILON, shape.momentum)
        else:
            self.resnet0_dense = nn.Conv2d(inputs, shape.outputs, 1)
            self.resnet0_bn = nn.BatchNorm2d(shape.outputs, EPSILON, shape.momentum)

    def trunk(self, features: torch.Tensor) -> torch.Tensor:
        """Return frames (B, C, ceil(T / 8), bands) of features (B, T, mel_bins), all of which are of full length.

        A `joined` network's frames have one band.
        """
        images: torch.Tensor = self.pre_conv_bn(self.pre_conv(features[:, None])).relu()
        if not torch.is_grad_enabled():  # a fifth faster on a CPU; the layers keep it; PyTorch 2.13 crashes going back
            images = images.contiguous(memory_format=torch.channels_last)
        for stage in range(self.stages):
            images = self.get_submodule(f"block_{stage}")(images)
        if not self.joined:
            found: torch.Tensor = self.resnet0_bn(self.resnet0_dense(images).relu())
            return found
        joined = images.permute(0, 3, 1, 2).flatten(1, 2)  # bands before channels
        found = self.resnet0_bn(self.resnet0_dense(joined).relu())
        return found[..., None]
