"""CAM++ with the weights that 3D-Speaker publishes."""

from __future__ import annotations

import torch
from typing_extensions import Self

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.installed import load_weights
from speakerdiar.errors import WeightsError
from speakerdiar.models.embedders.utterance import UtteranceEmbedder
from speakerdiar.models.pretrained import precision_of
from speakerdiar.nn.campplus import CampPlusNetwork, campplus_shape
from speakerdiar.nn.kaldi_fbank import FbankOptions, KaldiFbank


class CampPlusEmbedder(UtteranceEmbedder):
    """CAM++ (Wang et al. 2023, arXiv:2303.00332): 192 or 512 numbers for a voice, small and fast.

    The vectors are those of 3D-Speaker: Kaldi's filter bank on samples in [-1, 1], less its mean over the utterance.

    Args:
        network: with its weights.
    """

    def __init__(self, network: CampPlusNetwork) -> None:
        super().__init__(CenteredFbank(network.shape.n_mels), network, network.shape.dimension)

    network: CampPlusNetwork

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, *, precision: str = "fp32") -> Self:
        """Make the model of a state dict that 3D-Speaker saved; all sizes are read off it.

        Args:
            checkpoint: `campplus_cn_common.bin`, `campplus_cn_en_common.pt`, `campplus_voxceleb.bin` or alike.
            precision: of the network: fp32, bf16 or fp16.

        Raises:
            WeightsError: the weights belong to another model; the message names every tensor that doesn't fit.
            ConfigError: no such precision.
        """
        dtype = precision_of(precision)
        try:
            shape = campplus_shape(checkpoint.weights)
        except (KeyError, ValueError) as error:
            raise WeightsError(
                f"{checkpoint.path} holds no CAM++ ({error}): give a state dict of 3D-Speaker."
            ) from error
        with torch.device("meta"):  # no numbers are drawn for weights that come from the file
            network = CampPlusNetwork(shape)
        load_weights(network, checkpoint.weights, checkpoint.path)
        return cls(network.to(dtype))


class CenteredFbank(torch.nn.Module):
    """Kaldi's filter bank without its mean over time.

    Args:
        n_mels: bands.
        window: as `FbankOptions.window`.
        scale: what samples are multiplied by.
    """

    def __init__(self, n_mels: int, *, window: str = "povey", scale: float = 1.0) -> None:
        super().__init__()
        self.fbank = KaldiFbank(FbankOptions(mel_bins=n_mels, window=window, scale=scale))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the features of samples (B, n): (B, T, n_mels)."""
        features: torch.Tensor = self.fbank(samples)
        return features - features.mean(dim=-2, keepdim=True)
