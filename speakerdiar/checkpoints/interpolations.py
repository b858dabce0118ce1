"""OmegaConf's `${a.b}` in a config: looked up in the config itself, and nowhere else.

NeMo writes configs without them, but checkpoints written by other tools keep them. Resolvers, such as `${oc.env:HOME}`,
are refused, so that a weight file learns nothing of the machine it is read on.
"""

from __future__ import annotations

import re
from typing import Any

from speakerdiar.checkpoints.config_text import MAX_NODES
from speakerdiar.errors import WeightsError

MAX_TEXT = 2**22  # characters of all texts together, once written out

_INTERPOLATION = re.compile(r"(?<!\\)\$\{([^${}]*)\}")
_STEP = re.compile(r"[^.\[\]]+")
_PATH = re.compile(r"\.*[^.\[\]:]+(\.[^.\[\]:]+|\[[^.\[\]:]+\])*")


def resolve(config: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a copy of a config with every interpolation replaced by the value it names.

    A path is absolute (`a.b`, `a[0].b`), or relative to where it stands with dots in front. The config of a whole
    training run keeps the model under `model`, which a checkpoint doesn't: there `${model.a}` means `${a}`.

    Raises:
        WeightsError: names the key whose interpolation leads nowhere, to itself, or to a resolver, and the key from
            which on the values written out grow beyond `MAX_NODES` or `MAX_TEXT`.
    """
    try:
        resolved: dict[str, Any] = _Resolver(config, name).value(config, ())
    except RecursionError as error:
        raise WeightsError(f"{name}: its values are nested too deeply: this isn't a model's config.") from error
    return resolved


class _Resolver:
    def __init__(self, config: dict[str, Any], name: str) -> None:
        self.config = config
        self.name = name
        self.nodes_left = MAX_NODES
        self.text_left = MAX_TEXT
        self.under_way: list[tuple[str, ...]] = []  # paths that are being looked up

    def value(self, value: Any, at: tuple[str, ...]) -> Any:
        """Return a value that stands at a path of the config with all below it resolved."""
        self._spend(value, at)
        if isinstance(value, dict):
            return {key: self.value(child, (*at, str(key))) for key, child in value.items()}
        if isinstance(value, list):
            return [self.value(child, (*at, str(number))) for number, child in enumerate(value)]
        return self._text(value, at) if isinstance(value, str) else value

    def _text(self, text: str, at: tuple[str, ...]) -> Any:
        whole = _INTERPOLATION.fullmatch(text)
        if whole:
            return self._looked_up(whole[1], at)
        pieces = _INTERPOLATION.split(text)  # text between interpolations, path, text, path, ..., text
        if any("${" in piece for piece in pieces[::2]):
            raise self._fault(at, text, "it is no plain ${path}")
        for number in range(1, len(pieces), 2):
            pieces[number] = str(self._looked_up(pieces[number], at))
        joined = "".join(pieces)
        if len(pieces) > 1:
            self._spend(joined, at)
        return joined

    def _looked_up(self, path: str, at: tuple[str, ...]) -> Any:
        shown = f"${{{path}}}"
        if ":" in path:
            raise self._fault(at, shown, f"the resolver {path.partition(':')[0].strip()!r} is refused")
        if not _PATH.fullmatch(path.strip()):
            raise self._fault(at, shown, "it is no plain ${path}")
        target = self._absolute(path.strip(), at)
        if target in self.under_way:
            raise self._fault(at, shown, "it leads back to itself")
        self.under_way.append(target)
        found = self.value(self._find(target, at, shown), target)
        self.under_way.pop()
        return found

    def _absolute(self, path: str, at: tuple[str, ...]) -> tuple[str, ...]:
        steps = tuple(_STEP.findall(path))
        dots = len(path) - len(path.lstrip("."))
        if dots:
            return at[: max(0, len(at) - dots)] + steps  # one dot: a sibling of the key
        return steps[1:] if len(steps) > 1 and steps[0] == "model" and "model" not in self.config else steps

    def _find(self, target: tuple[str, ...], at: tuple[str, ...], shown: str) -> Any:
        node: Any = self.config
        for number, step in enumerate(target):
            if isinstance(node, str):  # perhaps itself an interpolation, of a mapping
                node = self._text(node, target[:number])
            if isinstance(node, dict) and step in node:
                node = node[step]
            elif isinstance(node, list) and step.isdecimal() and int(step[:9]) < len(node):
                node = node[int(step)]
            else:
                raise self._fault(at, shown, f"the config has no {'.'.join(target)!r}")
        return node

    def _spend(self, value: Any, at: tuple[str, ...]) -> None:
        self.nodes_left -= 1
        self.text_left -= len(value) if isinstance(value, str) else 0
        if self.nodes_left < 0 or self.text_left < 0:
            raise WeightsError(
                f"{self.name}: from the key {'.'.join(at)!r} on, interpolations grow beyond {MAX_NODES:,} values "
                f"or {MAX_TEXT:,} characters: this isn't a model's config."
            )

    def _fault(self, at: tuple[str, ...], shown: str, reason: str) -> WeightsError:
        key = ".".join(at)
        return WeightsError(f"{self.name}: {key}: {shown!r} can't be resolved: {reason}. Write the value in its place.")
