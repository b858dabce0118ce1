"""Runs a training: from settings to a folder with the model whose validation was best."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger

from speakerdiar.errors import ConfigError, MissingExtraError, WeightsError
from speakerdiar.formats import files
from speakerdiar.training.callbacks import LastValidation, MovingAverage, StepProgress
from speakerdiar.training.composing import check, recipe_class
from speakerdiar.training.config import TrainConfig
from speakerdiar.training.learner import Learner
from speakerdiar.training.lightning_trainer import lightning_trainer
from speakerdiar.training.rate_finder import found_rate
from speakerdiar.training.recipe_data import RecipeData
from speakerdiar.training.recipes import Recipe
from speakerdiar.training.resuming import LAST, keep_config, resumed_from, with_former_rate

MODEL = "model"
"""Of the folder of a training: the trained model, as a folder of our own format."""
RESULT = "result.json"
"""Of the folder of a training: the step that the model is from, and its score."""
_EXPECTED = (
    ".*does not have many workers",  # `data.workers` is the user's choice
    "Checkpoint directory .* exists and is not empty",  # it holds the settings, and what a training goes on from
    ".*LeafSpec",  # a name of torch's that Lightning still uses
)
"""Warnings of Lightning that tell nobody anything."""


def train(config: TrainConfig, recipe: type[Recipe] | None = None) -> Path:
    """Train, or go on with a training, and return the folder of the trained model: `output/model`.

    `output` also holds the settings (`config.yaml`), the newest checkpoint (`last.ckpt`), the best ones, curves, and
    `result.json` with the score of the model. What is validated and saved are averaged weights (`trainer.ema`).

    Args:
        config: see `speakerdiar.training.composing.compose`.
        recipe: a recipe of one's own; by default that of `RECIPES` by the name `config.recipe.name`.

    Raises:
        ConfigError: settings that can't be used, or others than those that the training in `output` began with.
        InputError: data that can't be learnt from.
        WeightsError: weights to begin with, or a checkpoint to go on from, that can't be read.
        MissingExtraError: `trainer.tensorboard` is true, and TensorBoard isn't installed.
    """
    check(config)
    cls = recipe or recipe_class(config.recipe.name)
    last = resumed_from(config)
    with _quiet():
        config = _with_rate(config, cls, last)
        pl.seed_everything(config.seed, workers=True, verbose=False)
        made = cls(config)
        learner, validation = made.learner(), made.validation_data()
        trainer = _trainer(config, learner.METRIC, validated=validation is not None)
        if trainer.is_global_zero:
            keep_config(config)
        data = RecipeData(made, validation)
        try:
            # Nothing in a checkpoint is ever run: torch reads no more than tensors and plain values.
            trainer.fit(learner, datamodule=data, ckpt_path=last, weights_only=True)
        except UnpicklingError as error:
            raise WeightsError(f"{last}: isn't a checkpoint of a training: give another output.") from error
        return _saved(trainer, made, learner, Path(config.output))


def _with_rate(config: TrainConfig, cls: type[Recipe], last: Path | None) -> TrainConfig:
    """Return the settings with a learning rate: the one given, that of the training gone on with, or one found."""
    config = config if last is None else with_former_rate(config)
    if config.optim.rate is not None:
        return config
    pl.seed_everything(config.seed, workers=True, verbose=False)
    return replace(config, optim=replace(config.optim, rate=found_rate(config, cls(config))))


def _trainer(config: TrainConfig, metric: str, validated: bool) -> pl.Trainer:
    settings = config.trainer
    return lightning_trainer(
        config,
        devices=settings.devices,
        max_steps=settings.max_steps,
        val_check_interval=settings.validate_every if validated else None,
        check_val_every_n_epoch=None,
        limit_val_batches=None if validated else 0,
        num_sanity_val_steps=0,
        log_every_n_steps=min(50, settings.validate_every),
        logger=_loggers(config),
        callbacks=_callbacks(config, metric, validated),
    )


def _callbacks(config: TrainConfig, metric: str, validated: bool) -> list[pl.Callback]:
    settings = config.trainer
    if settings.patience and not validated:
        raise ConfigError(
            f"trainer.patience={settings.patience}: nothing is held out to validate with: give data.validation or "
            "data.held_out, or trainer.patience=0."
        )
    found: list[pl.Callback] = [LastValidation()]
    if settings.ema:
        found.append(MovingAverage(settings.ema))
    if settings.progress and StepProgress.is_seen():
        found.append(StepProgress())
    if settings.patience:
        found.append(EarlyStopping(metric, patience=settings.patience, check_on_train_epoch_end=False))
    if validated:
        name = f"{{step}}-{{{metric}:.4f}}"
        found.append(_checkpoint(config, name, monitor=metric, save_top_k=settings.keep, save_on_train_epoch_end=False))
        # Behind the one above, so that it knows of the best; Lightning's own `save_last` waits for a better one.
        found.append(_checkpoint(config, Path(LAST).stem, save_on_train_epoch_end=False))
    else:
        found.append(_checkpoint(config, Path(LAST).stem, every_n_train_steps=settings.validate_every))
    return found


def _checkpoint(config: TrainConfig, name: str, **options: Any) -> ModelCheckpoint:
    return ModelCheckpoint(config.output, name, enable_version_counter=False, **options)


def _loggers(config: TrainConfig) -> list[Logger]:
    """Return what writes curves; a training that goes on adds a table and lengthens the curves of TensorBoard."""
    found: list[Logger] = [CSVLogger(config.output, name="curves")]
    if config.trainer.tensorboard:
        if find_spec("tensorboard") is None:
            purpose = "trainer.tensorboard=true (false goes without)"
            raise MissingExtraError("tensorboard", "train", purpose)
        found.append(TensorBoardLogger(config.output, name="tensorboard", version=""))
    return found


def _saved(trainer: pl.Trainer, recipe: Recipe, learner: Learner, output: Path) -> Path:
    """Write the model whose validation was best, or without validations the last one, and return its folder."""
    best: Any = trainer.checkpoint_callback
    step, score = trainer.global_step, None
    if best.monitor is not None:
        checkpoint = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
        learner.load_state_dict(checkpoint["state_dict"])
        step, score = checkpoint["global_step"], float(best.best_model_score)
    folder = output / MODEL
    if trainer.is_global_zero:
        folder = recipe.save(learner.cpu().eval(), folder)
        result = {"metric": learner.METRIC, "score": score, "step": step, "steps": trainer.global_step}
        files.write_text(output / RESULT, json.dumps(result) + "\n")
    trainer.strategy.barrier("the model is saved")
    return folder


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning from telling what nobody asked, on the terminal and in warnings."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in _EXPECTED:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        logger.setLevel(level)
