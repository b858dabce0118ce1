"""Writes the weights of segmenters and embedders as folders of our own format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.folder import ModelCard, write_folder
from speakerdiar.errors import ModelError
from speakerdiar.models.embedders.scoring import SCORING
from speakerdiar.models.opening_parts import OWN, open_part, read_part, weights_file
from speakerdiar.models.segmenters.mel import MelLocalSegmenter
from speakerdiar.models.segmenters.pyannet import PyannetSegmenter

SETTINGS = ("hyper_parameters", "frontend", "frontend_conf", SCORING)
"""What of a config an embedder is made of, beside its weights."""


def save_part(place: Path, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a segmenter or an embedder as a folder of our own format, whole or not at all, and return its path.

    Args:
        place: a file of weights, or a folder with one; see `speakerdiar.models.opening_parts`.
        folder: where. `make_local_segmenter` or `make_embedder` reads it.
        overwrite: replace a folder that was written before.

    Raises:
        WeightsError: weights that can't be read.
        ModelError: a part that our format has no name for.
        ConfigError: the folder isn't empty.
    """
    file = weights_file(place)
    part = open_part(file, "segmenter or embedder", torch.nn.Module)
    checkpoint, home = read_part(file)
    names = [name for name, place in OWN.items() if place == home]
    if not names:
        raise ModelError(
            f"{file} can't be saved as a folder: {type(part).__name__} has no name in our format. Use it as it is."
        )
    config, weights = _saved(part, checkpoint)
    return write_folder(folder, {**config, "model": names[0]}, weights, _card(part, file), overwrite=overwrite)


def _saved(part: Any, checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    if isinstance(part, PyannetSegmenter | MelLocalSegmenter):
        return part.config(), part.state_dict()
    settings = {name: checkpoint.config[name] for name in SETTINGS if checkpoint.config.get(name)}
    return settings, checkpoint.weights


def _card(part: Any, file: Path) -> ModelCard:
    if isinstance(part, PyannetSegmenter | MelLocalSegmenter):
        kind, what = "segmenter", "Says who of a few local speakers talks when, in windows of 16 kHz mono audio."
        use = 'load_model("path/to/this/folder", embedder=...)'
    else:
        kind, what = "embedder", "Turns a stretch of one voice, 16 kHz mono audio, into a vector."
        use = 'load_model("path/to/a/segmenter", embedder="path/to/this/folder")'
    return ModelCard(
        title=f"{type(part).__name__}, a speaker {kind}",
        summary=f"{what} A part of a diarizer: `{use}`.",
        licence="as the source states it",
        source=f"`{file.name}`",
        loading=f"model = speakerdiar.{use}",
    )
