"""Small networks of other toolkits, none of which is needed here: configs, weights drawn by name, and a signal.

`tests/parity/make_other_networks.py` gives them to the toolkits, `tests/parity/test_other_networks.py` to ours.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

CAMPPLUS: dict[str, Any] = {"feat_dim": 80, "embedding_size": 6, "growth_rate": 4, "bn_size": 2, "init_channels": 8}
"""Arguments of 3D-Speaker's CAMPPlus."""


def block(filters: int, kernel: int, **more: Any) -> dict[str, Any]:
    """Return a block of NeMo's convolutional encoder, in its words."""
    given = {"repeat": 1, "stride": [1], "dilation": [1], "dropout": 0.0, "residual": False, "separable": True, **more}
    return {"filters": filters, "kernel": [kernel], **given}


MEL: dict[str, Any] = {
    "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
    "sample_rate": 16000,
    "window_size": 0.025,
    "window_stride": 0.01,
    "window": "hann",
    "n_fft": 512,
    "frame_splicing": 1,
    "dither": 0.00001,
}
ENCODER: dict[str, Any] = {
    "_target_": "nemo.collections.asr.modules.ConvASREncoder",
    "activation": "relu",
    "conv_mask": True,
}
SQUEEZED: dict[str, Any] = {"se": True, "se_context_size": -1}
TITANET: dict[str, Any] = {
    "target": "nemo.collections.asr.models.label_models.EncDecSpeakerLabelModel",
    "sample_rate": 16000,
    "preprocessor": {**MEL, "normalize": "per_feature", "features": 80},
    "encoder": {
        **ENCODER,
        "feat_in": 80,
        "jasper": [
            block(16, 3, **SQUEEZED),
            block(16, 7, repeat=3, residual=True, **SQUEEZED),
            block(24, 11, repeat=2, residual=True, **SQUEEZED),
            block(32, 1, **SQUEEZED),
        ],
    },
    "decoder": {
        "_target_": "nemo.collections.asr.modules.SpeakerDecoder",
        "feat_in": 32,
        "num_classes": 5,
        "pool_mode": "attention",
        "emb_sizes": 6,
    },
    "loss": {"_target_": "nemo.collections.asr.losses.angularloss.AngularSoftmaxLoss", "scale": 30, "margin": 0.2},
}
"""A config of NeMo, as it stands in a `.nemo` file."""

FRAME_MARBLENET: dict[str, Any] = {
    "target": "nemo.collections.asr.models.classification_models.EncDecFrameClassificationModel",
    "sample_rate": 16000,
    "labels": ["0", "1"],
    "preprocessor": {**MEL, "normalize": "None", "features": 80, "pad_to": 2},
    "encoder": {
        **ENCODER,
        "feat_in": 80,
        "jasper": [
            block(12, 11, stride=[2]),
            block(8, 13, repeat=2, residual=True),
            block(8, 15, repeat=2, residual=True),
            block(12, 29, dilation=[2]),
            block(12, 1, separable=False),
        ],
    },
    "decoder": {
        "_target_": "nemo.collections.common.parts.MultiLayerPerceptron",
        "hidden_size": 12,
        "num_classes": 2,
        "num_layers": 1,
        "activation": "relu",
        "log_softmax": False,
    },
}
WINDOW_MARBLENET: dict[str, Any] = {
    **FRAME_MARBLENET,
    "target": "nemo.collections.asr.models.classification_models.EncDecClassificationModel",
    "labels": ["background", "speech"],
    "preprocessor": {**MEL, "normalize": "None", "features": 80},
    "encoder": {
        **FRAME_MARBLENET["encoder"],
        "jasper": [block(12, 11), *FRAME_MARBLENET["encoder"]["jasper"][1:]],
    },
    "decoder": {
        "_target_": "nemo.collections.asr.modules.ConvASRDecoderClassification",
        "feat_in": 12,
        "num_classes": 2,
        "return_logits": True,
        "pooling_type": "avg",
    },
}

SPEECHBRAIN: dict[str, Any] = {
    "input_size": 80,
    "lin_neurons": 6,
    "channels": [16, 16, 16, 16, 24],
    "attention_channels": 5,
    "res2net_scale": 4,
    "se_channels": 6,
}
"""Arguments of SpeechBrain's ECAPA_TDNN."""
WESPEAKER: dict[str, dict[str, Any]] = {
    "wespeaker": {"channels": 16, "feat_dim": 80, "embed_dim": 6, "emb_bn": True},
    "wespeaker_context": {"channels": 16, "feat_dim": 80, "embed_dim": 6, "global_context_att": True},
}
"""Arguments of WeSpeaker's ECAPA_TDNN."""
ECAPA: dict[str, Any] = {
    **TITANET,
    "encoder": {
        "_target_": "nemo.collections.asr.modules.ECAPAEncoder",
        "feat_in": 80,
        "filters": [16, 16, 16, 16, 48],
        "kernel_sizes": [5, 3, 3, 3, 1],
        "dilations": [1, 1, 1, 1, 1],
        "scale": 4,
    },
    "decoder": {**TITANET["decoder"], "feat_in": 48},
}
CLASSIFIERS = ("decoder.layer", "decoder.decoder_layers")
"""Names of weights that are drawn small: certain scores would hide what differs."""


def drawn(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Return a tensor that its name and shape alone decide."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if len(shape) > 1:
        bound = np.sqrt(6 / np.prod(shape[1:])) * (0.02 if name.startswith(CLASSIFIERS) else 1)
        values = random.uniform(-bound, bound, shape)
    elif name.endswith(("running_var", "weight")):
        values = random.uniform(0.5, 1.5, shape)
    else:
        values = random.uniform(-0.3, 0.3, shape)
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def drawn_weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Return a state dict of these names and shapes."""
    return {name: drawn(name, shape) for name, shape in shapes.items()}


def shapes_of(weights: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of a state dict."""
    return {name: tuple(value.shape) for name, value in weights.items()}


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape as text, such as 64x3; no axes give none."""
    return "x".join(map(str, shape))


def shape_of(text: str) -> tuple[int, ...]:
    """Return the shape that a text says."""
    return tuple(map(int, text.split("x"))) if text else ()


def fingerprint(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Return a number that changes with any name or shape, whatever their order."""
    return zlib.crc32(repr(sorted(shapes.items())).encode())


def buzz(seconds: float, rate: int = 16000, seed: int = 7) -> NDArray[np.float32]:
    """Return noise and gliding tones that come and go, float32, (n,): something to embed that needs no recording."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.RandomState(seed).uniform(-1, 1, len(time))
    tones = sum(np.sin(2 * np.pi * (110 * k * time + 20 * k * np.sin(3 * time))) / k for k in range(1, 12))
    loudness = 0.55 + 0.45 * np.sin(2 * np.pi * 1.3 * time)
    return np.asarray(0.1 * loudness * (tones + 0.3 * noise), dtype=np.float32)


def pieces() -> dict[str, NDArray[np.float32]]:
    """Return the utterances that are embedded: one, and a part of it that begins and ends between frames."""
    whole = buzz(4.3)
    return {"whole": whole, "part": whole[16077:45555]}
