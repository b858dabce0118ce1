"""The names of ECAPA-TDNN's weights in the files of SpeechBrain, WeSpeaker and NeMo, and the sizes that they say."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from speakerdiar.nn.ecapa import EcapaShape, Kind

MARKS: Mapping[Kind, str] = {
    "speechbrain": "blocks.0.conv.conv.weight",
    "wespeaker": "layer1.conv.weight",
    "nemo": "encoder.layers.0.conv_layer.weight",
}
"""A weight that only one of them has."""
SPEECHBRAIN = (
    (r"\.conv\.conv\.", ".conv."),
    (r"\.norm\.norm\.", ".norm."),
    (r"^blocks\.0\.", "first."),
    (r"^blocks\.(\d+)\.tdnn1\.", r"blocks.\1.before."),
    (r"^blocks\.(\d+)\.tdnn2\.", r"blocks.\1.behind."),
    (r"\.res2net_block\.blocks\.", ".middle.layers."),
    (r"\.se_block\.conv1\.conv\.", ".gate.squeeze."),
    (r"\.se_block\.conv2\.conv\.", ".gate.excite."),
    (r"^mfa\.", "join."),
    (r"^asp\.tdnn\.conv\.", "pooling.first."),
    (r"^asp\.tdnn\.norm\.", "pooling.norm.1."),
    (r"^asp\.conv\.", "pooling.second."),
    (r"^asp_bn\.norm\.", "norm."),
    (r"^fc\.conv\.", "embedding."),
)
WESPEAKER = (
    (r"^layer1\.bn\.", "first.norm."),
    (r"^layer1\.", "first."),
    (r"^layer(\d+)\.se_res2block\.", r"blocks.\1."),
    (r"^(blocks\.\d+)\.0\.bn\.", r"\1.before.norm."),
    (r"^(blocks\.\d+)\.0\.", r"\1.before."),
    (r"^(blocks\.\d+)\.1\.convs\.(\d+)\.", r"\1.middle.layers.\2.conv."),
    (r"^(blocks\.\d+)\.1\.bns\.(\d+)\.", r"\1.middle.layers.\2.norm."),
    (r"^(blocks\.\d+)\.2\.bn\.", r"\1.behind.norm."),
    (r"^(blocks\.\d+)\.2\.", r"\1.behind."),
    (r"^(blocks\.\d+)\.3\.linear1\.", r"\1.gate.squeeze."),
    (r"^(blocks\.\d+)\.3\.linear2\.", r"\1.gate.excite."),
    (r"^conv\.", "join.conv."),
    (r"^pool\.linear1\.", "pooling.first."),
    (r"^pool\.linear2\.", "pooling.second."),
    (r"^bn\.", "norm."),
    (r"^linear\.", "embedding."),
    (r"^bn2\.", "last_norm."),
)
NEMO = (
    (r"\.conv_layer\.", ".conv."),
    (r"\.bn\.", ".norm."),
    (r"^encoder\.layers\.0\.", "first."),
    (r"^encoder\.layers\.", "blocks."),
    (r"\.group_tdnn_block\.0\.", ".before."),
    (r"\.group_tdnn_block\.1\.", ".middle.conv."),
    (r"\.group_tdnn_block\.3\.", ".middle.norm."),
    (r"\.group_tdnn_block\.4\.", ".behind."),
    (r"\.se_layer\.se_layer\.0\.", ".gate.squeeze."),
    (r"\.se_layer\.se_layer\.2\.", ".gate.norm."),
    (r"\.se_layer\.se_layer\.3\.", ".gate.excite."),
    (r"^encoder\.feature_agg\.", "join."),
    (r"^decoder\._pooling\.attention_layer\.0\.conv\.", "pooling.first."),
    (r"^decoder\._pooling\.attention_layer\.0\.norm\.", "pooling.norm.1."),
    (r"^decoder\._pooling\.attention_layer\.2\.", "pooling.second."),
    (r"^decoder\.emb_layers\.0\.0\.", "norm."),
    (r"^decoder\.emb_layers\.0\.1\.", "embedding."),
)
RULES = {"speechbrain": SPEECHBRAIN, "wespeaker": WESPEAKER, "nemo": NEMO}
FIRST_BLOCK = {"speechbrain": 1, "wespeaker": 2, "nemo": 1}
"""The number that the first block has."""


def ecapa_kind(weights: Mapping[str, torch.Tensor]) -> Kind | None:
    """Return whose ECAPA-TDNN weights are, None for nobody's."""
    return next((kind for kind, mark in MARKS.items() if mark in weights), None)


def ecapa_names(weights: Mapping[str, torch.Tensor], kind: Kind) -> dict[str, torch.Tensor]:
    """Give weights the names and axes that they have here; those that are unknown keep theirs."""
    return dict(_own(name, value, kind) for name, value in weights.items())


def _own(name: str, value: torch.Tensor, kind: Kind) -> tuple[str, torch.Tensor]:
    for pattern, place in RULES[kind]:
        name = re.sub(pattern, place, name)
    name = re.sub(r"^blocks\.(\d+)\.", lambda found: f"blocks.{int(found[1]) - FIRST_BLOCK[kind]}.", name)
    if name == "embedding.weight" and value.ndim == 3:  # a convolution over one frame
        return name, value.squeeze(-1)
    if name.endswith((".gate.squeeze.weight", ".gate.excite.weight")) and value.ndim == 2:
        return name, value.unsqueeze(-1)
    return name, value


def ecapa_shape(weights: Mapping[str, torch.Tensor], kind: Kind) -> EcapaShape:
    """Return the sizes that weights, by the names that they have here, say.

    Raises:
        KeyError: a weight that tells a size is missing.
        ValueError: a weight that tells a size has another number of axes, or none can be read off it.
    """
    channels, n_mels, kernel = weights["first.conv.weight"].shape
    joined, _, _ = weights["join.conv.weight"].shape
    dimension, _ = weights["embedding.weight"].shape
    squeeze, _, _ = weights["blocks.0.gate.squeeze.weight"].shape
    attention, seen, _ = weights["pooling.first.weight"].shape
    inside = "conv" if kind == "nemo" else "layers.0.conv"
    middle = [weights[f"blocks.{index}.middle.{inside}.weight"].shape for index in range(3)]
    width = middle[0][1]
    if not width or channels % width or channels // width > len(weights):
        raise ValueError(f"blocks of {channels} channels have groups of {width}")
    first, second, third = (kernel for _, _, kernel in middle)
    return EcapaShape(
        kind,
        n_mels=n_mels,
        channels=channels,
        joined=joined,
        dimension=dimension,
        scale=channels // width,
        squeeze=squeeze,
        attention=attention,
        kernels=(kernel, first, second, third),
        context=seen == 3 * joined,
        last_norm="last_norm.weight" in weights,
    )
