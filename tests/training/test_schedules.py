"""Rates climb and fall, fall from layer to layer, and frozen weights stay out."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from speakerdiar.errors import ConfigError
from speakerdiar.training.config import OptimConfig
from speakerdiar.training.schedules import freeze, optimizers, rated


def network() -> torch.nn.Module:
    return torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(3)))


def rates(optim: OptimConfig, steps: int, layer: int = 0) -> list[float]:
    made: Any = optimizers(network(), optim, steps)
    assert made["lr_scheduler"]["interval"] == "step"
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[layer]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_the_rate_climbs_and_falls() -> None:
    found = rates(OptimConfig(rate=0.5, warmup=0.25), 20)
    assert found[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert found[4:] == sorted(found[4:], reverse=True)
    assert 0 < found[-1] < 0.02


def test_a_constant_rate_stays() -> None:
    assert rates(OptimConfig(rate=0.5, warmup=0.2, schedule="constant"), 10) == pytest.approx([0.25] + [0.5] * 9)


def test_rates_fall_from_the_last_layer_to_the_first() -> None:
    groups = rated(network(), 1.0, 0.5)
    assert [group["lr"] for group in groups] == [0.25, 0.5, 1.0]
    for layer, peak in enumerate((0.25, 0.5, 1.0)):
        assert max(rates(OptimConfig(rate=1.0, layer_decay=0.5), 20, layer)) == pytest.approx(peak)


def test_frozen_weights_stay_out() -> None:
    own = network()
    freeze(own, ["1.*", "2.bias"])
    groups = rated(own, 1.0, 0.5)
    kept = [[weight.shape for weight in group["params"]] for group in groups]  # type: ignore[attr-defined]
    assert kept == [[(2, 2), (2,)], [(2, 2)]]
    assert [group["lr"] for group in groups] == [0.5, 1.0]


def test_a_pattern_that_matches_nothing() -> None:
    with pytest.raises(
        ConfigError, match=r"optim\.freeze: '0\.wait' matches no parameter\. Did you mean '0\.weight'\?"
    ):
        freeze(network(), ["0.wait"])


@pytest.mark.parametrize(
    "options",
    [{"rate": 0.0}, {"rate": None}, {"schedule": "step"}, {"warmup": 1.0}, {"decay": -1.0}, {"layer_decay": 0.0}],
)
def test_values_that_cannot_be(options: dict[str, Any]) -> None:
    [name] = options
    with pytest.raises(ConfigError, match=rf"optim\.{name}="):
        optimizers(network(), OptimConfig(**options), 10)


def test_steps_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.max_steps=0"):
        optimizers(network(), OptimConfig(), 0)
