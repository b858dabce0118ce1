"""RECIPES: the one table of what `speakerdiar train` can train."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from speakerdiar.training.config import TrainConfig
    from speakerdiar.training.learner import Learner

CONF = Path(__file__).parent / "conf"
"""Folder of `train.yaml` and of the recipes' values."""
RECIPES: Mapping[str, str] = {
    "segmentation": "speakerdiar.training.segmentation:SegmentationRecipe",
    "embedding": "speakerdiar.training.embedding:EmbeddingRecipe",
    "sortformer": "speakerdiar.training.sortformer:SortformerRecipe",
    "sond": "speakerdiar.training.sond_recipe:SondRecipe",
}
"""Recipes by name: `module:Class`."""


class Recipe(ABC):
    """Puts together what one kind of model is trained with; values stand in `conf/recipe/NAME.yaml`.

    Args:
        config: all settings; `config.recipe` is an `Options` of the recipe.
    """

    Options: ClassVar[type]
    """Dataclass of the recipe's own settings, `name` among them."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config

    @abstractmethod
    def learner(self) -> Learner:
        """Make the network, from `config.init` where given, and what teaches it."""

    @abstractmethod
    def training_data(self) -> DataLoader[Any]:
        """Return batches without end, of a `DrawnExamples`, so that no process draws what another one draws."""

    @abstractmethod
    def validation_data(self) -> DataLoader[Any] | None:
        """Return the batches of a validation, the same ones each time; None where nothing is held out."""

    @abstractmethod
    def save(self, learner: Learner, folder: Path) -> Path:
        """Write the trained model as a folder of our own format, which our loaders open, and return its path.

        A folder that an earlier part of the training wrote there is replaced.
        """
