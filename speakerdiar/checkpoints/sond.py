"""SOND and its enrolment model as FunASR publishes them: a state dict (`.pb`, earlier `.pth`) and a YAML beside it.

    sond.pb  sond.yaml         the diarizer; `sond_fbank.yaml` describes it for features that were computed before
    sv.pb    sv.yaml           the model that makes profiles of enrolment clips
    configuration.json         ModelScope's, which names the others; it isn't read

The state dicts are read as plain tensors, like all weights here: nothing in them is executed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.config_text import parse_config
from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.state_dict import read_state_dict
from speakerdiar.errors import WeightsError

Kind: TypeAlias = Literal["sond", "sv"]
"""What FunASR calls the diarizer and the enrolment model, in names of files."""

SUFFIXES = (".pb", ".pth")
_NAMES: Mapping[Kind, str] = {"sond": "a SOND diarizer", "sv": "an enrolment model"}
_LOG = logging.getLogger(__name__)


def funasr_file(place: Path, kind: Kind) -> Path | None:
    """Return the file of weights that a file or folder of FunASR's stands for; None where it is something else.

    Args:
        place: a folder with `sond.pb` (or `sv.pb`), or such a file under any name with its YAML beside it.
        kind: what is wanted.
    """
    if place.is_dir():
        return next((file for suffix in SUFFIXES if (file := place / f"{kind}{suffix}").is_file()), None)
    if place.suffix not in SUFFIXES or not place.is_file():
        return None
    yaml = _yaml_of(place)
    if yaml is None:  # a .pb is FunASR's whatever it lacks; .pth files are everybody's
        found: Kind = "sv" if place.stem.startswith("sv") else "sond"
        return place if place.suffix == ".pb" and found == kind else None
    return place if _kind_of(_parsed(yaml, ArchiveLimits())) == kind else None


def read_funasr(place: Path, kind: Kind, limits: ArchiveLimits | None = None) -> Checkpoint:
    """Read FunASR's weights with the YAML that describes them.

    Args:
        place: see `funasr_file`.
        kind: what is wanted.
        limits: what is accepted; `ArchiveLimits()` by default.

    Returns:
        The weights by FunASR's names, and the YAML as it is.

    Raises:
        WeightsError: no such weights or no YAML, either of them broken or beyond a limit, or of another model.
    """
    limits = limits or ArchiveLimits()
    file = funasr_file(place, kind)
    if file is None:
        raise WeightsError(f"{place} doesn't hold {_NAMES[kind]}: give {kind}.pb with {kind}.yaml beside it.")
    yaml = _yaml_of(file)
    if yaml is None:
        names = " or ".join(_yaml_names(file))
        raise WeightsError(f"{file} has no YAML beside it, which says what its network is like: put {names} there.")
    config = _parsed(yaml, limits)
    if _kind_of(config) != kind:
        raise WeightsError(f"{yaml} describes the model {config.get('model')!r}, not {_NAMES[kind]}: give another.")
    return Checkpoint(file, config, read_state_dict(file, limits).weights)


def known_weights(
    weights: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], path: str | os.PathLike[str]
) -> dict[str, torch.Tensor]:
    """Return what a network has names for, as FunASR does; the rest is logged, as published files hold heads of losses.

    Counters of batches, which only training needs and converted files lack, are filled in.

    Args:
        weights: of the file.
        wanted: the network's own state dict.
        path: of the file, for the log.
    """
    dropped = [name for name in weights if name not in wanted]
    if dropped:
        _LOG.info("%s: %d tensors belong to no part that is used: %s", path, len(dropped), _some(dropped))
    counters = {name: torch.zeros((), dtype=torch.int64) for name in wanted if name.endswith(".num_batches_tracked")}
    return {**counters, **{name: value for name, value in weights.items() if name in wanted}}


def _some(names: Collection[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:8]) + (", ..." if len(listed) > 8 else "")


def _yaml_names(file: Path) -> tuple[str, ...]:
    return (f"{file.stem}.yaml", f"{file.stem}_fbank.yaml", "config.yaml")


def _yaml_of(file: Path) -> Path | None:
    return next((yaml for name in _yaml_names(file) if (yaml := file.parent / name).is_file()), None)


def _parsed(yaml: Path, limits: ArchiveLimits) -> dict[str, Any]:
    limits.check("max_config_bytes", yaml.stat().st_size, f"{yaml}: bytes")
    return parse_config(yaml.read_bytes(), str(yaml))


def _kind_of(config: Mapping[str, Any]) -> Kind | None:
    """What a YAML describes; the enrolment model's is known by its pooling, as its `model` may be called anything."""
    if config.get("model") == "sond":
        return "sond"
    return "sv" if config.get("pooling_type") == "statistic" else None


_FRONTEND = {
    "fs": ("sample_rate", 16000),
    "window": ("window", "hamming"),
    "n_mels": ("mel_bins", 80),
    "frame_length": ("frame_length", 25),
    "frame_shift": ("frame_shift", 10),
    "snip_edges": ("snip_edges", True),
    "upsacle_samples": ("scale", True),  # FunASR's spelling
}
"""FunASR's names of the front end's settings, ours, and FunASR's defaults."""
_ONLY: Mapping[str, tuple[Any, ...]] = {"lfr_m": (1,), "lfr_n": (1,), "cmvn_file": (None,)}


def frontend_options(config: Mapping[str, Any], path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return FunASR's front end as arguments of `FbankOptions`; None where the YAML describes none.

    The dither that FunASR adds to enrolment clips isn't taken over: it makes the same clip give another profile each
    time.

    Raises:
        WeightsError: a front end that can't be had here.
    """
    given = config.get("frontend_conf") or {}
    if config.get("frontend") is None and not given:
        return None
    check_only({"frontend": config.get("frontend"), **given}, {"frontend": (None, "wav_frontend"), **_ONLY}, path)
    options = {ours: given.get(name, default) for name, (ours, default) in _FRONTEND.items()}
    return {**options, "scale": 32768.0 if options["scale"] else 1.0}


def check_only(given: Mapping[str, Any], only: Mapping[str, tuple[Any, ...]], path: str | os.PathLike[str]) -> None:
    """Raise WeightsError for a setting that has another value than those that can be had."""
    for name, values in only.items():
        if given.get(name, values[0]) not in values:
            known = " or ".join(map(repr, values))
            raise WeightsError(f"{path}: its YAML asks for {name}={given[name]!r}, and only {known} can be had here.")
