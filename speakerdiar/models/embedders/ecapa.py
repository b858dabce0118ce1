"""ECAPA-TDNN with the weights that SpeechBrain, WeSpeaker and NVIDIA publish."""

from __future__ import annotations

import torch
from typing_extensions import Self

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.installed import load_weights
from speakerdiar.errors import WeightsError
from speakerdiar.models.embedders.campplus import CenteredFbank
from speakerdiar.models.embedders.titanet import decoder_sizes
from speakerdiar.models.embedders.utterance import UtteranceEmbedder
from speakerdiar.models.nemo_config import mel_bands, part_of, used_weights
from speakerdiar.models.pretrained import precision_of
from speakerdiar.nn.centered_log_mel import CenteredLogMel
from speakerdiar.nn.ecapa import DILATIONS, EcapaNetwork, EcapaShape, Kind
from speakerdiar.nn.ecapa_names import ecapa_kind, ecapa_names, ecapa_shape
from speakerdiar.nn.titanet import NormalizedLogMel

PADDED_TO = 16
"""NeMo pads features with zeros to a multiple of so many frames; its ECAPA-TDNN doesn't mask them."""


class EcapaEmbedder(UtteranceEmbedder):
    """ECAPA-TDNN (Desplanques et al. 2020, arXiv:2005.07143): 192 numbers for a voice.

    The vectors are those of the toolkit that trained the weights, each with its own front end: SpeechBrain's log-mel
    features, WeSpeaker's Kaldi filter bank with Hamming windows, or NeMo's log-mel features.

    Args:
        network: with its weights.
    """

    def __init__(self, network: EcapaNetwork) -> None:
        shape = network.shape
        if shape.kind == "nemo":
            super().__init__(NormalizedLogMel(shape.n_mels), _Padded(network), shape.dimension)
        elif shape.kind == "wespeaker":
            frontend = CenteredFbank(shape.n_mels, window="hamming", scale=32768.0)
            super().__init__(frontend, network, shape.dimension)
        else:
            super().__init__(CenteredLogMel(shape.n_mels), network, shape.dimension)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, *, precision: str = "fp32") -> Self:
        """Make the model of a state dict or a `.nemo` file; the names in it say whose it is.

        Args:
            checkpoint: SpeechBrain's `embedding_model.ckpt`, WeSpeaker's `avg_model.pt`, NeMo's `ecapa_tdnn.nemo`.
            precision: of the network: fp32, bf16 or fp16.

        Raises:
            WeightsError: the weights belong to another model; the message names every tensor that doesn't fit.
            ConfigError: no such precision.
        """
        dtype = precision_of(precision)
        kind = ecapa_kind(checkpoint.weights)
        if kind is None:
            raise WeightsError(f"{checkpoint.path} holds no ECAPA-TDNN of SpeechBrain, WeSpeaker or NeMo: give one.")
        weights = _own_weights(checkpoint, kind)
        try:
            shape = ecapa_shape(weights, kind)
        except (KeyError, ValueError) as error:
            raise WeightsError(f"{checkpoint.path} holds no whole ECAPA-TDNN ({error}): get it anew.") from error
        if kind == "nemo":
            _check_nemo(checkpoint, shape)
        with torch.device("meta"):  # no numbers are drawn for weights that come from the file
            network = EcapaNetwork(shape)
        load_weights(network, weights, checkpoint.path)
        return cls(network.to(dtype))


class _Padded(torch.nn.Module):
    """Shows a network NeMo's padding."""

    def __init__(self, network: EcapaNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        frames = features.shape[1]
        padding = -(frames + 1) % PADDED_TO + 1  # NeMo's transform has one frame more, which counts as padding
        vectors: torch.Tensor = self.network(torch.nn.functional.pad(features, (0, 0, 0, padding)), frames)
        return vectors


def _own_weights(checkpoint: Checkpoint, kind: Kind) -> dict[str, torch.Tensor]:
    """Return the weights that inference has a use for, by the names that they have here."""
    used = used_weights(checkpoint.weights)
    return ecapa_names({name: value for name, value in used.items() if not name.startswith("projection.")}, kind)


def _check_nemo(checkpoint: Checkpoint, shape: EcapaShape) -> None:
    config, path = checkpoint.config, checkpoint.path
    mel_bands(config, checkpoint.weights, "per_feature", path)
    decoder_sizes(config, path)
    encoder = part_of(config, "encoder", {"scale": shape.scale}, path)
    padded = part_of(config, "preprocessor", {"pad_to": PADDED_TO, "pad_value": 0}, path)
    dilations = encoder.get("dilations")
    if padded and dilations != [1, *DILATIONS["nemo"], 1]:
        raise WeightsError(f"{path}: encoder.dilations={dilations!r} aren't supported: those of 1 are.")
