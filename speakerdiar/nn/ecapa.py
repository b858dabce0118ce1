"""ECAPA-TDNN, in the three ways that it is trained by: SpeechBrain's, WeSpeaker's and NeMo's.

    features -> time-delay layer -> 3 blocks with squeeze-and-excitation -> all three joined -> attentive pooling
        -> embedding

Source: Desplanques et al. 2020, "ECAPA-TDNN: Emphasized Channel Attention, Propagation and Aggregation in TDNN Based
Speaker Verification", arXiv:2005.07143; NeMo's, without Res2Net: Dawalatabad et al. 2021, arXiv:2104.01466.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional

from speakerdiar.nn.attentive_pooling import AttentiveStatistics

Kind = Literal["speechbrain", "wespeaker", "nemo"]
DILATIONS = {"speechbrain": (2, 3, 4), "wespeaker": (2, 3, 4), "nemo": (1, 1, 1)}
"""Of the blocks; no weight's shape says them."""
FLOORS = {"speechbrain": 1e-12, "wespeaker": 1e-7, "nemo": 1e-10}
"""Least variances of the pooling."""


@dataclass(frozen=True)
class EcapaShape:
    """Sizes of the network, and whose it is.

    Attributes:
        kind: whose. SpeechBrain's mirrors frames at the ends, where the others take zeros; each splits and joins the
            channels of a block in its own way.
        n_mels: bands of the features.
        channels: of the first layer and the blocks.
        joined: what the layer behind the blocks gives.
        dimension: size of an embedding.
        scale: groups of channels inside a block.
        squeeze: channels inside a squeeze-and-excitation.
        attention: channels inside the pooling.
        kernels: frames that the first layer and the blocks see.
        context: whether attention sees mean and deviation of the utterance.
        last_norm: whether the embedding is normalised (some of WeSpeaker's).
    """

    kind: Kind
    n_mels: int = 80
    channels: int = 512
    joined: int = 1536
    dimension: int = 192
    scale: int = 8
    squeeze: int = 128
    attention: int = 128
    kernels: tuple[int, int, int, int] = (5, 3, 3, 3)
    context: bool = True
    last_norm: bool = False


class EcapaNetwork(torch.nn.Module):
    """Embeds features; see the module's page."""

    def __init__(self, shape: EcapaShape) -> None:
        super().__init__()
        self.shape = shape
        mirror = shape.kind == "speechbrain"
        self.first = TimeDelay(shape.n_mels, shape.channels, shape.kernels[0], mirror=mirror)
        layers = zip(shape.kernels[1:], DILATIONS[shape.kind], strict=True)
        self.blocks = torch.nn.ModuleList(_Block(shape, kernel, dilation) for kernel, dilation in layers)
        norm = shape.kind != "wespeaker"
        self.join = TimeDelay(3 * shape.channels, shape.joined, 1, mirror=mirror, norm=norm)
        self.pooling = AttentiveStatistics(
            shape.joined,
            shape.attention,
            context=shape.context,
            norm=norm,
            floor=FLOORS[shape.kind],
            unbiased=shape.kind == "wespeaker",
        )
        self.norm = torch.nn.BatchNorm1d(2 * shape.joined)
        self.embedding = torch.nn.Linear(2 * shape.joined, shape.dimension)
        self.last_norm = torch.nn.BatchNorm1d(shape.dimension) if shape.last_norm else None

    def forward(self, features: torch.Tensor, frames: int | None = None) -> torch.Tensor:
        """Return embeddings.

        Args:
            features: (B, T, n_mels).
            frames: what of them is the utterance; convolutions see the rest, means don't. All if left out.

        Returns:
            (B, dimension).
        """
        frames = features.shape[1] if frames is None else frames
        x = self.first(features.transpose(1, 2))
        given = []
        for block in self.blocks:
            x = block(x, frames)
            given.append(x)
        joined = self.join(torch.cat(given, dim=1))[..., :frames]
        vectors: torch.Tensor = self.embedding(self.norm(self.pooling(joined)))
        return vectors if self.last_norm is None else self.last_norm(vectors)


