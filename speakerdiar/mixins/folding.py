"""Joining what batches give into what a whole call gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from speakerdiar.errors import ModelError


def fold(outputs: Iterable[Any]) -> Any:
    """Join the outputs of all batches.

    Lists are joined to one list, tuples of lists and dicts of lists item by item, the items of other tuples are
    gathered by position; anything else counts as one result. No output at all gives an empty list.

    Raises:
        ModelError: outputs of different kinds or sizes, which can't be joined without losing some.
    """
    total: Any = None
    kind: Callable[[Any], Any] | None = None
    for output in outputs:
        this = _kind(output)
        if kind is not None and this is not kind:
            raise ModelError(f"A batch gave {type(output).__name__}, an earlier one another shape: return one shape.")
        kind = this
        part = kind(output)
        total = part if total is None else _joined(total, part)
    return [] if total is None else total


def _kind(output: Any) -> Callable[[Any], Any]:
    if isinstance(output, list):
        return list
    if isinstance(output, tuple):
        return _lists_of_tuple if all(isinstance(item, list) for item in output) else _columns_of_tuple
    if isinstance(output, dict) and output and all(isinstance(item, list) for item in output.values()):
        return _lists_of_dict
    return _single


def _lists_of_tuple(output: tuple[list[Any], ...]) -> tuple[list[Any], ...]:
    return _like(output, [list(item) for item in output])


def _columns_of_tuple(output: tuple[Any, ...]) -> tuple[list[Any], ...]:
    return _like(output, [[item] for item in output])


def _like(output: tuple[Any, ...], items: list[list[Any]]) -> tuple[list[Any], ...]:
    """The items as a tuple; a named one where the output is."""
    return type(output)(*items) if hasattr(output, "_fields") else tuple(items)


def _lists_of_dict(output: dict[Any, list[Any]]) -> dict[Any, list[Any]]:
    return {key: list(item) for key, item in output.items()}


def _single(output: Any) -> list[Any]:
    return [output]


def _joined(total: Any, part: Any) -> Any:
    if isinstance(total, list):
        total.extend(part)
        return total
    keys, part_keys = _keys(total), _keys(part)
    if keys != part_keys:
        raise ModelError(f"A batch gave the items {part_keys}, an earlier one {keys}: return the same for each.")
    for key in keys:
        total[key].extend(part[key])
    return total


def _keys(part: Any) -> list[Any]:
    return list(part) if isinstance(part, dict) else list(range(len(part)))
