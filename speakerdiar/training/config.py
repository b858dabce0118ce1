"""Settings of a training, each with its default and meaning, once; Hydra checks every key against these classes.

`conf/train.yaml` composes them with a recipe's own values (`conf/recipe/NAME.yaml`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class DataConfig:
    """What is learnt from.

    Attributes:
        train: manifests of recordings with their RTTM to learn from, beside or in place of simulated conversations.
        validation: the same, held out: the best checkpoint is chosen by the error rate on these.
        clips: folders, Kaldi folders or manifests of single-speaker clips, from which conversations are simulated.
        noise: folders of background sounds for these.
        held_out: of clips, each so many-th speaker is kept out of training and validates it; 0 for none.
        batch_size: examples of a step.
        workers: processes that make examples.
        seed: of all chance in examples.
    """

    train: list[str] = field(default_factory=list)
    validation: list[str] = field(default_factory=list)
    clips: list[str] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)
    held_out: int = 10
    batch_size: int = 32
    workers: int = 0
    seed: int = 0


@dataclass
class OptimConfig:
    """How weights move: AdamW.

    Attributes:
        rate: the highest learning rate; null for what the learning-rate finder says.
        schedule: `cosine` falls to nothing at the last step, `constant` stays.
        warmup: share of the steps in which the rate climbs.
        decay: of the weights.
        layer_decay: by what the rate of a layer is multiplied for each layer behind it; 1 for one rate.
        freeze: patterns (`fnmatch`) of parameters that don't move.
    """

    rate: float | None = 1e-3
    schedule: str = "cosine"
    warmup: float = 0.05
    decay: float = 1e-3
    layer_decay: float = 1.0
    freeze: list[str] = field(default_factory=list)


@dataclass
class TrainerConfig:
    """How training runs.

    Attributes:
        max_steps: steps in all.
        validate_every: steps from one validation to the next.
        validation_batches: batches of simulated conversations in a validation.
        precision: Lightning's name: `32-true`, `bf16-mixed`, `16-mixed`.
        accelerator: Lightning's name: `auto`, `cpu`, `gpu`.
        devices: how many; `auto` for all. On several, each learns from its own examples (DDP).
        clip: largest norm of the gradient; 0 for no limit.
        ema: decay of the moving average of weights that is validated and saved; 0 for the weights themselves.
        patience: validations without a better one after which training stops; 0 for never.
        keep: checkpoints that are kept, best first.
        progress: show a progress bar.
        tensorboard: write curves for TensorBoard.
    """

    max_steps: int = 20000
    validate_every: int = 1000
    validation_batches: int = 20
    precision: str = "32-true"
    accelerator: str = "auto"
    devices: Any = "auto"
    clip: float = 1.0
    ema: float = 0.999
    patience: int = 0
    keep: int = 1
    progress: bool = True
    tensorboard: bool = True


@dataclass
class TrainConfig:
    """All settings of a training.

    Attributes:
        recipe: what is trained, with the recipe's own settings; `recipe.name` is a row of RECIPES.
        data: what is learnt from.
        optim: how weights move.
        trainer: how training runs.
        init: weights to begin with: a file, a folder, or a name, of whatever our loaders read; null for random ones.
        output: folder for checkpoints, curves, and the trained model.
        resume: go on from the last checkpoint in `output`, if there is one.
        seed: of initial weights.
    """

    recipe: Any = MISSING
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    init: str | None = None
    output: str = "training"
    resume: bool = True
    seed: int = 0
