"""WeSpeaker's residual networks: filter banks in, speaker embeddings out.

Frames are images of one channel. Four stages of residual blocks divide time and frequency by 8; the last one's frames
are pooled over time (`speakerdiar.nn.statistics_pooling`) and projected. Batch norms are folded into the convolutions.

Source: H. Wang et al., WeSpeaker: a research and production oriented speaker embedding learning toolkit, ICASSP 2023.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from speakerdiar.errors import WeightsError
from speakerdiar.nn.statistics_pooling import statistics, weighted_statistics

STAGES = 4
REDUCTION = 8
"""Frames of the filter bank for one frame of the network."""


@dataclass(frozen=True)
class ResNetShape:
    """What the names and sizes of the weights say.

    Attributes:
        channels: of the first stage; each stage has twice as many as the one before.
        blocks: blocks of each stage.
        mel_bins: bands of the filter bank.
        dimension: size of an embedding.
        bottleneck: blocks of three convolutions (ResNet152 and deeper) instead of two.
        second_layer: the embedding is that of a second linear layer behind the first.
        folded: the weights are those of a network whose batch norms were folded already.
    """

    channels: int = 32
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    mel_bins: int = 80
    dimension: int = 256
    bottleneck: bool = False
    second_layer: bool = False
    folded: bool = False

    @property
    def frame_size(self) -> int:
        """Numbers of a network frame: bands times channels of the last stage."""
        return self.mel_bins // REDUCTION * self.channels * (1 << STAGES - 1) * (4 if self.bottleneck else 1)

    @property
    def reach(self) -> int:
        """Frames of the filter bank that a network frame sees on either side of its centre."""
        return 1 + sum((2 - self.bottleneck) * blocks << stage for stage, blocks in enumerate(self.blocks))

    @classmethod
    def of(cls, weights: Mapping[str, torch.Tensor], file: Path) -> ResNetShape:
        """Infer the shape from weights.

        Raises:
            WeightsError: they are no such network's.
        """
        missing = [name for name in ("conv1.weight", "seg_1.weight") if name not in weights]
        if missing:
            raise WeightsError(f"{file} is no WeSpeaker ResNet: {', '.join(missing)} is missing.")
        found = (re.fullmatch(r"layer([1-4])\.(\d+)\.conv1\.weight", name) for name in weights)
        places = [(int(match[1]), int(match[2])) for match in found if match]
        blocks = tuple(1 + max((b for stage, b in places if stage == s), default=-1) for s in range(1, STAGES + 1))
        if 0 in blocks:
            raise WeightsError(f"{file} is no WeSpeaker ResNet: it has {blocks} blocks in its four stages.")
        bottleneck = "layer1.0.conv3.weight" in weights
        channels, projection = len(weights["conv1.weight"]), weights["seg_1.weight"]
        last = channels * (1 << STAGES - 1) * (4 if bottleneck else 1)
        return cls(
            channels=channels,
            blocks=blocks,
            mel_bins=projection.shape[-1] // (2 * last) * REDUCTION,
            dimension=len(projection),
            bottleneck=bottleneck,
            second_layer="seg_2.weight" in weights,
            folded="bn1.weight" not in weights,
        )


class ResidualBlock(nn.Module):
    """Two or three convolutions, added to their input; the first one of 3x3 may divide time and frequency."""

    def __init__(self, inputs: int, planes: int, stride: int, shape: ResNetShape) -> None:
        super().__init__()
        outputs = planes * (4 if shape.bottleneck else 1)
        if shape.bottleneck:
            convs = [_conv(inputs, planes, 1, 1, shape), _conv(planes, planes, 3, stride, shape)]
            convs.append(_conv(planes, outputs, 1, 1, shape))
        else:
            convs = [_conv(inputs, planes, 3, stride, shape), _conv(planes, planes, 3, 1, shape)]
        self.depth, self.stride = len(convs), stride
        for index, conv in enumerate(convs, start=1):
            self.add_module(f"conv{index}", conv)
            self.add_module(f"bn{index}", _norm(conv.out_channels, shape))
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut.append(_conv(inputs, outputs, 1, 1, shape)).append(_norm(outputs, shape))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return images (B, C', F', T') of images (B, C, F, T)."""
        found = images
        for index in range(1, self.depth + 1):
            found = self.get_submodule(f"bn{index}")(self.get_submodule(f"conv{index}")(found))
            found = found.relu_() if index < self.depth else found
        # Left out here and not by a strided convolution, through which PyTorch 2.13 crashes going back.
        return found.add_(self.shortcut(images[..., :: self.stride, :: self.stride])).relu_()


