"""Sizes and variants of SOND, and of the network that makes speaker profiles for it.

Sources: Du et al. 2022, arXiv:2211.10243 (`ALIMEETING`); Wang et al. 2023, arXiv:2303.05397 (`CALLHOME`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import torch

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.nn.fsmn import FsmnShape
from speakerdiar.nn.preact_resnet import REDUCTION, TrunkShape, named


@dataclass(frozen=True)
class SondShape:
    """Sizes of SOND; the defaults are those of the published 16 kHz model for AliMeeting.

    Attributes:
        filters: channels of the encoder's stages.
        blocks: layers of the encoder's stages.
        mel_bins: bands of the filter bank.
        pooled: channels that the encoder pools.
        dimension: numbers of a frame and of a profile.
        last: numbers of the encoder's last layer, which nothing uses.
        window: frames of 80 ms that the encoder pools for one of them.
        variant: "n16k4" pools over frames and bands; "callhome" joins the bands before it pools over frames.
        momentum: how fast the batch norms follow when they train.
        speakers: slots for profiles.
        at_once: speakers that may talk at once.
        speaker_encoder: layers of the transform of profiles; None leaves them as they are.
        speaker_units: numbers between these layers.
        normalize_speech_speaker: frames and encoded profiles are scaled to length 1 before they are compared.
        ci_scorer: context-independent scores are dot products ("dot") or a small network's ("conv").
        ci_layers: layers of that network.
        ci_units: numbers between them.
        cd_layers: layers of the context-dependent scorer.
        cd_heads: heads of its attention.
        cd_inner: numbers inside of its feed-forward parts.
        fsmn_layers: layers with memory, of what combines the scores.
        fsmn_dense: layers without, behind them.
        fsmn_units: numbers between these layers.
        fsmn_inner: numbers inside of them.
        fsmn_kernel: frames that a memory sees.
    """

    filters: tuple[int, ...] = (32, 64, 128, 256)
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    mel_bins: int = 80
    pooled: int = 256
    dimension: int = 256
    last: int = 256
    window: int = 20
    variant: Literal["n16k4", "callhome"] = "n16k4"
    momentum: float = 0.5
    speakers: int = 16
    at_once: int = 4
    speaker_encoder: int | None = 3
    speaker_units: int = 256
    normalize_speech_speaker: bool = False
    ci_scorer: Literal["dot", "conv"] = "dot"
    ci_layers: int = 3
    ci_units: int = 512
    cd_layers: int = 4
    cd_heads: int = 4
    cd_inner: int = 1024
    fsmn_layers: int = 6
    fsmn_dense: int = 1
    fsmn_units: int = 512
    fsmn_inner: int = 512
    fsmn_kernel: int = 31

    def __post_init__(self) -> None:
        for one in fields(self):
            value, least = getattr(self, one.name), int(one.name != "fsmn_dense")
            if one.type in ("int", "int | None") and value is not None and not is_count(value, least=least):
                raise ConfigError(f"{one.name}={value!r}: give a whole number, {least} or more.")
        if len(self.filters) != REDUCTION.bit_length() or len(self.blocks) != len(self.filters):
            raise ConfigError(f"filters={self.filters}, blocks={self.blocks}: give four numbers each.")
        if 2 * self.dimension % self.cd_heads:
            raise ConfigError(f"cd_heads={self.cd_heads} doesn't divide {2 * self.dimension}: give a number that does.")
        for name, known in (("variant", ("n16k4", "callhome")), ("ci_scorer", ("dot", "conv"))):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name}={getattr(self, name)!r}: give {' or '.join(known)}.")

    @property
    def classes(self) -> int:
        """Sets of at most `at_once` speakers."""
        return _sets(self.speakers, self.at_once)

    @property
    def trunk(self) -> TrunkShape:
        """Sizes of the encoder's residual network."""
        joined = self.variant == "callhome"
        return TrunkShape(self.filters, self.blocks, self.mel_bins, self.pooled, joined, self.momentum)

    @property
    def fsmn(self) -> FsmnShape:
        """Sizes of what combines the scores."""
        sizes = (self.fsmn_layers, self.fsmn_dense, self.fsmn_units, self.fsmn_inner, self.fsmn_kernel)
        return FsmnShape(2 * self.speakers, self.classes, *sizes)

    @classmethod
    def of(
        cls,
        weights: Mapping[str, torch.Tensor],
        file: Path,
        *,
        cd_heads: int = 4,
        window: int = 20,
        mel_bins: int = 80,
        normalize_speech_speaker: bool | None = None,
    ) -> SondShape:
        """Infer the shape from weights, and from what they can't say.

        Args:
            weights: by FunASR's names.
            file: to be named in errors.
            cd_heads: `attention_heads` of the file's config.
            window: `pool_size` of the config.
            mel_bins: `n_mels` of the config; weights of the variant "callhome" say it themselves.
            normalize_speech_speaker: as the config has it; None takes what was published with the variant.

        Raises:
            WeightsError: they are no such network's.
        """
        trunk = TrunkShape.of(weights, file, mel_bins)
        published = CALLHOME if trunk.joined else ALIMEETING
        if normalize_speech_speaker is None:
            normalize_speech_speaker = published.normalize_speech_speaker
        return cls(
            filters=trunk.filters,
            blocks=trunk.blocks,
            mel_bins=trunk.mel_bins,
            pooled=trunk.outputs,
            dimension=len(named(weights, "encoder.resnet1_dense.weight", file)),
            last=len(named(weights, "encoder.resnet2_dense.weight", file)),
            window=window,
            variant=published.variant,
            momentum=published.momentum,
            normalize_speech_speaker=normalize_speech_speaker,
            cd_layers=_layers(weights, r"cd_scorer\.encoders\.(\d+)\.feed_forward\.w_1\.weight"),
            cd_heads=cd_heads,
            cd_inner=len(named(weights, "cd_scorer.encoders.0.feed_forward.w_1.weight", file)),
            **_speaker_sizes(weights),
            **_ci_sizes(weights),
            **_combiner_sizes(weights, file),
        )


