"""Finds a learning rate: a short training in which it climbs until the loss grows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.tuner.tuning import Tuner

from speakerdiar.errors import ConfigError
from speakerdiar.training.config import TrainConfig
from speakerdiar.training.recipes import Recipe

LOWEST, HIGHEST = 1e-6, 0.1
STEPS = 100
LEAST = 10
"""Steps with a loss that is a number, without which nothing can be said."""


def found_rate(config: TrainConfig, recipe: Recipe) -> float:
    """Return a rate at which the loss falls (range test of Smith 2017, arXiv:1506.01186), found on one device.

    Args:
        config: settings, without a rate.
        recipe: of a network that is made for this alone; the training makes its own.

    Raises:
        ConfigError: several devices are asked for, or no rate was found.
    """
    if config.trainer.devices not in ("auto", 1):
        raise ConfigError(
            f"optim.rate=null with trainer.devices={config.trainer.devices}: find the rate on one device "
            "(trainer.devices=1), then give it."
        )
    learner: Any = recipe.learner()
    learner.optim = replace(config.optim, rate=LOWEST)
    learner.lr = LOWEST  # what the tuner looks for
    precision: Any = config.trainer.precision
    trainer = pl.Trainer(
        accelerator=config.trainer.accelerator,
        devices=1,
        max_epochs=-1,
        precision=precision,
        gradient_clip_val=config.trainer.clip or None,
        default_root_dir=config.output,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    batches = recipe.training_data()
    # Batches to validate with are asked for, too, and never taken: no epoch ends.
    finder: Any = Tuner(trainer).lr_find(
        learner, batches, batches, min_lr=LOWEST, max_lr=HIGHEST, num_training=STEPS, update_attr=False
    )
    return reading(finder.results["lr"], finder.results["loss"])


def reading(rates: Sequence[float], losses: Sequence[float]) -> float:
    """Return a tenth of the rate at which the loss was least: below it, the loss falls, and above, it soon grows.

    Raises:
        ConfigError: the loss was no number from the beginning.
    """
    finite = [(loss, rate) for rate, loss in zip(rates, losses, strict=True) if math.isfinite(loss)]
    if len(finite) < LEAST:
        raise ConfigError("optim.rate=null: no rate was found at which the loss falls: give one, e.g. 1e-3.")
    return min(finite)[1] / 10
