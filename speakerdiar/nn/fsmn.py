"""Feedforward sequential memory network: layers that mix each channel over the frames around.

SOND combines the scores of all speakers with it. Source: Zhang et al. 2015, arXiv:1512.08301, as FunASR's FsmnEncoder
has it. Parameters are named as FunASR's checkpoints name them. B recordings, T frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from speakerdiar.nn.conv_encoder import one_wide


@dataclass(frozen=True)
class FsmnShape:
    """Sizes of the network.

    Attributes:
        inputs: numbers of what comes in.
        outputs: numbers of what goes out.
        layers: layers with memory.
        dense: layers without, behind them.
        units: numbers between layers.
        inner: numbers inside of layers.
        kernel: frames that a memory sees.
    """

    inputs: int
    outputs: int
    layers: int = 6
    dense: int = 1
    units: int = 512
    inner: int = 512
    kernel: int = 31


class FsmnFeedForward(nn.Module):
    """Two layers with a rectifier and a norm between them."""

    def __init__(self, inputs: int, inner: int, outputs: int) -> None:
        super().__init__()
        self.w_1 = nn.Conv1d(inputs, inner, 1)
        self.norm = nn.LayerNorm(inner)
        self.w_2 = nn.Conv1d(inner, outputs, 1, bias=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map (B, T, inputs) to (B, T, outputs)."""
        return one_wide(self.w_2, self.norm(one_wide(self.w_1, rows).relu()))


class FsmnMemory(nn.Module):
    """Adds to each channel a filter of it over time; where recordings end, zeros follow."""

    def __init__(self, units: int, kernel: int) -> None:
        super().__init__()
        left = (kernel - 1) // 2
        self.pad = nn.ConstantPad1d((left, kernel - 1 - left), 0.0)
        self.fsmn_block = nn.Conv1d(units, units, kernel, groups=units, bias=False)

    def forward(self, rows: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Map (B, T, units) to (B, T, units); `valid` (B, T, 1) is None where all frames are there."""
        rows = rows if valid is None else rows * valid
        mixed: torch.Tensor = rows + self.fsmn_block(self.pad(rows.transpose(1, 2))).transpose(1, 2)
        return mixed if valid is None else mixed * valid


class FsmnLayer(nn.Module):
    """A feed-forward part and a memory; it adds its input where both are of one size."""

    def __init__(self, inputs: int, shape: FsmnShape) -> None:
        super().__init__()
        self.ffn = FsmnFeedForward(inputs, shape.inner, shape.units)
        self.memory = FsmnMemory(shape.units, shape.kernel)

    def forward(self, rows: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Map (B, T, inputs) to (B, T, units)."""
        mixed: torch.Tensor = self.memory(self.ffn(rows), valid)
        return mixed + rows if mixed.shape == rows.shape else mixed


class FsmnEncoder(nn.Module):
    """The network, with random weights."""

    def __init__(self, shape: FsmnShape) -> None:
        super().__init__()
        sizes = [shape.inputs] + [shape.units] * (shape.layers - 1)
        self.fsmn_layers = nn.ModuleList(FsmnLayer(size, shape) for size in sizes)
        dense = (FsmnFeedForward(shape.units, shape.inner, shape.units) for _ in range(shape.dense))
        self.dnn_layers = nn.Sequential(*dense)
        self.conv1d = nn.Conv1d(shape.units, shape.outputs, 1)

    def forward(self, rows: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
        """Map (B, T, inputs) to (B, T, outputs).

        Args:
            rows: frames; whatever lies where `valid` is false changes nothing elsewhere.
            valid: (B, T) bool, or None where all frames are there.
        """
        mask = None if valid is None else valid[:, :, None].to(rows.dtype)
        for layer in self.fsmn_layers:
            rows = layer(rows, mask)
        return one_wide(self.conv1d, self.dnn_layers(rows))
