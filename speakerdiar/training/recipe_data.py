"""The loaders of a recipe, handed to Lightning when it knows which process and which step they are for."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from speakerdiar.training.chance import DrawnExamples
from speakerdiar.training.recipes import Recipe


class RecipeData(pl.LightningDataModule):
    """A recipe's loaders, for Lightning to ask for once it knows process and step.

    Args:
        recipe: whose.
        validation: the batches of a validation; None for none.
    """

    def __init__(self, recipe: Recipe, validation: DataLoader[Any] | None) -> None:
        super().__init__()
        self.recipe, self.validation = recipe, validation

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the batches to learn from: others in each process, and others after each interruption."""
        loader = self.recipe.training_data()
        if isinstance(loader.dataset, DrawnExamples) and self.trainer is not None:
            loader.dataset.begin(self.trainer.global_rank, self.trainer.global_step)
        return loader

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """Return the batches of a validation."""
        return [] if self.validation is None else self.validation
