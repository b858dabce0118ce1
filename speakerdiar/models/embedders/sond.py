"""FunASR's enrolment model, which makes the profiles that SOND looks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from typing_extensions import Self

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.installed import load_weights
from speakerdiar.checkpoints.sond import check_only, frontend_options, known_weights
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.models.embedders.utterance import UtteranceEmbedder
from speakerdiar.models.pretrained import precision_of
from speakerdiar.nn.kaldi_fbank import FbankOptions, KaldiFbank
from speakerdiar.nn.sond import SondSpeakerNetwork
from speakerdiar.nn.sond_shape import SondSpeakerShape

_ONLY = {"encoder": ("resnet34",), "decoder": ("dense",), "pooling_type": ("statistic",)}


class SondEmbedder(UtteranceEmbedder):
    """A residual network that was trained on CN-Celeb (FunASR's `speech_xvector_sv`): 256 numbers for a voice.

    The vectors are FunASR's `resnet1_dense` of a clip of up to 30 s, but for the noise (dither) that FunASR adds to
    samples: with it, a clip gives other numbers each time; without, they always are the same.

    Args:
        network: with its weights.
        options: of the filter bank.
    """

    def __init__(self, network: SondSpeakerNetwork, options: FbankOptions | None = None) -> None:
        self._rate = (options or FbankOptions()).sample_rate
        super().__init__(KaldiFbank(options), _OfFullLength(network), network.shape.dimension)

    frontend: KaldiFbank
    network: _OfFullLength

    @property
    def sample_rate(self) -> int:
        """Hz of the samples that the model takes."""
        return self._rate

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, *, precision: str = "fp32") -> Self:
        """Make the model of what FunASR saved; all sizes are read off the weights.

        Args:
            checkpoint: `sv.pb` with its `sv.yaml` (`speakerdiar.checkpoints.sond.read_funasr`).
            precision: of the network: fp32, bf16 or fp16.

        Raises:
            WeightsError: the weights belong to another model; the message names every tensor that doesn't fit.
            ConfigError: no such precision.
        """
        path = checkpoint.path
        check_only(checkpoint.config, _ONLY, path)
        return cls.of_saved(
            frontend_options(checkpoint.config, path), checkpoint.weights, path, precision_of(precision)
        )

    @classmethod
    def of_saved(cls, options: Any, weights: Mapping[str, torch.Tensor], path: Path, dtype: torch.dtype) -> Self:
        """Make the model of weights, and of a filter bank as `saved_config` gives it; None for Kaldi's own.

        Raises:
            WeightsError: weights or options that don't fit.
        """
        try:
            filters = FbankOptions(**(options or {}))
        except (ConfigError, TypeError) as error:
            raise WeightsError(f"{path} asks for a filter bank that can't be had: {error}") from error
        with torch.device("meta"):  # no numbers are drawn for weights that come from the file
            network = SondSpeakerNetwork(SondSpeakerShape.of(weights, path, filters.mel_bins))
        load_weights(network, known_weights(weights, network.state_dict(), path), path)
        return cls(network.to(dtype), filters)

    def saved_config(self) -> dict[str, Any]:
        """Return the filter bank as plain values."""
        return asdict(self.frontend.options)

    def saved_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights by FunASR's names."""
        return self.network.speakers.state_dict()


class _OfFullLength(torch.nn.Module):
    """The network on clips of one length."""

    def __init__(self, network: SondSpeakerNetwork) -> None:
        super().__init__()
        self.speakers = network

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        lengths = torch.full((len(features),), features.shape[1], device=features.device)
        vectors: torch.Tensor = self.speakers(features, lengths)
        return vectors
