"""Makes the parts of a diarizer (segmenter, embedder) by name or passes an instance through."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from speakerdiar.errors import ConfigError, UnknownModelError, UnknownOptionError, closest

PartT = TypeVar("PartT")


def make_by_name(
    part: Any, table: Mapping[str, str], kind: type[PartT], role: str, options: Mapping[str, Any]
) -> PartT:
    """Return an instance of `kind`.

    Args:
        part: a name of the table, or an instance, which comes back as it is.
        table: names and where their classes are, as `module:Class`.
        kind: the class that keeps the role's promises.
        role: what to call it in messages.
        options: arguments of the class; none for an instance.

    Raises:
        UnknownModelError: the table has no such name; the message has the closest.
        ConfigError: options beside an instance, or something that is neither a name nor an instance of `kind`.
        UnknownOptionError: the class has no such option.
    """
    if isinstance(part, kind):
        if options:
            raise ConfigError(f"Options {', '.join(options)} beside a {role} that is made already: give them to it.")
        return part
    if not isinstance(part, str):
        raise ConfigError(f"{role}={part!r}: give a name ({', '.join(table)}) or a {kind.__name__}.")
    if part not in table:
        raise UnknownModelError(f"There is no {role} {part!r}.{closest(part, table)} Known: {', '.join(table)}.")
    module, _, name = table[part].partition(":")
    cls = getattr(importlib.import_module(module), name)
    known = inspect.signature(cls).parameters
    for option in options:
        if option not in known:
            raise UnknownOptionError(option, known, name)
    made: PartT = cls(**options)
    return made
