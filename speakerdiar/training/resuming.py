"""What a training that goes on has to agree with: the settings that it began with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]  # types exist only where stubs are

from speakerdiar.errors import ConfigError, InputError
from speakerdiar.formats import files
from speakerdiar.training.composing import as_tree, flattened
from speakerdiar.training.config import TrainConfig

LAST = "last.ckpt"
"""Of the folder of a training: the newest checkpoint, from which it goes on."""
SETTINGS = "config.yaml"
"""Of the folder of a training: all its settings."""
MAY_DIFFER = (
    *("resume", "init", "data.workers", "trainer.max_steps", "trainer.validate_every"),
    *("trainer.validation_batches", "trainer.accelerator", "trainer.devices", "trainer.patience", "trainer.keep"),
    *("trainer.progress", "trainer.tensorboard"),
)
"""Settings that a training may go on with other values of."""


def resumed_from(config: TrainConfig) -> Path | None:
    """Return the checkpoint from which a training goes on; None for one that begins.

    Raises:
        ConfigError: `output` has one, and `resume` is false, or settings differ that may not.
    """
    folder = Path(config.output)
    last = folder / LAST
    if not last.is_file():
        return None
    if not config.resume:
        raise ConfigError(f"output={config.output}: holds a training: give another folder, or resume=true to go on.")
    differing = _differing(_former(folder), flattened(as_tree(config)))
    if differing:
        raise ConfigError(
            f"output={config.output}: holds a training with other settings ({'; '.join(differing)}): give those, or "
            "another folder."
        )
    return last


def with_former_rate(config: TrainConfig) -> TrainConfig:
    """Return the settings of a training that goes on, with the learning rate that was found when it began."""
    if config.optim.rate is not None:
        return config
    return replace(config, optim=replace(config.optim, rate=_former(Path(config.output)).get("optim.rate")))


def keep_config(config: TrainConfig) -> Path:
    """Write all settings of a training into its folder, and return the path."""
    text = yaml.safe_dump(as_tree(config), sort_keys=False, allow_unicode=True)
    return files.write_text(Path(config.output) / SETTINGS, text)


def _former(folder: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(files.read_text(folder / SETTINGS))
    except (InputError, yaml.YAMLError) as error:
        raise ConfigError(f"{folder / SETTINGS} can't be read ({error}): give another output.") from error
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{folder / SETTINGS} holds no settings: give another output.")
    return flattened(tree)


def _differing(former: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs and may not; a learning rate that was found differs from null."""
    found = "optim.rate" if now.get("optim.rate") is None else None
    keys = [key for key in {**former, **now} if key not in (*MAY_DIFFER, found)]
    missing = object()
    return [
        f"{key} was {former.get(key, 'not there')}, is {now.get(key, 'not there')}"
        for key in keys
        if former.get(key, missing) != now.get(key, missing)
    ]
