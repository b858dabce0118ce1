"""Makes what runs steps, of the settings that all trainings share."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException

from speakerdiar.errors import ConfigError
from speakerdiar.training.config import TrainConfig


def lightning_trainer(config: TrainConfig, **options: Any) -> pl.Trainer:
    """Return a trainer without bars, on the accelerator and in the precision of the settings.

    Args:
        config: all settings.
        options: Lightning's, beside these.

    Raises:
        ConfigError: an accelerator or devices that aren't here.
    """
    settings = config.trainer
    try:
        return pl.Trainer(
            accelerator=settings.accelerator,
            precision=settings.precision,  # type: ignore[arg-type]  # Lightning lists its names one by one
            gradient_clip_val=settings.clip or None,
            max_epochs=-1,
            default_root_dir=config.output,
            enable_progress_bar=False,
            enable_model_summary=False,
            **options,
        )
    except (MisconfigurationException, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"trainer.accelerator={settings.accelerator}, trainer.devices={settings.devices}: {reason} Give what this "
            "machine has."
        ) from error
