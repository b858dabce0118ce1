"""TitaNet: a convolutional encoder with global context, and attentive pooling.

Source: Koluguri et al. 2022, "TitaNet: Neural Model for Speaker Representation with 1D Depth-Wise Separable
Convolutions and Global Context", arXiv:2110.04410.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from speakerdiar.nn.attentive_pooling import AttentiveStatistics
from speakerdiar.nn.jasper import BlockShape, JasperEncoder, encoder_names
from speakerdiar.nn.log_mel import LogMel, per_feature

POOLING = {
    "decoder._pooling.attention_layer.0.conv_layer.": "pooling.first.",
    "decoder._pooling.attention_layer.0.bn.": "pooling.norm.1.",
    "decoder._pooling.attention_layer.2.": "pooling.second.",
    "decoder.emb_layers.": "embedding.",
}
"""Where NeMo's names of a speaker decoder begin, and what stands there here."""


@dataclass(frozen=True)
class TitaNetShape:
    """Sizes of the network.

    Attributes:
        n_mels: bands of the features.
        blocks: of the encoder.
        attention: channels inside the pooling.
        dimensions: of the layers behind the pooling; the last is the size of an embedding.
    """

    n_mels: int
    blocks: tuple[BlockShape, ...]
    attention: int = 128
    dimensions: tuple[int, ...] = (192,)


class TitaNetNetwork(torch.nn.Module):
    """Embeds features; see the module's page."""

    def __init__(self, shape: TitaNetShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = JasperEncoder(shape.n_mels, shape.blocks)
        self.pooling = AttentiveStatistics(shape.blocks[-1].filters, shape.attention)
        self.embedding = embedding_layers(2 * shape.blocks[-1].filters, shape.dimensions)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the embeddings (B, dimension) of features (B, T, n_mels)."""
        pooled = self.pooling(self.encoder(features.transpose(1, 2)))
        vectors: torch.Tensor = self.embedding(pooled.unsqueeze(-1))
        return vectors.squeeze(-1)


def embedding_layers(inputs: int, dimensions: tuple[int, ...]) -> torch.nn.Sequential:
    """Return the layers behind the pooling of NeMo's speaker decoder, (B, inputs, 1) -> (B, dimensions[-1], 1)."""
    layers = torch.nn.Sequential()
    for size in dimensions:
        layers.append(torch.nn.Sequential(torch.nn.BatchNorm1d(inputs), torch.nn.Conv1d(inputs, size, 1)))
        inputs = size
    return layers


def titanet_names(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Give NeMo's weights of a TitaNet the names that they have here; others keep theirs."""

    def own(name: str) -> str:
        begin = next((begin for begin in POOLING if name.startswith(begin)), "")
        return POOLING.get(begin, "") + name[len(begin) :]

    return {own(name): value for name, value in encoder_names(weights).items()}


class NormalizedLogMel(torch.nn.Module):
    """Log-mel features of utterances, each band brought to mean 0 and deviation 1 over the utterance.

    Args:
        n_mels: bands.
    """

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.mel = LogMel(n_mels)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the features of samples (B, n): (B, n // 160, n_mels)."""
        return per_feature(self.mel.of_utterances(samples))
