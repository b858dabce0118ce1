"""What of a SOND isn't in its weights: FunASR's YAML, and the same in our own format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.installed import load_weights
from speakerdiar.checkpoints.sond import check_only, frontend_options, known_weights
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.nn.kaldi_fbank import FbankOptions
from speakerdiar.nn.sond import SondNetwork
from speakerdiar.nn.sond_shape import SondShape
from speakerdiar.postprocessing.power_set_encoding import PowerSetEncoding

FRONTENDS: Mapping[str, FbankOptions] = {
    "n16k4": FbankOptions(snip_edges=False),
    "callhome": FbankOptions(sample_rate=8000, snip_edges=False, scale=1.0),
}
"""The published models' filter banks by variant, for a YAML that describes none."""
_ONLY: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "": {
        "encoder": ("resnet34", "resnet34_sp_l2reg"),
        "speaker_encoder": ("conv", None),
        "ci_scorer": ("dot", "conv"),
        "cd_scorer": ("san",),
        "decoder": ("fsmn",),
    },
    "encoder_conf": {
        "embedding_node": ("resnet1_dense",),
        "pooling_type": ("window_shift",),
        "stride": (1,),
        "use_head_conv": (True,),
        "use_head_maxpool": (False,),
    },
    "cd_scorer_conf": {"normalize_before": (True,), "input_layer": ("null",)},
    "decoder_conf": {"shift": (0,)},
}
"""Settings of which only some values can be had here; the first is FunASR's default."""


@dataclass(frozen=True)
class SondSettings:
    """What of a SOND isn't in its weights.

    Attributes:
        frontend: the filter bank.
        cd_heads: heads of attention.
        window: frames of 80 ms that are pooled for one.
        normalize_speech_speaker: frames and profiles are scaled to length 1 before they are compared; None takes what
            was published with the variant.
    """

    frontend: FbankOptions | None = None
    cd_heads: int = 4
    window: int = 20
    normalize_speech_speaker: bool | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any], path: Path) -> SondSettings:
        """Read them off FunASR's YAML, or off the `config.yaml` of our own format.

        Raises:
            WeightsError: settings that can't be had.
        """
        try:
            if "settings" in config:
                own = dict(config["settings"])
                return cls(**{**own, "frontend": FbankOptions(**own["frontend"])})
            return cls._of_funasr(config, path)
        except (ConfigError, TypeError, KeyError, ValueError) as error:
            raise WeightsError(f"{path}: its config has no usable settings ({error}): get it anew.") from error

    @classmethod
    def _of_funasr(cls, config: Mapping[str, Any], path: Path) -> SondSettings:
        for part, only in _ONLY.items():
            check_only(_part(config, part), only, path)
        frontend = frontend_options(config, path)
        return cls(
            frontend=None if frontend is None else FbankOptions(**frontend),
            cd_heads=int(_part(config, "cd_scorer_conf").get("attention_heads", 4)),
            window=int(_part(config, "encoder_conf").get("pool_size", 20)),
            normalize_speech_speaker=bool(_part(config, "model_conf").get("normalize_speech_speaker", False)),
        )

    @classmethod
    def saved(cls, network: SondNetwork, frontend: FbankOptions) -> dict[str, Any]:
        """Return them as plain values, for our own format."""
        shape = network.shape
        return asdict(cls(frontend, shape.cd_heads, shape.window, shape.normalize_speech_speaker))


def sond_network(checkpoint: Checkpoint, dtype: torch.dtype) -> tuple[SondNetwork, FbankOptions]:
    """Return the network of a checkpoint with its weights, and its filter bank.

    Raises:
        WeightsError: weights of another model; the message names every tensor that is missing or doesn't fit.
    """
    path, weights = checkpoint.path, checkpoint.weights
    settings = SondSettings.of(checkpoint.config, path)
    try:
        shape = SondShape.of(
            weights,
            path,
            cd_heads=settings.cd_heads,
            window=settings.window,
            mel_bins=settings.frontend.mel_bins if settings.frontend else 80,
            normalize_speech_speaker=settings.normalize_speech_speaker,
        )
    except ConfigError as error:
        raise WeightsError(f"{path} holds no SOND that can be made ({error}): get it anew.") from error
    _check_tokens(checkpoint.config.get("token_list"), shape, path)
    with torch.device("meta"):  # no numbers are drawn for weights that come from the file
        network = SondNetwork(shape)
    load_weights(network, known_weights(weights, network.state_dict(), path), path)
    return network.to(dtype), settings.frontend or FRONTENDS[shape.variant]


def _part(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = (config.get(name) or {}) if name else config
    if not isinstance(part, Mapping):
        raise ValueError(f"{name} is {part!r:.40}, not a mapping")
    return part


def _check_tokens(tokens: Any, shape: SondShape, path: Path) -> None:
    """Refuse classes in another order than that of their numbers; a list in a file of its own isn't looked at."""
    expected = PowerSetEncoding(shape.speakers, shape.at_once).tokens.tolist()
    if isinstance(tokens, list) and [str(token) for token in tokens] != [str(token) for token in expected]:
        raise WeightsError(
            f"{path}: its token_list isn't that of at most {shape.at_once} of {shape.speakers} speakers in ascending "
            "order: get the YAML that belongs to the weights."
        )
