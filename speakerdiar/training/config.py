"""Settings of a training, each with its default and meaning, once; Hydra checks every key against these classes.

`conf/train.yaml` composes them with a recipe's own values (`conf/recipe/NAME.yaml`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class DataConfig:
    """What is learnt from."""

    train: list[str] = field(default_factory=list)
    """Manifests of recordings with their RTTM to learn from, beside or in place of simulated conversations."""
    validation: list[str] = field(default_factory=list)
    """The same, held out: the best checkpoint is chosen by the error rate on these."""
    clips: list[str] = field(default_factory=list)
    """Folders, Kaldi folders or manifests of single-speaker clips, from which conversations are simulated."""
    noise: list[str] = field(default_factory=list)
    """Folders of background sounds for these."""
    held_out: int = 10
    """Of clips, each so many-th speaker is kept out of training and validates it; 0 for none."""
    batch_size: int = 32
    """Examples of a step."""
    workers: int = 0
    """Processes that make examples."""
    seed: int = 0
    """Of all chance in examples."""


@dataclass
class OptimConfig:
    """How weights move: AdamW."""

    rate: float | None = 1e-3
    """The highest learning rate; null for what the learning-rate finder says."""
    schedule: str = "cosine"
    """`cosine` falls to nothing at the last step, `constant` stays."""
    warmup: float = 0.05
    """Share of the steps in which the rate climbs."""
    decay: float = 1e-3
    """Of the weights."""
    layer_decay: float = 1.0
    """By what the rate of a layer is multiplied for each layer behind it; 1 for one rate."""
    freeze: list[str] = field(default_factory=list)
    """Patterns (`fnmatch`) of parameters that don't move."""


@dataclass
class TrainerConfig:
    """How training runs."""

    max_steps: int = 20000
    """Steps in all."""
    validate_every: int = 1000
    """Steps from one validation to the next."""
    validation_batches: int = 20
    """Batches of simulated conversations in a validation."""
    precision: str = "32-true"
    """Lightning's name: `32-true`, `bf16-mixed`, `16-mixed`."""
    accelerator: str = "auto"
    """Lightning's name: `auto`, `cpu`, `gpu`."""
    devices: Any = "auto"
    """How many; `auto` for all. On several, each learns from its own examples (DDP)."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 for no limit."""
    ema: float = 0.999
    """Decay of the moving average of weights that is validated and saved; 0 for the weights themselves."""
    patience: int = 0
    """Validations without a better one after which training stops; 0 for never."""
    keep: int = 1
    """Checkpoints that are kept, best first."""
    progress: bool = True
    """Show a progress bar."""
    tensorboard: bool = True
    """Write curves for TensorBoard."""


@dataclass
class TrainConfig:
    """All settings of a training."""

    recipe: Any = MISSING
    """What is trained, with the recipe's own settings; `recipe.name` is a row of RECIPES."""
    data: DataConfig = field(default_factory=DataConfig)
    """What is learnt from."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """How weights move."""
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    """How training runs."""
    init: str | None = None
    """Weights to begin with: a file, a folder, or a name, of whatever our loaders read; null for random ones."""
    output: str = "training"
    """Folder for checkpoints, curves, and the trained model."""
    resume: bool = True
    """Go on from the last checkpoint in `output`, if there is one."""
    seed: int = 0
    """Of initial weights."""
