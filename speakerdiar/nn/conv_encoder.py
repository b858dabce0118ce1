"""Layers that see each frame or profile by itself: SOND's profile transform and its learned comparison of the two.

Source: FunASR's ConvEncoder, of Du et al. 2022, arXiv:2211.10243. Parameters are named as FunASR's checkpoints name
them; its convolutions are one frame wide, and are computed as linear layers.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class ConvLayer(nn.Module):
    """One layer; it adds its input before the activation where both are of one size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1d = nn.Conv1d(inputs, outputs, 1)


class ConvEncoder(nn.Module):
    """Layers with tanh, all but the first of which add their input, and a last one without.

    Args:
        layers: with tanh.
        inputs: numbers of what comes in.
        units: numbers between layers.
        outputs: numbers of what goes out.
    """

    def __init__(self, layers: int, inputs: int, units: int, outputs: int) -> None:
        super().__init__()
        self.cnn_a = nn.ModuleList(ConvLayer(units if index else inputs, units) for index in range(layers))
        self.conv_out = nn.Conv1d(units, outputs, 1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map (..., inputs) to (..., outputs)."""
        for index, layer in enumerate(self.cnn_a):
            mixed = one_wide(layer.get_submodule("conv1d"), rows)
            rows = torch.tanh(mixed + rows if index else mixed)
        return one_wide(self.conv_out, rows)


def one_wide(conv: nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Return what a convolution one frame wide makes of rows (..., inputs): (..., outputs)."""
    assert isinstance(conv, nn.Conv1d)
    return functional.linear(rows, conv.weight[:, :, 0], conv.bias)
