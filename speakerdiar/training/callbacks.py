"""What happens beside the steps of a training: averaged weights, a bar, a last validation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class MovingAverage(WeightAveraging):
    """Keeps an exponential moving average of the weights, which is what is validated and saved.

    The decay climbs to its value, (1 + step) / (10 + step) at first, so that the average soon forgets the weights of
    the beginning.

    Args:
        decay: share of the average that stays at each step.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=self._average)
        self.decay, self._step = decay, 0

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Note the step; every one of them counts."""
        self._step = self._step if step_idx is None else step_idx
        return step_idx is not None

    def _average(self, averaged: Sequence[torch.Tensor], current: Sequence[torch.Tensor], count: object) -> None:
        share = min(self.decay, (1 + self._step) / (10 + self._step))
        average: Any = get_ema_multi_avg_fn(share)  # type: ignore[no-untyped-call]
        average(averaged, current, count)


class LastValidation(pl.Callback):
    """Has the last step validated, too, wherever the steps between validations end."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Ask for the end where the steps end: Lightning validates before an end that is asked for."""
        if trainer.global_step >= trainer.max_steps:
            trainer.should_stop = True


class StepProgress(pl.Callback):
    """A bar over the steps on a terminal, with the loss and the last validation."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[figures]}"))
        self._progress = Progress(*columns, *times, console=Console(stderr=True), transient=True)

    @staticmethod
    def is_seen() -> bool:
        """Whether anyone looks: standard error is a terminal."""
        return sys.stderr.isatty()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the bar."""
        if trainer.is_global_zero:
            self._progress.add_task("Training", total=trainer.max_steps, completed=trainer.global_step, figures="")
            self._progress.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar."""
        for task in self._progress.task_ids:
            shown = trainer.progress_bar_metrics
            figures = "  ".join(f"{name} {value:.3g}" for name, value in shown.items() if isinstance(value, float))
            self._progress.update(task, completed=trainer.global_step, figures=figures)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the bar away."""
        self._progress.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Take the bar away."""
        self._progress.stop()
