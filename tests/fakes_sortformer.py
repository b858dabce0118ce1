"""Tiny Sortformers of random weights, whose speakers come and go, and `.nemo` files of them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
import yaml  # type: ignore[import-untyped, unused-ignore]  # types exist only where stubs are
from nemo_files import Entry, saved, tar_of

from speakerdiar.models.diarizers.sortformer import SortformerDiarizer
from speakerdiar.models.diarizers.streaming_sortformer import StreamingSortformerDiarizer
from speakerdiar.nn.frontend import mel_filters
from speakerdiar.nn.sortformer import SortformerNetwork, SortformerShape

SHORT = {
    "chunk_len": 6,
    "chunk_right_context": 2,
    "fifo_len": 8,
    "spkcache_update_period": 7,
    "spkcache_len": 28,
}
"""A latency of 0.64 s, with which seconds of audio fill FIFO and cache."""


def tiny_shape(n_mels: int = 128, speakers: int = 4) -> SortformerShape:
    """Two layers of each kind; widths and heads that all differ."""
    return SortformerShape(
        n_mels=n_mels,
        speakers=speakers,
        channels=8,
        d_model=32,
        heads=4,
        layers=2,
        d_inner=64,
        kernel=5,
        d_transformer=24,
        transformer_heads=3,
        transformer_layers=2,
        transformer_inner=40,
    )


def tiny_network(n_mels: int = 128, speakers: int = 4, seed: int = 0, normalized: bool = False) -> SortformerNetwork:
    """A network whose scores lie on both sides of 0.5, and change with what is heard and with what stands around it."""
    network = SortformerNetwork(tiny_shape(n_mels, speakers)).eval().requires_grad_(False)
    network.load_state_dict(_weights(n_mels, speakers, seed, normalized))
    return network


def tiny_offline(seed: int = 0) -> SortformerDiarizer:
    """The offline diarizer, with 80 bands that are normalized, as v1 has them."""
    return SortformerDiarizer(tiny_network(80, seed=seed, normalized=True))


def tiny_streaming(seed: int = 0, speakers: int = 4) -> StreamingSortformerDiarizer:
    """The streaming diarizer, with 128 bands, as v2 has them."""
    return StreamingSortformerDiarizer(tiny_network(128, speakers, seed))


@functools.cache
def _weights(n_mels: int, speakers: int, seed: int, normalized: bool) -> dict[str, torch.Tensor]:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = SortformerNetwork(tiny_shape(n_mels, speakers)).eval()
        for name, weight in network.state_dict().items():
            if name.endswith(("pos_bias_u", "pos_bias_v", "running_mean")):
                weight.normal_(0, 0.3)
            elif name.endswith("running_var"):
                weight.uniform_(0.5, 2)
        # Loudness that comes and goes, about as log-mel features of speech have it.
        loudness = torch.randn(1, 60, 1).repeat_interleave(24, dim=1)
        spectra = torch.randn(1, 60, n_mels).repeat_interleave(24, dim=1) + 0.5 * torch.randn(1, 1440, n_mels)
        mels = 0.7 * (loudness + spectra) if normalized else 3 * loudness - 9 + spectra
        scores = network(network.pre_encode(mels))[0].logit()  # (L, S)
        last = network.sortformer_modules.single_hidden_to_spks
        gain = 2 / scores.std(0)
        last.bias.copy_(gain * (last.bias - scores.mean(0)) - 0.5)
        last.weight.mul_(gain[:, None])
        return network.state_dict()


def nemo_config(shape: SortformerShape, *, streaming: bool = False, normalize: str | None = None) -> dict[str, Any]:
    """What NeMo would write into `model_config.yaml` for a network of this shape."""
    modules = {"num_spks": shape.speakers, "fc_d_model": shape.d_model, "tf_d_model": shape.d_transformer}
    if streaming:
        modules |= {"spkcache_len": 188, "fifo_len": 0, "chunk_len": 188, "spkcache_sil_frames_per_spk": 3}
    return {
        "target": "nemo.collections.asr.models.sortformer_diar_models.SortformerEncLabelModel",
        "nemo_version": "3.0.0",
        "sample_rate": 16000,
        "max_num_of_spks": shape.speakers,
        **({"streaming_mode": True} if streaming else {}),
        "preprocessor": {
            "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
            "normalize": normalize or ("NA" if streaming else "per_feature"),
            "window_size": 0.025,
            "window_stride": 0.01,
            "window": "hann",
            "features": shape.n_mels,
            "n_fft": 512,
            "sample_rate": 16000,
            "frame_splicing": 1,
            "dither": 1e-5,
        },
        "sortformer_modules": {"_target_": "nemo...SortformerModules", "dropout_rate": 0.5, **modules},
        "encoder": {
            "_target_": "nemo.collections.asr.modules.ConformerEncoder",
            "feat_in": shape.n_mels,
            "feat_out": -1,
            "n_layers": shape.layers,
            "d_model": shape.d_model,
            "subsampling": "dw_striding",
            "subsampling_factor": 8,
            "subsampling_conv_channels": shape.channels,
            "causal_downsampling": False,
            "ff_expansion_factor": shape.d_inner // shape.d_model,
            "self_attention_model": "rel_pos",
            "n_heads": shape.heads,
            "att_context_size": [-1, -1],
            "xscaling": shape.xscaling,
            "untie_biases": True,
            "pos_emb_max_len": 5000,
            "conv_kernel_size": shape.kernel,
            "conv_norm_type": "batch_norm",
        },
        "transformer_encoder": {
            "_target_": "nemo...TransformerEncoder",
            "num_layers": shape.transformer_layers,
            "hidden_size": shape.d_transformer,
            "inner_size": shape.transformer_inner,
            "num_attention_heads": shape.transformer_heads,
            "hidden_act": "relu",
            "pre_ln": False,
        },
    }


def nemo_weights(network: SortformerNetwork) -> dict[str, torch.Tensor]:
    """The state dict of a network as NeMo has it, with the tensors that take no part."""
    shape = network.shape
    return {
        "preprocessor.featurizer.window": torch.hann_window(400, periodic=False),
        "preprocessor.featurizer.fb": torch.from_numpy(mel_filters(16000, 512, shape.n_mels))[None],
        **network.state_dict(),
        "sortformer_modules.hidden_to_spks.weight": torch.ones(shape.speakers, 2 * shape.d_transformer),
        "sortformer_modules.hidden_to_spks.bias": torch.ones(shape.speakers),
    }


def write_nemo(path: Path, network: SortformerNetwork, config: dict[str, Any]) -> Path:
    """Write a network as NeMo's `save_to` does: a tar of the config (`nemo_config`) and the state dict."""
    text = yaml.safe_dump(config).encode()
    entries = [Entry("./model_config.yaml", text), Entry("./model_weights.ckpt", saved(nemo_weights(network)))]
    path.write_bytes(tar_of(*entries))
    return path