class SpeakerResNet(nn.Module):
    """The network, with random weights."""

    def __init__(self, shape: ResNetShape) -> None:
        super().__init__()
        self.shape = shape
        self.conv1 = _conv(1, shape.channels, 3, 1, shape)
        self.bn1 = _norm(shape.channels, shape)
        inputs = shape.channels
        for stage, count in enumerate(shape.blocks):
            planes = shape.channels << stage
            blocks = nn.Sequential()
            for index in range(count):
                blocks.append(ResidualBlock(inputs, planes, 2 if stage and not index else 1, shape))
                inputs = planes * (4 if shape.bottleneck else 1)
            self.add_module(f"layer{stage + 1}", blocks)
        self.seg_1 = nn.Linear(2 * shape.frame_size, shape.dimension)
        if shape.second_layer:
            self.seg_bn_1 = nn.BatchNorm1d(shape.dimension, affine=False)
            self.seg_2 = nn.Linear(shape.dimension, shape.dimension)

    def folded(self, dtype: torch.dtype = torch.float32) -> SpeakerResNet:
        """Make this network ready for inference, and return it: batch norms go into the convolutions.

        Args:
            dtype: of the convolutions; pooling and projection stay in float32.
        """
        self.eval().requires_grad_(False)
        self._fold()
        for name, part in self.named_children():
            if not name.startswith("seg"):
                part.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self

    def frames(self, count: int) -> int:
        """Network frames for so many frames of the filter bank."""
        return -(-count // REDUCTION)

    def trunk(self, features: torch.Tensor) -> torch.Tensor:
        """Return the network frames of features (B, T, mel_bins): float32, (B, ceil(T / 8), frame_size)."""
        return self.last_stage(self.first_stages(features))

    def first_stages(self, features: torch.Tensor) -> torch.Tensor:
        """Return what the last stage sees of features (B, T, mel_bins): (B, C, mel_bins / 4, ceil(T / 4))."""
        images: torch.Tensor = features.transpose(1, 2)[:, None].to(self.conv1.weight.dtype)
        images = self.bn1(self.conv1(images)).relu_()
        for stage in range(1, STAGES):
            images = self.get_submodule(f"layer{stage}")(images)
        return images

    def last_stage(self, images: torch.Tensor) -> torch.Tensor:
        """Return the network frames of what `first_stages` gave, of every other column: float32, (B, T, frame_size).

        Without its first column, the frames between the others come out: those of audio that begins 4 frames later.
        """
        found: torch.Tensor = self.get_submodule(f"layer{STAGES}")(images)
        return found.permute(0, 3, 1, 2).flatten(2).float()  # channels before bands

    def project(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return the embeddings of statistics (..., 2 frame_size): (..., dimension)."""
        embeddings: torch.Tensor = self.seg_1(pooled)
        if self.shape.second_layer:
            flat = self.seg_bn_1(embeddings.relu().flatten(0, -2))
            embeddings = self.seg_2(flat).reshape(embeddings.shape)
        return embeddings

    def forward(self, features: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Embed features (B, T, mel_bins): (B, dimension); for weights (B, S, F): (B, S, dimension)."""
        frames = self.trunk(features)
        return self.project(statistics(frames) if weights is None else weighted_statistics(frames, weights))

    def _fold(self) -> None:
        """Fold batch norms into the convolutions in front of them."""
        for module in list(self.modules()):
            parts = dict(module.named_children())
            for name, part in parts.items():
                behind = "1" if name == "0" else name.replace("conv", "bn")
                norm = parts.get(behind)
                if isinstance(part, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    module.add_module(name, fuse_conv_bn_eval(part, norm))
                    module.add_module(behind, nn.Identity())
        self.shape = replace(self.shape, folded=True)


def _conv(inputs: int, outputs: int, size: int, stride: int, shape: ResNetShape) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=shape.folded)


def _norm(channels: int, shape: ResNetShape) -> nn.Module:
    return nn.Identity() if shape.folded else nn.BatchNorm2d(channels)
