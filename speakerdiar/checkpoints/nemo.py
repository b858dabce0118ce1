"""NeMo's `.nemo` files: a tar, plain or gzip, with a config and a state dict."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speakerdiar.checkpoints.archive import Archive
from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.config_text import parse_config
from speakerdiar.checkpoints.interpolations import resolve
from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.tensors import read_tensors
from speakerdiar.errors import WeightsError

CONFIG, WEIGHTS = "model_config.yaml", "model_weights.ckpt"


def read_nemo(path: str | os.PathLike[str], limits: ArchiveLimits | None = None) -> Checkpoint:
    """Read the config and the weights of a `.nemo` file; nothing in it is run, imported or written to disk by its name.

    Only the members `model_config.yaml` and `model_weights.ckpt` are read. Interpolations in the config are resolved;
    `target` and `_target_` stay text.

    Args:
        path: the file.
        limits: what is accepted; `ArchiveLimits()` by default.

    Raises:
        WeightsError: no such file, not a whole tar archive, a member that is missing, twice, a link, or beyond a limit;
            a name that leads out of the archive; a config with tags or interpolations that lead nowhere; weights that
            are anything but plain dense tensors by name. The message names the member and the reason.
    """
    limits = limits or ArchiveLimits()
    config: dict[str, Any] | None = None
    weights = None
    with Archive(path, limits) as archive:
        for member in archive.members({CONFIG: "max_config_bytes", WEIGHTS: "max_weights_bytes"}):
            name = f"{archive.path}: {member.name}"
            if member.name == CONFIG:
                config = resolve(parse_config(archive.read(member), name), name)
            else:
                weights = read_tensors(archive.view(member), member.size, limits, name)
    if config is None or weights is None:
        absent = CONFIG if config is None else WEIGHTS
        raise WeightsError(f"{os.fspath(path)} has no member {absent!r}: this isn't a whole .nemo file.")
    return Checkpoint(Path(path), config, weights)


def target_of(config: Mapping[str, Any]) -> str:
    """Return the name of NeMo's class that a config was saved by, its `target`. It is text, never to be imported.

    Raises:
        WeightsError: the config has no such text.
    """
    target = config.get("target")
    if not isinstance(target, str):
        raise WeightsError(f"The config's `target` is {target!r}, not a class of NeMo: name the model instead.")
    return target
