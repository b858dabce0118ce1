"""MarbleNet: time convolutions that say whether there is speech, in each frame or in a window as a whole.

Source: Jia, Majumdar and Ginsburg 2021, "MarbleNet: Deep 1D Time-Channel Separable Convolutional Neural Network for
Voice Activity Detection", arXiv:2010.13886.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from speakerdiar.nn.jasper import BlockShape, JasperEncoder, encoder_names

SPEECH = 1
"""Which of the two classes speech is."""


@dataclass(frozen=True)
class MarbleNetShape:
    """Sizes of the network.

    Attributes:
        n_mels: bands of the features.
        blocks: of the encoder.
        layers: linear layers behind it.
        pooling: "avg" or "max" for a network that judges windows as a whole; "" for one that judges frames.
        padded_to: NeMo pads features of a window, one frame more than there are, to a multiple of so many; 0 doesn't.
            Pooling takes in what the last block makes of the padding.
    """

    n_mels: int
    blocks: tuple[BlockShape, ...]
    layers: int = 1
    pooling: str = ""
    padded_to: int = 16

    @property
    def stride(self) -> int:
        """Frames of features from which one frame of scores is made."""
        stride = 1
        for block in self.blocks:
            stride *= block.stride**block.repeat
        return stride

    @property
    def reach(self) -> int:
        """Frames of features on either side of a frame of scores that it depends on, or a few more."""
        reach, stride = 0, 1
        for block in self.blocks:
            for _ in range(block.repeat):
                reach += stride * block.dilation * (block.kernel - 1) // 2
                stride *= block.stride
        return reach + stride


class MarbleNetNetwork(torch.nn.Module):
    """Scores features; see the module's page."""

    def __init__(self, shape: MarbleNetShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = JasperEncoder(shape.n_mels, shape.blocks)
        width = shape.blocks[-1].filters
        self.decoder = torch.nn.Sequential()
        for _ in range(shape.layers - 1):
            self.decoder.extend([torch.nn.Linear(width, width), torch.nn.ReLU()])
        self.decoder.append(torch.nn.Linear(width, 2))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the probability of speech.

        Args:
            features: (B, T, n_mels), T at least 1.

        Returns:
            (B, ceil(T / stride)) for a network that judges frames, (B,) for one that judges windows.
        """
        encoded = self.encoder(features.transpose(1, 2))
        if self.shape.pooling:
            judged = torch.cat([encoded, self._idle(encoded, features.shape[1])], dim=-1)
            pooled = judged.mean(-1) if self.shape.pooling == "avg" else judged.amax(-1)
        else:
            pooled = encoded.transpose(1, 2)
        scores: torch.Tensor = torch.softmax(self.decoder(pooled), dim=-1)
        return scores[..., SPEECH]

    def _idle(self, encoded: torch.Tensor, frames: int) -> torch.Tensor:
        """Return the encoder's frames (B, filters, padding) for NeMo's padding, each of which comes of zeros."""
        total = frames + 1
        total += -total % self.shape.padded_to if self.shape.padded_to else 0
        padding = -(-total // self.shape.stride) - encoded.shape[-1]
        inputs = self.shape.blocks[-2].filters if len(self.shape.blocks) > 1 else self.shape.n_mels
        idle: torch.Tensor = self.encoder[-1](encoded.new_zeros(len(encoded), inputs, 1))
        return idle.expand(-1, -1, padding)


def marblenet_names(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Give NeMo's weights of a MarbleNet the names that they have here; others keep theirs."""
    return {
        re.sub(r"^decoder\.(layer|decoder_layers\.)(?=\d+\.)", "decoder.", name): value
        for name, value in encoder_names(weights).items()
    }
