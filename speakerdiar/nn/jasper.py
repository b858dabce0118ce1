"""Blocks of time convolutions, separable or not, with residuals and squeeze-and-excitation, as NeMo builds them.

Sources: Jasper (Li et al. 2019, arXiv:1904.03288), QuartzNet (Kriman et al. 2020, arXiv:1910.10261), ContextNet's
squeeze-and-excitation (Han et al. 2020, arXiv:2005.03191).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

NORM_GUARD = 1e-3
"""Added to the variances of batch norms."""


@dataclass(frozen=True)
class BlockShape:
    """Sizes of a block.

    Attributes:
        filters: channels that it gives.
        kernel: frames that a convolution sees, an odd number.
        repeat: convolutions one after the other.
        stride: frames from which each convolution makes one.
        dilation: frames from one that a convolution sees to the next.
        residual: add the input, brought to as many channels.
        separable: convolve over time channel by channel, then mix channels.
        squeeze: channels of the squeeze are the `squeeze`th part; 0 for no squeeze-and-excitation.
    """

    filters: int
    kernel: int
    repeat: int = 1
    stride: int = 1
    dilation: int = 1
    residual: bool = False
    separable: bool = True
    squeeze: int = 0


class JasperEncoder(torch.nn.Sequential):
    """(B, inputs, T) -> (B, filters of the last block, ceil(T / strides)); beyond the ends lie zeros."""

    def __init__(self, inputs: int, blocks: Sequence[BlockShape]) -> None:
        super().__init__()
        for block in blocks:
            self.append(JasperBlock(inputs, block))
            inputs = block.filters


class JasperBlock(torch.nn.Module):
    """A block; its parts stand at the places that NeMo's do, so that weights have the same numbers."""

    def __init__(self, inputs: int, shape: BlockShape) -> None:
        super().__init__()
        self.mconv = torch.nn.Sequential()
        width = inputs
        for turn in range(shape.repeat):
            if turn:
                self.mconv.extend([torch.nn.ReLU(), torch.nn.Identity()])  # the latter for a dropout
            self.mconv.extend(_convolutions(width, shape))
            self.mconv.append(torch.nn.BatchNorm1d(shape.filters, eps=NORM_GUARD))
            width = shape.filters
        if shape.squeeze:
            self.mconv.append(SqueezeExcite(shape.filters, shape.squeeze))
        self.res = None
        if shape.residual:
            norm = torch.nn.BatchNorm1d(shape.filters, eps=NORM_GUARD)
            self.res = torch.nn.Sequential(torch.nn.Conv1d(inputs, shape.filters, 1, bias=False), norm)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, filters, T / strides) for (B, inputs, T)."""
        inner: torch.Tensor = self.mconv(x)
        return torch.relu(inner if self.res is None else inner + self.res(x))


def _convolutions(inputs: int, shape: BlockShape) -> Iterator[torch.nn.Module]:
    """Yield the convolutions of one turn."""
    outputs = inputs if shape.separable else shape.filters
    yield torch.nn.Conv1d(
        inputs,
        outputs,
        shape.kernel,
        stride=shape.stride,
        padding=shape.dilation * (shape.kernel - 1) // 2,
        dilation=shape.dilation,
        groups=inputs if shape.separable else 1,
        bias=False,
    )
    if shape.separable:
        yield torch.nn.Conv1d(inputs, shape.filters, 1, bias=False)


class SqueezeExcite(torch.nn.Module):
    """Scales each channel by what the means of all channels over the utterance say.

    Args:
        channels: in and out.
        part: channels in between are the `part`th part.
    """

    def __init__(self, channels: int, part: int) -> None:
        super().__init__()
        self.fc = torch.nn.Sequential(
            torch.nn.Linear(channels, channels // part, bias=False),
            torch.nn.ReLU(),
            torch.nn.Linear(channels // part, channels, bias=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, channels, T) for (B, channels, T)."""
        return x * torch.sigmoid(self.fc(x.mean(-1))).unsqueeze(-1)


def encoder_names(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Give an encoder's weights, among others of a NeMo model, the names that they have here."""

    def own(name: str) -> str:
        if not name.startswith("encoder.encoder."):
            return name
        return re.sub(r"\.conv\.weight$", ".weight", name[len("encoder.") :].replace(".res.0.", ".res."))

    return {own(name): value for name, value in weights.items()}
