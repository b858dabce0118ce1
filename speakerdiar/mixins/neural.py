"""What must hold while a network runs, and what must be back when it has run."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class ModelModes:
    """The switches of a model: each submodule's `training`, and its featurizer's dither and padding (NeMo's names)."""

    modules: tuple[tuple[torch.nn.Module, bool], ...]
    featurizer: Any = None
    settings: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, model: object) -> ModelModes:
        """Note how a model stands now. A model that is no torch module has nothing to note."""
        modules = tuple((m, m.training) for m in model.modules()) if isinstance(model, torch.nn.Module) else ()
        featurizer = getattr(getattr(model, "preprocessor", None), "featurizer", None)
        names = [name for name in ("dither", "pad_to") if hasattr(featurizer, name)]
        return cls(modules, featurizer, tuple((name, getattr(featurizer, name)) for name in names))

    def restore(self) -> None:
        """Put every switch back."""
        for module, training in self.modules:
            module.training = training
        for name, value in self.settings:
            setattr(self.featurizer, name, value)

    def changed_since(self) -> ModelModes:
        """Return those switches that stand otherwise now, as they were when noted."""
        modules = tuple((module, training) for module, training in self.modules if module.training != training)
        settings = tuple((name, value) for name, value in self.settings if getattr(self.featurizer, name) != value)
        return ModelModes(modules, self.featurizer, settings)


@contextmanager
def inference_state(model: object) -> Iterator[None]:
    """Eval mode, no dither, no padding and `torch.inference_mode`; all as before when the block is left.

    Meant to stand around a forward only, so that a generator that pauses outside it leaves the model as it was.
    """
    modes = ModelModes.of(model)
    try:
        for module, _ in modes.modules:
            module.training = False
        for name, value in modes.settings:
            setattr(modes.featurizer, name, 0.0 if isinstance(value, float) else 0)
        with torch.inference_mode():
            yield
    finally:
        modes.restore()


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
