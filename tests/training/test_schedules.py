"""The rate climbs and falls once; frozen weights stay out."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from speakerdiar.errors import ConfigError
from speakerdiar.training.schedules import Schedule


def test_the_rate_climbs_and_falls() -> None:
    found: Any = Schedule(steps=20, rate=0.5, climb=0.25).optimizers([torch.nn.Parameter(torch.zeros(1))])
    optimizer, scheduler = found["optimizer"], found["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert max(rates) == pytest.approx(0.5)
    assert rates.index(max(rates)) == 4
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[-1] < 0.01


def test_frozen_weights_stay_out() -> None:
    free, frozen = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1), requires_grad=False)
    found: Any = Schedule().optimizers([free, frozen])
    assert found["optimizer"].param_groups[0]["params"] == [free]


@pytest.mark.parametrize("options", [{"steps": 1}, {"rate": 0}, {"climb": 1}, {"decay": -1}])
def test_schedules_that_cannot_be(options: dict[str, Any]) -> None:
    [name] = options
    with pytest.raises(ConfigError, match=f"{name}="):
        Schedule(**options)
