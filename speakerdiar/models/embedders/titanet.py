"""TitaNet with the weights that NVIDIA publishes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from typing_extensions import Self

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.installed import load_weights
from speakerdiar.errors import WeightsError
from speakerdiar.models.embedders.utterance import UtteranceEmbedder
from speakerdiar.models.nemo_config import jasper_blocks, mel_bands, part_of, used_weights
from speakerdiar.models.pretrained import precision_of
from speakerdiar.nn.titanet import NormalizedLogMel, TitaNetNetwork, TitaNetShape, titanet_names


class TitaNetEmbedder(UtteranceEmbedder):
    """TitaNet (Koluguri et al. 2022, arXiv:2110.04410): 192 numbers for a voice.

    The vectors are the embeddings of NeMo's `EncDecSpeakerLabelModel`, before anything brings them to length 1.

    Args:
        network: with its weights.
    """

    def __init__(self, network: TitaNetNetwork) -> None:
        super().__init__(NormalizedLogMel(network.shape.n_mels), network, network.shape.dimensions[-1])

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, *, precision: str = "fp32") -> Self:
        """Make the model of a `.nemo` file.

        Args:
            checkpoint: `titanet_large.nemo`, `titanet_small.nemo` or alike.
            precision: of the network: fp32, bf16 or fp16.

        Raises:
            WeightsError: the weights belong to another model; the message names every tensor that doesn't fit.
            ConfigError: no such precision.
        """
        dtype = precision_of(precision)
        shape = titanet_shape(checkpoint)
        with torch.device("meta"):  # no numbers are drawn for weights that come from the file
            network = TitaNetNetwork(shape)
        load_weights(network, titanet_names(used_weights(checkpoint.weights)), checkpoint.path)
        return cls(network.to(dtype))


def titanet_shape(checkpoint: Checkpoint) -> TitaNetShape:
    """Return the sizes that NeMo's config gives.

    Raises:
        WeightsError: a part of the config is missing, or asks for a layer of another kind than TitaNet's.
    """
    config, weights, path = checkpoint.config, checkpoint.weights, checkpoint.path
    attention, dimensions = decoder_sizes(config, path)
    blocks = tuple(jasper_blocks(config, weights, path))
    return TitaNetShape(mel_bands(config, weights, "per_feature", path), blocks, attention, dimensions)


def decoder_sizes(config: Mapping[str, Any], path: object) -> tuple[int, tuple[int, ...]]:
    """Return the channels of the attention, and the sizes of the layers behind it, of NeMo's SpeakerDecoder.

    Raises:
        WeightsError: a decoder of another kind.
    """
    decoder = part_of(config, "decoder", {}, path)
    pooling = str(decoder.get("pool_mode", "xvector")).lower()
    if pooling != "attention":
        raise WeightsError(f"{path}: decoder.pool_mode={pooling!r} isn't supported: 'attention' is.")
    sizes = decoder.get("emb_sizes", 256)
    listed = sizes if isinstance(sizes, list) else [sizes]
    counts = [*listed, decoder.get("attention_channels", 128)]
    if not listed or not all(isinstance(size, int) and 0 < size < 2**20 for size in counts):
        raise WeightsError(f"{path}: decoder.emb_sizes={sizes!r} or attention_channels can't be used: get it anew.")
    return counts[-1], tuple(listed)
