"""What NeMo's config of a Sortformer says, as the values that our network and diarizers take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from speakerdiar.errors import ConfigError, UnknownOptionError, WeightsError
from speakerdiar.nn.fast_conformer import REDUCTION
from speakerdiar.nn.frontend import mel_filters
from speakerdiar.nn.sortformer import SortformerShape

UNUSED = {
    "sortformer_modules.hidden_to_spks.weight",
    "sortformer_modules.hidden_to_spks.bias",
    "preprocessor.featurizer.window",
    "preprocessor.featurizer.fb",
}
"""Tensors of a checkpoint that take no part: a layer that is never called, and what the front end computes itself."""
FRONT_END: Mapping[str, Any] = {
    "sample_rate": 16000,
    "window_size": 0.025,
    "window_stride": 0.01,
    "window": "hann",
    "n_fft": 512,
    "frame_splicing": 1,
}
ENCODER: Mapping[str, Any] = {
    "feat_out": -1,
    "subsampling": "dw_striding",
    "subsampling_factor": 8,
    "causal_downsampling": False,
    "self_attention_model": "rel_pos",
    "att_context_size": [-1, -1],
    "att_context_style": "regular",
    "untie_biases": True,
    "conv_norm_type": "batch_norm",
    "conv_context_size": None,
}
TRANSFORMER: Mapping[str, Any] = {"hidden_act": "relu", "pre_ln": False}
SCORING: Mapping[str, str] = {
    "spkcache_sil_frames_per_spk": "sil_frames_per_speaker",
    "pred_score_threshold": "pred_score_threshold",
    "scores_boost_latest": "scores_boost_latest",
    "sil_threshold": "sil_threshold",
    "strong_boost_rate": "strong_boost_rate",
    "weak_boost_rate": "weak_boost_rate",
    "min_pos_scores_rate": "min_pos_scores_rate",
}
"""How the speaker cache chooses: NeMo's names and those of `CacheParams`."""


def shape_of(config: Mapping[str, Any], path: object) -> SortformerShape:
    """Return the sizes that NeMo's config gives.

    Raises:
        WeightsError: a part of the config is missing, or asks for a layer of another kind than Sortformer's.
    """
    encoder = _part(config, "encoder", ENCODER, path)
    transformer = _part(config, "transformer_encoder", TRANSFORMER, path)
    modules = _part(config, "sortformer_modules", {}, path)
    _part(config, "preprocessor", FRONT_END, path)
    try:
        return SortformerShape(
            n_mels=encoder["feat_in"],
            speakers=modules.get("num_spks", 4),
            channels=_channels(encoder),
            d_model=encoder["d_model"],
            heads=encoder["n_heads"],
            layers=encoder["n_layers"],
            d_inner=encoder["d_model"] * encoder.get("ff_expansion_factor", 4),
            kernel=encoder.get("conv_kernel_size", 9),
            xscaling=bool(encoder.get("xscaling", True)),
            d_transformer=transformer["hidden_size"],
            transformer_heads=transformer["num_attention_heads"],
            transformer_layers=transformer["num_layers"],
            transformer_inner=transformer["inner_size"],
        )
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise WeightsError(f"{path}: its config can't be used ({reason}): get the file anew.") from error


def normalize_of(config: Mapping[str, Any], path: object) -> bool:
    """Return whether features are brought to mean 0 and deviation 1, band by band."""
    named = config.get("preprocessor", {}).get("normalize")
    if named in ("NA", None, False, ""):
        return False
    if named == "per_feature":
        return True
    raise WeightsError(f"{path}: preprocessor.normalize={named!r} isn't known: per_feature and NA are.")


def scoring_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the speaker cache chooses, as arguments of `CacheParams`; what the config leaves out is left out."""
    modules = config.get("sortformer_modules", {})
    return {ours: modules[theirs] for theirs, ours in SCORING.items() if theirs in modules}


def checked_scoring(scoring: Any) -> dict[str, Any]:
    """Return how the speaker cache chooses, as arguments of `CacheParams`; None for its defaults.

    Raises:
        ConfigError: not a mapping.
        UnknownOptionError: an argument that doesn't say how the cache chooses.
    """
    if not isinstance(scoring, Mapping | None):
        raise ConfigError(f"scoring={scoring!r}: give a mapping of {', '.join(SCORING.values())}.")
    for name in scoring or {}:
        if name not in SCORING.values():
            raise UnknownOptionError(str(name), list(SCORING.values()), "scoring")
    return dict(scoring or {})


def check_sizes(shape: SortformerShape, weights: Mapping[str, torch.Tensor], path: object) -> None:
    """Raise WeightsError for sizes that these weights can't have, before a network of such sizes is made."""
    widest = max((max(tensor.shape) for tensor in weights.values() if tensor.ndim and tensor.numel()), default=0)
    most = {"n_mels": REDUCTION * widest, "layers": len(weights), "transformer_layers": len(weights)}
    for name, size in asdict(shape).items():
        bound = most.get(name, widest)
        if size > bound:
            raise WeightsError(
                f"{path}: its config has {name}={size}, and its weights have room for {bound} at most: get it anew."
            )


def own_weights(weights: Mapping[str, torch.Tensor], shape: SortformerShape, path: object) -> dict[str, torch.Tensor]:
    """Return a NeMo checkpoint's weights without those that take no part, once these have been looked at.

    Raises:
        WeightsError: the checkpoint was trained on other mel bands than the front end gives.
    """
    check_mel_bands(weights, shape.n_mels, path)
    return {name: tensor for name, tensor in weights.items() if name not in UNUSED}


def check_mel_bands(weights: Mapping[str, torch.Tensor], n_mels: int, path: object) -> None:
    """Raise WeightsError if a NeMo checkpoint holds other mel bands than the front end gives."""
    bands = weights.get("preprocessor.featurizer.fb")
    if bands is None:
        return
    bins = FRONT_END["n_fft"] // 2 + 1
    # Half-precision files round the filters to 11 bits.
    if bands.numel() != n_mels * bins or not torch.allclose(
        bands.float().reshape(n_mels, bins),
        torch.from_numpy(mel_filters(FRONT_END["sample_rate"], FRONT_END["n_fft"], n_mels)),
        rtol=1e-2,
        atol=1e-5,
    ):
        raise WeightsError(f"{path} was trained on other mel bands than NeMo's 16 kHz ones: nothing here has them.")


def _channels(encoder: Mapping[str, Any]) -> int:
    channels = encoder.get("subsampling_conv_channels", -1)
    return int(encoder["d_model"] if channels == -1 else channels)


def _part(config: Mapping[str, Any], name: str, wanted: Mapping[str, Any], path: object) -> Mapping[str, Any]:
    part = config.get(name)
    if not isinstance(part, Mapping):
        raise WeightsError(f"{path}: its config has no {name}: this isn't a Sortformer.")
    for key, value in wanted.items():
        if part.get(key, value) not in (value, [value]):  # NeMo takes a list of attention contexts to draw from, too
            raise WeightsError(f"{path}: {name}.{key}={part[key]!r} isn't supported: Sortformer has {value!r} there.")
    return part
