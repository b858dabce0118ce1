"""A tiny Nemotron-3-Diarization of random weights, whose speakers come and go. Importing this needs transformers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from speakerdiar.models.diarizers.nemotron import NemotronDiarizer

transformers = pytest.importorskip(
    "transformers", minversion="5.18", reason="pip install 'speakerdiar[nemotron]' brings transformers"
)

SHORT = {
    "chunk_length": 12,
    "chunk_right_context": 4,
    "fifo_length": 6,
    "speaker_cache_update_period": 9,
}
"""An offline mode that needs seconds, not minutes, to fill FIFO and cache."""


def tiny_config(speakers: int = 4, **config: Any) -> Any:
    """A config of two layers of 32, and a speaker cache of 24 frames."""
    streaming = {"num_speakers": speakers, "speaker_cache_length": 24, "fifo_length": 15}
    return transformers.Nemotron3DiarizationConfig(
        audio_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
        },
        head_config={"hidden_size": 16, "audio_hidden_size": 32, "num_speakers": speakers},
        streaming_config={**streaming, "speaker_cache_update_period": 11, **config.pop("streaming", {})},
        **config,
    )


def tiny_network(speakers: int = 4, seed: int = 0, **config: Any) -> Any:
    """A network whose scores lie on both sides of 0.5, and change with what is heard and with what is in the cache."""
    network = transformers.Nemotron3DiarizationForAudioFrameClassification(tiny_config(speakers, **config)).eval()
    draw = torch.Generator().manual_seed(seed)
    deviation = {
        "model.audio_tower.embedder.projection.weight": 0.02,
        "model.proj.weight": 0.3,
        "classifier.dense.weight": 0.4,
        "classifier.out_proj.weight": 1.0,
    }
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0, deviation.get(name, 0.15), generator=draw)
        # The eight scores of an encoder frame are alike, so that turns last longer than 10 ms.
        first = network.model.upsampler.conv.weight[:16]
        network.model.upsampler.conv.weight.copy_(first.repeat(8, 1, 1) + 0.1 * network.model.upsampler.conv.weight)
        network.silence_embeds.normal_(0, 1, generator=draw)
        # Loudness that comes and goes, about as log-mel features of speech have it.
        loudness = torch.randn(1, 40, 1, generator=draw).repeat_interleave(24, dim=1) * 3 - 9
        logits = network(loudness + torch.randn(1, 960, 128, generator=draw)).logits[0]
        network.classifier.out_proj.weight.mul_(2 / logits.std(0)[:, None])
        network.classifier.out_proj.bias.copy_(-0.5 - 2 * logits.mean(0) / logits.std(0))
    return network


def tiny_nemotron(speakers: int = 4, seed: int = 0, **config: Any) -> NemotronDiarizer:
    """A diarizer on `tiny_network`, with the short offline mode."""
    return NemotronDiarizer(tiny_network(speakers, seed, **{**SHORT, **config}))
