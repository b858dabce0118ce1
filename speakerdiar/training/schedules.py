"""How weights move: the optimizer, its rate over the steps, and the rates of layers."""

from __future__ import annotations

import fnmatch
import math

import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError, closest
from speakerdiar.training.config import OptimConfig

SCHEDULES = ("cosine", "constant")


def optimizers(module: torch.nn.Module, optim: OptimConfig, steps: int) -> OptimizerLRSchedulerConfig:
    """Return optimizer and scheduler, as `configure_optimizers` of Lightning does.

    Args:
        module: what learns.
        optim: rates and decay.
        steps: of the whole training.

    Raises:
        ConfigError: a value that can't be used.
    """
    _check(optim, steps)
    assert optim.rate is not None, "the learning-rate finder has its say before"
    groups = rated(module, optim.rate, optim.layer_decay)
    optimizer = torch.optim.AdamW(groups, lr=optim.rate, weight_decay=optim.decay)
    climb = max(1, round(steps * optim.warmup))

    def share(step: int) -> float:
        climbed = min(1.0, (step + 1) / climb)
        if optim.schedule == "constant":
            return climbed
        return climbed * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0, step - climb) / max(1, steps - climb))))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def freeze(module: torch.nn.Module, patterns: list[str]) -> None:
    """Take from parameters whose names match a pattern (`fnmatch`, e.g. `network.lstm.*`) their gradient.

    Raises:
        ConfigError: a pattern matches none; the message has the closest name.
    """
    names = [name for name, _ in module.named_parameters()]
    for pattern in patterns:
        matched = fnmatch.filter(names, pattern)
        if not matched:
            raise ConfigError(f"optim.freeze: {pattern!r} matches no parameter.{closest(pattern, names)}")
        for name in matched:
            module.get_parameter(name).requires_grad_(False)


def rated(module: torch.nn.Module, rate: float, layer_decay: float) -> list[dict[str, object]]:
    """Return the free parameters in groups of one layer each, whose rate falls from the last layer to the first.

    A layer is a module that holds parameters itself, in the order in which the network lists them (Howard and Ruder
    2018, arXiv:1801.06146, section 3.2).
    """
    layers = [list(layer.parameters(recurse=False)) for layer in module.modules()]
    free = [[weight for weight in layer if weight.requires_grad] for layer in layers]
    kept = [layer for layer in free if layer]
    return [{"params": layer, "lr": rate * layer_decay ** (len(kept) - 1 - place)} for place, layer in enumerate(kept)]


def _check(optim: OptimConfig, steps: int) -> None:
    if not is_count(steps, least=1):
        raise ConfigError(f"trainer.max_steps={steps!r}: give a whole number, 1 or more.")
    if optim.rate is None or not optim.rate > 0:
        raise ConfigError(f"optim.rate={optim.rate!r}: give a learning rate above 0.")
    if optim.schedule not in SCHEDULES:
        raise ConfigError(f"optim.schedule={optim.schedule!r}: give one of {', '.join(SCHEDULES)}.")
    if not 0 <= optim.warmup < 1:
        raise ConfigError(f"optim.warmup={optim.warmup!r}: give a share from 0 to below 1.")
    if not optim.decay >= 0:
        raise ConfigError(f"optim.decay={optim.decay!r}: give 0 or more.")
    if not 0 < optim.layer_decay <= 1:
        raise ConfigError(f"optim.layer_decay={optim.layer_decay!r}: give a factor above 0 and up to 1.")