class TimeDelay(torch.nn.Module):
    """A convolution over time, rectified, then normalised; as many frames as before.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: frames that it sees.
        dilation: frames from one that it sees to the next.
        groups: of channels that don't meet.
        mirror: beyond the ends lie the frames mirrored, instead of zeros.
        norm: whether to normalise.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        dilation: int = 1,
        *,
        groups: int = 1,
        mirror: bool = False,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.reach = dilation * (kernel - 1) // 2
        self.mode = "reflect" if mirror else "constant"
        self.conv = torch.nn.Conv1d(inputs, outputs, kernel, dilation=dilation, groups=groups)
        self.norm = torch.nn.BatchNorm1d(outputs) if norm else torch.nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, outputs, T) for (B, inputs, T)."""
        padded = functional.pad(x, (self.reach, self.reach), mode=self.mode) if self.reach else x
        given: torch.Tensor = self.norm(torch.relu(self.conv(padded)))
        return given


class _Block(torch.nn.Module):
    def __init__(self, shape: EcapaShape, kernel: int, dilation: int) -> None:
        super().__init__()
        channels, mirror = shape.channels, shape.kind == "speechbrain"
        self.before = TimeDelay(channels, channels, 1)
        self.middle: torch.nn.Module
        if shape.kind == "nemo":
            self.middle = TimeDelay(channels, channels, kernel, dilation, groups=shape.scale)
        else:
            self.middle = Res2Net(channels, shape.scale, kernel, dilation, mirror=mirror)
        self.behind = TimeDelay(channels, channels, 1)
        self.gate = Gate(channels, shape.squeeze, norm=shape.kind == "nemo")

    def forward(self, x: torch.Tensor, frames: int) -> torch.Tensor:
        inner: torch.Tensor = self.behind(self.middle(self.before(x)))
        factors: torch.Tensor = self.gate(inner[..., :frames])
        return x + inner * factors


class Res2Net(torch.nn.Module):
    """Groups of channels, each convolved together with what the one before it gave, but for one that stays as it is.

    SpeechBrain (`mirror`) leaves the first group as it is, and adds nothing to the second; WeSpeaker leaves the last.
    """

    def __init__(self, channels: int, scale: int, kernel: int, dilation: int, *, mirror: bool) -> None:
        super().__init__()
        self.width, self.first_stays = channels // scale, mirror
        self.layers = torch.nn.ModuleList(
            TimeDelay(self.width, self.width, kernel, dilation, mirror=mirror) for _ in range(scale - 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, channels, T) for (B, channels, T)."""
        groups = list(torch.split(x, self.width, dim=1))
        kept = groups.pop(0 if self.first_stays else -1)
        given: list[torch.Tensor] = []
        for layer, group in zip(self.layers, groups, strict=True):
            given.append(layer(group + given[-1] if given else group))
        return torch.cat([kept, *given] if self.first_stays else [*given, kept], dim=1)


class Gate(torch.nn.Module):
    """Squeeze-and-excitation: a factor for each channel, from the means of all.

    Args:
        channels: in and out.
        squeeze: channels in between.
        norm: whether to normalise in between.
    """

    def __init__(self, channels: int, squeeze: int, *, norm: bool) -> None:
        super().__init__()
        self.squeeze = torch.nn.Conv1d(channels, squeeze, 1)
        self.norm = torch.nn.BatchNorm1d(squeeze) if norm else torch.nn.Identity()
        self.excite = torch.nn.Conv1d(squeeze, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, channels, 1) for (B, channels, T)."""
        hidden = self.norm(torch.relu(self.squeeze(x.mean(-1, keepdim=True))))
        return torch.sigmoid(self.excite(hidden))
