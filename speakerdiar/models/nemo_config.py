"""What NeMo's configs of convolutional models say, as the values that our networks take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from speakerdiar.errors import WeightsError
from speakerdiar.models.diarizers.sortformer_config import FRONT_END, check_mel_bands
from speakerdiar.nn.jasper import BlockShape

MEL: Mapping[str, Any] = {
    **FRONT_END,
    "preemph": 0.97,
    "lowfreq": 0,
    "highfreq": None,
    "log": True,
    "log_zero_guard_type": "add",
    "log_zero_guard_value": 2**-24,
    "mag_power": 2.0,
    "exact_pad": False,
    "mel_norm": "slaney",
}
"""The front end that we have. What a config leaves out has these values in NeMo."""
ENCODER: Mapping[str, Any] = {
    "activation": "relu",
    "conv_mask": True,
    "normalization_mode": "batch",
    "residual_mode": "add",
    "frame_splicing": 1,
    "quantize": False,
}
BLOCK: Mapping[str, Any] = {
    "residual_dense": False,
    "residual_mode": "add",
    "groups": 1,
    "heads": -1,
    "stride_last": False,
    "future_context": -1,
}
NOT_USED = ("preprocessor.", "loss.", "decoder.final.")
"""Tensors that inference has no use for: the front end's, and those of training."""


def part_of(config: Mapping[str, Any], name: str, wanted: Mapping[str, Any], path: object) -> Mapping[str, Any]:
    """Return a part of a config.

    Raises:
        WeightsError: there is no such part, or one of its values isn't the one wanted.
    """
    part = config.get(name)
    if not isinstance(part, Mapping):
        raise WeightsError(f"{path}: its config has no {name}: give a .nemo file of this model.")
    _check(part, wanted, name, path)
    return part


def mel_bands(config: Mapping[str, Any], weights: Mapping[str, torch.Tensor], normalize: str, path: object) -> int:
    """Return the mel bands of a model whose front end is NeMo's log-mel spectrogram.

    Args:
        config: of the model.
        weights: of the model; they may hold the bands.
        normalize: how features must be normalised: "per_feature" or "None".
        path: for messages.

    Raises:
        WeightsError: another front end.
    """
    preprocessor = part_of(config, "preprocessor", MEL, path)
    target = str(preprocessor.get("_target_", ""))
    if not target.endswith("AudioToMelSpectrogramPreprocessor"):
        raise WeightsError(f"{path}: preprocessor {target!r} isn't supported: AudioToMelSpectrogramPreprocessor is.")
    found = preprocessor.get("normalize", "per_feature")
    if ("per_feature" if found == "per_feature" else "None" if found in _NONE else found) != normalize:
        raise WeightsError(f"{path}: preprocessor.normalize={found!r} isn't supported: this model has {normalize!r}.")
    n_mels = _count(preprocessor, "features", "preprocessor", path, default=64)
    check_mel_bands(weights, n_mels, path)
    return n_mels


_NONE = ("None", "NA", "", None, False)
"""NeMo leaves features alone for any name of a normalisation that it doesn't know; these are in use."""


def jasper_blocks(config: Mapping[str, Any], weights: Mapping[str, torch.Tensor], path: object) -> list[BlockShape]:
    """Return the blocks of a model whose encoder is NeMo's ConvASREncoder.

    Raises:
        WeightsError: another encoder, blocks of other kinds, or more of them than there are weights.
    """
    blocks = part_of(config, "encoder", ENCODER, path).get("jasper")
    if not isinstance(blocks, list) or not 0 < len(blocks) <= len(weights):
        raise WeightsError(f"{path}: its encoder has no list of blocks `jasper`: give a .nemo file of this model.")
    return [_block(block, f"encoder.jasper[{index}]", len(weights), path) for index, block in enumerate(blocks)]


def used_weights(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights without those that inference has no use for."""
    return {name: value for name, value in weights.items() if not name.startswith(NOT_USED)}


def _block(block: Any, name: str, most: int, path: object) -> BlockShape:
    if not isinstance(block, Mapping):
        raise WeightsError(f"{path}: {name} is {block!r}, not a mapping: get the file anew.")
    _check(block, BLOCK, name, path)
    repeat = _count(block, "repeat", name, path)
    if repeat > most:
        raise WeightsError(f"{path}: {name}.repeat={repeat}, and there are {most} weights: get the file anew.")
    return BlockShape(
        filters=_count(block, "filters", name, path),
        kernel=_kernel(block, name, path),
        repeat=repeat,
        stride=_count(block, "stride", name, path),
        dilation=_count(block, "dilation", name, path),
        residual=bool(block.get("residual", True)),
        separable=bool(block.get("separable", False)),
        squeeze=_count(block, "se_reduction_ratio", name, path, default=8) if block.get("se") else 0,
    )


def _kernel(block: Mapping[str, Any], name: str, path: object) -> int:
    """Frames that a block's convolutions see: an odd number, after NeMo's factor."""
    factor = block.get("kernel_size_factor", 1.0)
    if not isinstance(factor, int | float) or not 0 < factor < 1000:
        raise WeightsError(f"{path}: {name}.kernel_size_factor={factor!r} isn't a number above 0: get the file anew.")
    kernel = max(1, int(_count(block, "kernel", name, path) * factor))
    return kernel + (kernel % 2 == 0)


def _count(part: Mapping[str, Any], key: str, name: str, path: object, default: int | None = None) -> int:
    """Return a whole number, 1 or more, that may stand alone in a list."""
    value = part.get(key, default)
    single = value[0] if isinstance(value, list) and len(value) == 1 else value
    if not isinstance(single, int) or isinstance(single, bool) or not 0 < single < 2**20:
        raise WeightsError(f"{path}: {name}.{key}={value!r} isn't a whole number of 1 or more: get the file anew.")
    return single


def _check(part: Mapping[str, Any], wanted: Mapping[str, Any], name: str, path: object) -> None:
    for key, value in wanted.items():
        if part.get(key, value) != value:
            raise WeightsError(f"{path}: {name}.{key}={part[key]!r} isn't supported: only {value!r} is.")
