"""Eval and inference mode hold inside the block, and nothing is left of them behind it."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from speakerdiar.mixins.neural import ModelModes, inference_state, plain_tensors

Pair = namedtuple("Pair", "left right")


@dataclass
class Outputs:
    scores: torch.Tensor
    name: str = "outputs"
    count: int = field(default=3, init=False)


class Model(torch.nn.Module):
    """A model in training mode with a frozen part, and a featurizer as NeMo's models have."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)
        self.frozen = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5)).eval()
        if settings:
            self.preprocessor = torch.nn.Module()
            self.preprocessor.featurizer = SimpleNamespace(**settings)  # type: ignore[assignment]

    def modes(self) -> list[bool]:
        return [module.training for module in self.modules()]


def test_eval_and_inference_mode_hold_inside_and_each_submodule_gets_its_own_mode_back() -> None:
    model = Model()
    before = model.modes()
    assert len(set(before)) == 2
    with inference_state(model):
        assert not any(model.modes())
        assert torch.is_inference_mode_enabled()
        assert model.linear(torch.zeros(1, 2)).is_inference()
    assert model.modes() == before
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("settings", [{"dither": 1e-5, "pad_to": 16}, {"dither": 0.1}, {"pad_to": 8, "dither": None}])
def test_dither_and_padding_are_off_inside_and_back_behind(settings: dict[str, Any]) -> None:
    model = Model(**settings)
    with inference_state(model):
        assert vars(model.preprocessor.featurizer) == dict.fromkeys(settings, 0)
    assert vars(model.preprocessor.featurizer) == settings


def test_an_error_inside_restores_too() -> None:
    model = Model(dither=0.5)
    before = model.modes()
    with pytest.raises(RuntimeError, match="inside"), inference_state(model):
        raise RuntimeError("inside")
    assert model.modes() == before
    assert model.preprocessor.featurizer.dither == 0.5  # type: ignore[union-attr]
    assert not torch.is_inference_mode_enabled()


def test_nests() -> None:
    model = Model(pad_to=4)
    before = model.modes()
    with inference_state(model):
        with inference_state(model):
            assert not any(model.modes())
        assert not any(model.modes())
        assert model.preprocessor.featurizer.pad_to == 0  # type: ignore[union-attr]
        assert torch.is_inference_mode_enabled()
    assert model.modes() == before


def test_what_is_no_torch_module_runs_in_inference_mode() -> None:
    with inference_state(object()):
        assert torch.is_inference_mode_enabled()


def test_modes_tell_what_has_changed() -> None:
    model = Model(dither=0.5)
    modes = ModelModes.of(model)
    assert modes.changed_since() == ModelModes((), modes.featurizer)
    model.linear.eval()
    changed = modes.changed_since()
    assert changed.modules == ((model.linear, True),)
    changed.restore()
    assert model.linear.training


def inference_tensor() -> torch.Tensor:
    with torch.inference_mode():
        return torch.arange(3.0)


@pytest.mark.parametrize(
    ("make", "get"),
    [
        (lambda t: t, lambda v: v),
        (lambda t: [t, 1], lambda v: v[0]),
        (lambda t: (None, t), lambda v: v[1]),
        (lambda t: Pair("x", t), lambda v: v.right),
        (lambda t: {"a": [t]}, lambda v: v["a"][0]),
        (lambda t: OrderedDict(a=t), lambda v: v["a"]),
        (lambda t: defaultdict(list, {"a": t}), lambda v: v["a"]),
        (Outputs, lambda v: v.scores),
        (lambda t: {"deep": (Pair([Outputs(t)], 2),)}, lambda v: v["deep"][0].left[0].scores),
    ],
)
def test_plain_tensors_may_be_changed_in_place_and_containers_keep_their_type(make: Any, get: Any) -> None:
    original = inference_tensor()
    value = make(original)
    plain = plain_tensors(value)
    assert type(plain) is type(value)
    tensor = get(plain)
    assert not tensor.is_inference()
    tensor += 1
    assert tensor.tolist() == [1.0, 2.0, 3.0]
    assert original.tolist() == [0.0, 1.0, 2.0]
    assert get(value) is original


def test_plain_values_come_back_as_they_are() -> None:
    tensor, outputs = torch.ones(2), Outputs(torch.ones(1))
    assert plain_tensors(tensor) is tensor
    assert plain_tensors(outputs) is outputs
    assert plain_tensors("text") == "text"
    made: defaultdict[str, int] = defaultdict(int, {"a": 1})
    assert plain_tensors(made).default_factory is int
