"""Finds a learning rate: a short training in which it climbs until the loss grows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl

from speakerdiar.errors import ConfigError
from speakerdiar.training.config import TrainConfig
from speakerdiar.training.lightning_trainer import lightning_trainer
from speakerdiar.training.recipe_data import RecipeData
from speakerdiar.training.recipes import Recipe

LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 120
SMOOTHING = 0.9
SKIPPED = 20
"""Steps at the beginning whose smoothed loss is still that of a few batches."""
TOO_MUCH = 3.0
"""Times the least loss, at which the test ends."""


def found_rate(config: TrainConfig, recipe: Recipe) -> float:
    """Return a rate at which the loss falls (range test of Smith 2017, arXiv:1506.01186), found on one device.

    Args:
        config: settings, without a rate.
        recipe: of a network that is made for this alone; the training makes its own.

    Raises:
        ConfigError: several devices are asked for, or no rate was found.
    """
    devices = lightning_trainer(config, devices=config.trainer.devices, logger=False).num_devices
    if devices > 1:
        raise ConfigError(
            f"optim.rate=null with trainer.devices={config.trainer.devices}, {devices} here: find the rate on one "
            "(trainer.devices=1), then give it."
        )
    learner, climb = recipe.learner(), _Climb()
    learner.optim = replace(config.optim, rate=HIGHEST)
    trainer = lightning_trainer(
        config,
        devices=1,
        max_steps=STEPS,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        callbacks=[climb],
    )
    trainer.fit(learner, datamodule=RecipeData(recipe, None))
    return reading(climb.losses)


def rate_at(step: int) -> float:
    """Return the rate of a step of the test."""
    return float(LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1)))


def reading(losses: Sequence[float]) -> float:
    """Return a tenth of the rate at which the smoothed loss was least: below it the loss falls, above it soon grows.

    Raises:
        ConfigError: the loss wasn't a number for long enough.
    """
    finite = [(loss, step) for step, loss in enumerate(losses) if step >= SKIPPED and math.isfinite(loss)]
    if not finite:
        raise ConfigError("optim.rate=null: no rate was found at which the loss falls: give one, e.g. 1e-3.")
    return rate_at(min(finite)[1]) / 10


class _Climb(pl.Callback):
    """Has the rates of all groups climb from step to step, and keeps the smoothed losses."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self._shares: list[float] = []
        self._mean = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._shares = [group["initial_lr"] / HIGHEST for group in trainer.optimizers[0].param_groups]

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        for group, share in zip(trainer.optimizers[0].param_groups, self._shares, strict=True):
            group["lr"] = share * rate_at(batch_idx)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._mean = SMOOTHING * self._mean + (1 - SMOOTHING) * float(outputs["loss"])
        self.losses.append(self._mean / (1 - SMOOTHING ** (batch_idx + 1)))
        least = min(self.losses[SKIPPED:], default=math.inf)
        trainer.should_stop = not self.losses[-1] <= TOO_MUCH * least
