"""How weights move: the optimizer and its rate over the steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """AdamW with a rate that climbs and falls once over all steps (Smith and Topin, arXiv:1708.07120).

    Attributes:
        steps: batches to learn from.
        rate: the highest learning rate.
        climb: share of the steps in which the rate climbs.
        decay: of the weights.
    """

    steps: int = 500
    rate: float = 2e-3
    climb: float = 0.2
    decay: float = 1e-3

    def __post_init__(self) -> None:
        if not is_count(self.steps, least=2):
            raise ConfigError(f"steps={self.steps!r}: give a whole number, 2 or more.")
        if not self.rate > 0:
            raise ConfigError(f"rate={self.rate!r}: give a learning rate above 0.")
        if not 0 < self.climb < 1:
            raise ConfigError(f"climb={self.climb!r}: give a share between 0 and 1.")
        if not self.decay >= 0:
            raise ConfigError(f"decay={self.decay!r}: give 0 or more.")

    def optimizers(self, parameters: Iterable[torch.nn.Parameter]) -> OptimizerLRSchedulerConfig:
        """Return optimizer and scheduler, as `configure_optimizers` of Lightning does; frozen parameters stay out."""
        free = [parameter for parameter in parameters if parameter.requires_grad]
        optimizer = torch.optim.AdamW(free, lr=self.rate, weight_decay=self.decay)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.rate, self.steps, pct_start=self.climb)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
