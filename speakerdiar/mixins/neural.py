"""What must hold while a network runs, and what must be back when it has run."""

from __future__ import annotations

import copy
import dataclasses
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch


@dataclass
class _Hold:
    """A switch that some forwards hold where inference wants it: how many of them, and what it goes back to."""

    value: Any
    forwards: int = 1


_HELD: dict[tuple[int, str], _Hold] = {}  # by owner and attribute; whoever holds a switch keeps its owner alive
_LOCK = threading.RLock()  # may be taken again by a generator that is collected while it is held


@dataclass(frozen=True)
class ModelModes:
    """The switches of a model: each submodule's `training`, and its featurizer's dither and padding (NeMo's names).

    A forward that runs meanwhile, in another thread, isn't seen: a switch counts as standing where it will go back to.
    """

    modules: tuple[tuple[torch.nn.Module, bool], ...]
    featurizer: Any = None
    settings: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, model: object) -> ModelModes:
        """Note how a model stands now. A model that is no torch module has nothing to note."""
        modules = list(model.modules()) if isinstance(model, torch.nn.Module) else []
        featurizer = getattr(getattr(model, "preprocessor", None), "featurizer", None)
        names = [name for name in ("dither", "pad_to") if hasattr(featurizer, name)]
        with _LOCK:
            return cls(
                tuple((module, _value(module, "training")) for module in modules),
                featurizer,
                tuple((name, _value(featurizer, name)) for name in names),
            )

    def restore(self) -> None:
        """Put every switch back; one that a forward holds goes back when the forward is done."""
        with _LOCK:
            for owner, name, value in self._switches():
                _put(owner, name, value)

    def changed_since(self) -> ModelModes:
        """Return those switches that stand otherwise now, as they were when noted."""
        with _LOCK:
            modules = tuple((m, training) for m, training in self.modules if _value(m, "training") != training)
            settings = tuple((n, value) for n, value in self.settings if _value(self.featurizer, n) != value)
        return ModelModes(modules, self.featurizer, settings)

    def _switches(self) -> Iterator[tuple[Any, str, Any]]:
        for module, training in self.modules:
            yield module, "training", training
        for name, value in self.settings:
            yield self.featurizer, name, value


@contextmanager
def inference_state(model: object) -> Iterator[None]:
    """Eval mode, no dither, no padding and `torch.inference_mode`; all as before when the block is left.

    Meant to stand around a forward only, so that a generator that pauses outside it leaves the model as it was. Threads
    may be inside with one model at the same time: the first saves, the last restores.
    """
    held: list[tuple[Any, str]] = []
    switches = list(ModelModes.of(model)._switches())
    try:
        with _LOCK:
            for owner, name, _ in switches:
                _hold(owner, name)
                held.append((owner, name))
        with torch.inference_mode():
            yield
    finally:
        with _LOCK:
            for owner, name in held:
                _release(owner, name)


def _value(owner: Any, name: str) -> Any:
    hold = _HELD.get((id(owner), name))
    return getattr(owner, name) if hold is None else hold.value


def _put(owner: Any, name: str, value: Any) -> None:
    hold = _HELD.get((id(owner), name))
    if hold is None:
        setattr(owner, name, value)
    else:
        hold.value = value


def _hold(owner: Any, name: str) -> None:
    hold = _HELD.get((id(owner), name))
    if hold is not None:
        hold.forwards += 1
        return
    value = getattr(owner, name)
    setattr(owner, name, type(value)(0) if isinstance(value, bool | float) else 0)
    _HELD[id(owner), name] = _Hold(value)


def _release(owner: Any, name: str) -> None:
    hold = _HELD[id(owner), name]
    hold.forwards -= 1
    if not hold.forwards:
        del _HELD[id(owner), name]
        setattr(owner, name, hold.value)


def plain_tensors(value: Any) -> Any:
    """Return the value with its inference tensors as ordinary ones, which may be changed in place.

    Looks into lists, tuples, dicts and dataclasses; every container keeps its type. Call it outside inference mode.
    """
    if isinstance(value, torch.Tensor):
        return value.clone() if value.is_inference() else value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(plain_tensors(item) for item in value))
    if type(value) in (list, tuple):
        return type(value)(plain_tensors(item) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        plain = {name: plain_tensors(item) for name, item in held.items()}
        return dataclasses.replace(value, **plain) if any(plain[n] is not held[n] for n in held) else value
    if isinstance(value, MutableMapping):
        # A copy keeps what a subclass needs to be made, such as the factory of a defaultdict.
        same = copy.copy(value)
        for key, item in value.items():
            same[key] = plain_tensors(item)
        return same
    return value
