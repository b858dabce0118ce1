"""The smallest recipe: numbers to be told from their noise, with validations that say what a test wants."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch.utils.data import DataLoader

from speakerdiar.training.chance import DrawnExamples
from speakerdiar.training.config import DataConfig, OptimConfig, TrainConfig, TrainerConfig
from speakerdiar.training.learner import Learner
from speakerdiar.training.recipes import Recipe

SIZE = 4
TRUTH = torch.tensor([1.0, -2.0, 0.5, 3.0])


@dataclass
class ToyOptions:
    """Settings of the toy.

    Attributes:
        name: of the recipe.
        figures: of the validations, in turn; none for the distance from truth.
        pause: seconds of a step.
        log: file to which each step adds a line: process, step, first number.
    """

    name: str = "toy"
    figures: list[float] = field(default_factory=list)
    pause: float = 0.0
    log: str | None = None


class Numbers(DrawnExamples[tuple[torch.Tensor, torch.Tensor]]):
    def stream(self, rng: np.random.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            inputs = torch.from_numpy(rng.standard_normal(SIZE)).float()
            yield inputs, inputs @ TRUTH


class ToyLearner(Learner):
    def __init__(self, options: ToyOptions, optim: OptimConfig, steps: int) -> None:
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(SIZE, SIZE), torch.nn.Linear(SIZE, 1))
        super().__init__(network, optim, steps)
        self.options = options
        self.judged_weights: list[torch.Tensor] = []

    def losses(self, batch: Any) -> dict[str, torch.Tensor]:
        inputs, wanted = batch
        if self.options.log is not None:
            with open(self.options.log, "a") as log:
                log.write(f"{self.global_rank} {self.global_step} {float(inputs[0, 0]):.6f}\n")
        time.sleep(self.options.pause)
        loss = (self.network(inputs)[:, 0] - wanted).pow(2).mean()
        return {"loss": loss, "half": loss / 2}

    def observed(self, batch: Any) -> float:
        inputs, wanted = batch
        self.judged_weights.append(next(self.network.parameters()).detach().clone())
        return float((self.network(inputs)[:, 0] - wanted).abs().mean())

    def judged(self, observations: list[Any]) -> dict[str, float]:
        turn = self.global_step // self.trainer.val_check_interval - 1
        figures = self.options.figures
        return {"der": figures[int(turn)] if figures else float(np.mean(observations))}


class ToyRecipe(Recipe):
    Options = ToyOptions

    def learner(self) -> ToyLearner:
        return ToyLearner(self.config.recipe, self.config.optim, self.config.trainer.max_steps)

    def training_data(self) -> DataLoader[Any]:
        data = self.config.data
        return DataLoader(Numbers(data.seed), batch_size=data.batch_size, num_workers=data.workers)

    def validation_data(self) -> DataLoader[Any] | None:
        if not self.config.data.held_out:
            return None
        rng = np.random.default_rng(99)
        inputs = torch.from_numpy(rng.standard_normal((16, SIZE))).float()
        return DataLoader([(one, one @ TRUTH) for one in inputs], batch_size=8)  # type: ignore[arg-type]

    def save(self, learner: Learner, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(learner.network.state_dict(), folder / "model.safetensors")
        return folder


def settings(output: Path | str, *, figures: list[float] | None = None, **trainer: Any) -> TrainConfig:
    """Return settings of a short training without curves for TensorBoard."""
    quick = {"max_steps": 40, "validate_every": 10, "accelerator": "cpu", "devices": 1, "tensorboard": False}
    return TrainConfig(
        recipe=ToyOptions(figures=figures or []),
        data=DataConfig(batch_size=8),
        optim=OptimConfig(rate=0.03),
        trainer=TrainerConfig(**{**quick, "ema": 0.9, **trainer}),
        output=str(output),
    )
