"""The template of what learns: a network, its losses, and how a validation judges it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig

from speakerdiar.training.config import OptimConfig
from speakerdiar.training.schedules import freeze, optimizers


class Learner(pl.LightningModule, ABC):
    """Gives a recipe's module its steps, its logs and its optimizer.

    A subclass writes three steps:

        losses(batch) -> {"loss": what is minimised, ...}   parts are logged beside it
        observed(batch) -> Any                              what a validation needs of a batch
        judged(observations) -> {METRIC: figure, ...}       figures of a whole validation, lower is better

    All weights but frozen ones take part in the loss: training on several devices (DDP) waits for their gradients.

    Args:
        network: what learns, and what is saved.
        optim: how its weights move.
        steps: of the whole training.
    """

    METRIC: ClassVar[str] = "der"
    """Figure by which the best checkpoint is chosen."""

    def __init__(self, network: torch.nn.Module, optim: OptimConfig, steps: int) -> None:
        super().__init__()
        self.network, self.optim, self.steps = network, optim, steps
        self._observations: list[Any] = []

    def setup(self, stage: str) -> None:
        """Freeze what `optim.freeze` names, before anything is made of the free weights."""
        freeze(self, self.optim.freeze)

    @abstractmethod
    def losses(self, batch: Any) -> dict[str, torch.Tensor]:
        """Return the loss of a batch by the name `loss`, and parts of it by theirs."""

    @abstractmethod
    def observed(self, batch: Any) -> Any:
        """Return what `judged` needs of a validation batch."""

    @abstractmethod
    def judged(self, observations: list[Any]) -> dict[str, float]:
        """Return the figures of a validation, METRIC among them."""

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        """Return the loss of a batch, and log its parts."""
        losses = self.losses(batch)
        self.log_dict({name: value.detach() for name, value in losses.items()}, prog_bar=True)
        return losses["loss"]

    def validation_step(self, batch: Any, index: int) -> None:
        """Keep what the end of the validation needs."""
        self._observations.append(self.observed(batch))

    def on_validation_epoch_end(self) -> None:
        """Log the figures of the validation; on several devices the mean of each one's."""
        figures = self.judged(self._observations)
        self._observations = []
        self.log_dict(figures, prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return AdamW and its schedule over the steps."""
        return optimizers(self, self.optim, self.steps)