@dataclass(frozen=True)
class SondSpeakerShape:
    """Sizes of the network that makes profiles; the defaults are those of the published model.

    Attributes:
        trunk: of its residual network.
        dimension: numbers of a profile.
        last: numbers of the layer behind it, which only training uses.
        classes: speakers that it was trained to tell apart.
    """

    trunk: TrunkShape = field(default_factory=TrunkShape)
    dimension: int = 256
    last: int = 256
    classes: int = 3465

    @classmethod
    def of(cls, weights: Mapping[str, torch.Tensor], file: Path, mel_bins: int = 80) -> SondSpeakerShape:
        """Infer the shape from weights.

        Args:
            weights: by FunASR's names.
            file: to be named in errors.
            mel_bins: `n_mels` of the file's config.

        Raises:
            WeightsError: they are no such network's.
        """
        layers = ("resnet1_dense", "resnet2_dense", "output_dense")
        sizes = [len(named(weights, f"decoder.{layer}.weight", file)) for layer in layers]
        return cls(TrunkShape.of(weights, file, mel_bins), *sizes)


ALIMEETING = SondShape()
"""Published for 16 kHz: `speech_diarization_sond-zh-cn-alimeeting-16k-n16k4-pytorch`."""
CALLHOME = SondShape(
    variant="callhome",
    momentum=0.01,
    speaker_encoder=None,
    normalize_speech_speaker=True,
    ci_scorer="conv",
    fsmn_units=16,
)
"""Published for 8 kHz: `speech_diarization_sond-en-us-callhome-8k-n16k4-pytorch`."""


def _sets(speakers: int, at_once: int) -> int:
    return sum(math.comb(speakers, count) for count in range(at_once + 1))


def _layers(weights: Mapping[str, torch.Tensor], pattern: str) -> int:
    found = (re.fullmatch(pattern, name) for name in weights)
    return 1 + max((int(match[1]) for match in found if match), default=-1)


def _speaker_sizes(weights: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    layers = _layers(weights, r"speaker_encoder\.cnn_a\.(\d+)\.conv1d\.weight")
    if not layers:
        return {"speaker_encoder": None}
    return {"speaker_encoder": layers, "speaker_units": len(weights["speaker_encoder.cnn_a.0.conv1d.weight"])}


def _ci_sizes(weights: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    layers = _layers(weights, r"ci_scorer\.cnn_a\.(\d+)\.conv1d\.weight")
    if not layers:
        return {"ci_scorer": "dot"}
    return {"ci_scorer": "conv", "ci_layers": layers, "ci_units": len(weights["ci_scorer.cnn_a.0.conv1d.weight"])}


def _combiner_sizes(weights: Mapping[str, torch.Tensor], file: Path) -> dict[str, Any]:
    first = named(weights, "decoder.fsmn_layers.0.ffn.w_1.weight", file)
    memory = named(weights, "decoder.fsmn_layers.0.memory.fsmn_block.weight", file)
    speakers, classes = first.shape[1] // 2, len(named(weights, "decoder.conv1d.weight", file))
    at_once = [count for count in range(1, speakers + 1) if _sets(speakers, count) == classes]
    if not at_once:
        raise WeightsError(f"{file} is no SOND network of FunASR: {classes} aren't the sets of {speakers} speakers.")
    return {
        "speakers": speakers,
        "at_once": at_once[0],
        "fsmn_layers": _layers(weights, r"decoder\.fsmn_layers\.(\d+)\.ffn\.w_1\.weight"),
        "fsmn_dense": _layers(weights, r"decoder\.dnn_layers\.(\d+)\.w_1\.weight"),
        "fsmn_units": len(memory),
        "fsmn_inner": len(first),
        "fsmn_kernel": memory.shape[2],
    }
