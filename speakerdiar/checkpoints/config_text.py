"""Configs as YAML text: plain values in, plain values out, no tags, no bombs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]  # types exist only where stubs are

from speakerdiar.errors import ConfigError, WeightsError

MAX_NODES = 100_000  # of a config with its aliases written out; those of published models have some hundreds

_CORE = "tag:yaml.org,2002:"
_PLAIN = {f"{_CORE}{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null", "merge")}
_TEXT = f"{_CORE}str"
_MEANT_AS_TEXT = {f"{_CORE}timestamp", f"{_CORE}value"}  # 2026-11-21 and =

# YAML 1.1 takes 1e-5 for text; YAML 1.2, OmegaConf and people take it for a number.
_EXPONENT = (f"{_CORE}float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789"))
_Loader: Any = type("_Loader", (yaml.SafeLoader,), {})
_Loader.add_implicit_resolver(*_EXPONENT)
_WRITTEN = (type(None), str, bool, int, float, list, tuple, dict, None)  # None stands for all else, which is refused
_Dumper: Any = type(
    "_Dumper",
    (yaml.SafeDumper,),
    {
        "ignore_aliases": lambda self, data: True,
        "yaml_representers": {kind: yaml.SafeDumper.yaml_representers[kind] for kind in _WRITTEN},
    },
)
_Dumper.add_implicit_resolver(*_EXPONENT)

# What PyYAML raises for odd text besides its own errors: int("0b_"), bool("maybe"), brackets 10,000 deep.
_FAULTS = (yaml.YAMLError, ValueError, LookupError, OverflowError, RecursionError)


def parse_config(data: bytes, name: str) -> dict[str, Any]:
    """Return the mapping that UTF-8 YAML text holds. Dates stay text.

    Args:
        data: the text; the caller bounds its size.
        name: says what is read, in messages.

    Raises:
        WeightsError: it isn't YAML text, not a mapping, has a tag, the same key twice, or more than `MAX_NODES` values
            once its aliases are written out.
    """
    try:
        loader = _Loader(data.decode())
        try:
            root = loader.get_single_node()
            if root is None:
                raise WeightsError(f"{name} is empty: this isn't a model's config.")
            _Inspection(name).size(root)
            config = loader.construct_document(root)
        finally:
            loader.dispose()
    except _FAULTS as error:
        raise WeightsError(f"{name} can't be read as YAML ({_reason(error)}): get the file anew.") from error
    if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
        raise WeightsError(f"{name} doesn't map names to values: this isn't a model's config.")
    return config


def format_config(config: Mapping[str, Any]) -> bytes:
    """Return a config as UTF-8 YAML text, in the order of its keys; `parse_config` gives the same config back.

    Raises:
        ConfigError: a value that isn't plain, such as an array.
    """
    try:
        # Beyond ASCII all is escaped: PyYAML writes some line breaks in a way that it doesn't read.
        text = yaml.dump(dict(config), Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=120)
    except (yaml.YAMLError, RecursionError) as error:
        reason = _reason(error)
        raise ConfigError(f"The config can't be written ({reason}): keep to dicts, lists, text and numbers.") from error
    return bytes(text.encode())


class _Inspection:
    """One walk over the nodes of a document, before anything is made of them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sizes: dict[Any, int | None] = {}  # None while the walk is inside the node

    def size(self, node: Any) -> int:
        """Return how many nodes there are from this one on, aliases written out; each node is visited once."""
        if node not in self.sizes:
            self.sizes[node] = None
            self._check_tag(node)
            total = 1 + sum(self.size(child) for child in self._children(node))
            if total > MAX_NODES:
                raise WeightsError(
                    f"{self.name} holds more than {MAX_NODES:,} values once its aliases are written out: this isn't a "
                    "model's config."
                )
            self.sizes[node] = total
        known = self.sizes[node]
        if known is None:
            raise WeightsError(f"{self.name} has an alias to what it stands in: this isn't a model's config.")
        return known

    def _check_tag(self, node: Any) -> None:
        if node.tag in _MEANT_AS_TEXT:
            node.tag = _TEXT
        if node.tag not in _PLAIN:
            raise WeightsError(
                f"{self.name}, line {node.start_mark.line + 1}: the tag {node.tag!r} is refused, as tags can run code: "
                "a config holds plain values only."
            )

    def _children(self, node: Any) -> list[Any]:
        if isinstance(node, yaml.MappingNode):
            self._check_keys(node)
            return [part for pair in node.value for part in pair]
        return list(node.value) if isinstance(node, yaml.SequenceNode) else []

    def _check_keys(self, node: Any) -> None:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        twice = [key for key, times in keys.items() if times > 1]
        if twice:
            line = node.start_mark.line + 1
            raise WeightsError(f"{self.name}: the mapping at line {line} has the key {twice[0]!r} twice: keep one.")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__
