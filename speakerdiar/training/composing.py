"""Puts the settings of a training together: defaults, the recipe's values, a file, and what the command line says."""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml  # type: ignore[import-untyped, unused-ignore]  # types exist only where stubs are
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from speakerdiar.config import is_count, require
from speakerdiar.errors import ConfigError, UnknownOptionError, closest
from speakerdiar.formats import files
from speakerdiar.training.config import TrainConfig
from speakerdiar.training.recipes import CONF, RECIPES, Recipe

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
PRECISIONS = ("32-true", "16-mixed", "bf16-mixed", "bf16-true", "64-true")


def compose(overrides: Sequence[str], file: str | os.PathLike[str] | None = None) -> TrainConfig:
    """Return all settings of a training, checked; `config.recipe` is an `Options` of the recipe.

    Args:
        overrides: `key=value` each, e.g. `recipe=segmentation`, `trainer.max_steps=100`, `data.train=[a.json, b.json]`;
            the last one of a key holds.
        file: YAML with the same keys in branches, such as the `config.yaml` of another training; it comes before the
            overrides.

    Raises:
        ConfigError: no recipe, a value of the wrong kind, or one that can't be.
        UnknownOptionError: a key that doesn't exist; the message has the closest.
        InputError: a file that can't be read.
    """
    given = {**_of_file(file), **dict(_parted(override) for override in overrides)}
    name = given.pop("recipe", given.get("recipe.name"))
    cls = recipe_class(name)
    schema = _schema(cls)
    values = _typed(given, schema)
    ConfigStore.instance().store(name="settings", node=schema)
    texts = [f"recipe={name}", *(f"{key}={_hydra_text(value)}" for key, value in values.items())]
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = OmegaConf.to_object(hydra_compose("train", overrides=texts))
    except (HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__ or error
        key = getattr(cause, "full_key", None) or "settings"
        raise ConfigError(f"{key}: {_reason(cause)}: give a value that the key takes.") from error
    checked = cast(TrainConfig, config)
    check(checked)
    return checked


def recipe_class(name: object) -> type[Recipe]:
    """Return the class of a recipe of the table.

    Raises:
        ConfigError: there is none of that name; the message has the closest.
    """
    if not isinstance(name, str) or name not in RECIPES:
        near = closest(str(name), RECIPES)
        raise ConfigError(f"recipe={'' if name is None else name}: give a recipe.{near} Recipes: {', '.join(RECIPES)}.")
    module, _, cls = RECIPES[name].partition(":")
    return cast(type[Recipe], getattr(importlib.import_module(module), cls))


def flattened(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return the leaves of a tree of settings by their keys, `trainer.max_steps` for one."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= flattened(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = value
    return found


def as_tree(config: TrainConfig) -> dict[str, Any]:
    """Return settings as plain values in branches, as they stand in `config.yaml`."""
    return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.structured(config)))


def check(config: TrainConfig) -> None:
    """Raise ConfigError, naming value and remedy, for a setting that every recipe has and that can't be used."""
    data, trainer = config.data, config.trainer
    least = {"data.batch_size": (data.batch_size, 1), "data.workers": (data.workers, 0), "data.seed": (data.seed, 0)}
    least |= {"data.held_out": (data.held_out, 0), "trainer.keep": (trainer.keep, 1), "seed": (config.seed, 0)}
    for name in ("max_steps", "validate_every", "validation_batches"):
        least[f"trainer.{name}"] = (getattr(trainer, name), 1)
    least["trainer.patience"] = (trainer.patience, 0)
    for key, (value, bound) in least.items():
        require(is_count(value, least=bound), key, value, f"give a whole number, {bound} or more")
    require(trainer.clip >= 0, "trainer.clip", trainer.clip, "give the largest norm of the gradient, or 0 for no limit")
    require(0 <= trainer.ema < 1, "trainer.ema", trainer.ema, "give a decay from 0 to below 1, e.g. 0.999")
    for name, known in (("precision", PRECISIONS), ("accelerator", ACCELERATORS)):
        value = getattr(trainer, name)
        require(value in known, f"trainer.{name}", value, f"give one of {', '.join(known)}")


def _of_file(file: str | os.PathLike[str] | None) -> dict[str, Any]:
    if file is None:
        return {}
    named = str(Path(file))
    try:
        tree = yaml.safe_load(files.read_text(file))
    except yaml.YAMLError as error:
        raise ConfigError(f"{named}: isn't YAML ({_reason(error)}): give a file of settings.") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{named}: give settings as `key: value` lines.")
    return flattened(tree)


def _parted(override: str) -> tuple[str, str]:
    key, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"{override!r}: settings are key=value, e.g. trainer.max_steps=1000.")
    return key.strip(), value


def _schema(cls: type[Recipe]) -> DictConfig:
    """Return the tree of all keys with their types and defaults, those of the recipe's own options in it."""
    schema = OmegaConf.structured(TrainConfig)
    schema.recipe = OmegaConf.structured(cls.Options)
    return cast(DictConfig, schema)


def _typed(given: Mapping[str, Any], schema: DictConfig) -> dict[str, Any]:
    """Return values as the schema wants them: what the command line gives as text is read, lone values become lists."""
    known = dict(_leaves(schema))
    typed = {}
    for key, value in given.items():
        if key not in known:
            raise UnknownOptionError(key, ["recipe", *known], "A training")
        node = known[key]
        if isinstance(value, str) and not (_is_text(node) and value != "null"):
            value = _read(key, value)
        listed = isinstance(node, ListConfig)
        typed[key] = [value] if listed and value is not None and not isinstance(value, list) else value
    return typed


def _leaves(schema: DictConfig, above: str = "") -> Iterator[tuple[str, Any]]:
    for name in map(str, schema):
        node = schema._get_node(name)
        if isinstance(node, DictConfig) and not node._is_none():
            yield from _leaves(node, f"{above}{name}.")
        else:
            yield f"{above}{name}", node


def _is_text(node: Any) -> bool:
    return getattr(node, "_metadata", None) is not None and node._metadata.ref_type is str


def _read(key: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{key}={text}: can't be read ({_reason(error)}): quote it.") from error


def _hydra_text(value: Any) -> str:
    """Return a value in the language of Hydra's overrides; in its quotes, only what precedes a quote is escaped."""
    if isinstance(value, list):
        return f"[{','.join(_hydra_text(item) for item in value)}]"
    if isinstance(value, str):
        return '"' + re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), value) + '"'
    return json.dumps(value)


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split("\n    ")[0].split())
