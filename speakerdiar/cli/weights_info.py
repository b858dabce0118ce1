"""What weights on this machine are, and whether a model here would take them."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speakerdiar.checkpoints.digests import sha256_of
from speakerdiar.checkpoints.folder import WEIGHTS
from speakerdiar.cli.part_info import describe_part, describe_pipeline, describe_tensors
from speakerdiar.errors import SpeakerdiarError, WeightsError

if TYPE_CHECKING:
    from speakerdiar.checkpoints.checkpoint import Checkpoint
    from speakerdiar.mixins import SpkDiarizationMixin


def describe(place: Path, files: Collection[str] = ()) -> dict[str, Any]:
    """Return what a weight file or a model's folder is.

    Args:
        place: a `.nemo` file, or a folder of our own format, of transformers, or with one `.nemo` file; FunASR's SOND;
            weights of a segmenter or an embedder; the folder of a pyannote pipeline.
        files: names of the folder's files that count, where others may lie beside them; by default all.

    Returns:
        Plain values; `loads` says whether `load_model` would take it, and `reason` why not.

    Raises:
        WeightsError: nothing that can be read safely is there.
    """
    from speakerdiar.checkpoints.pyannote_pipeline import is_pipeline
    from speakerdiar.models.opening import holds_part, read_place, transformers_type

    archives = [name for name in files if name.endswith(".nemo")]
    if len(archives) == 1:
        place = place / archives[0]
    model_type = transformers_type(place)
    if model_type is not None:
        return _of_transformers(place, model_type)
    if is_pipeline(place):
        return describe_pipeline(place)
    if holds_part(place):
        return describe_part(place)
    checkpoint = read_place(place)
    if _is_part(checkpoint):
        return describe_part(checkpoint.path)
    ours = checkpoint.path.is_dir()
    kind = "folder" if ours else "nemo" if checkpoint.path.suffix == ".nemo" else "funasr"
    facts = {"path": str(checkpoint.path), "kind": kind, **_of_checkpoint(checkpoint)}
    weights = checkpoint.path / WEIGHTS if ours else checkpoint.path
    return {**facts, "sha256": {weights.name: sha256_of(weights)}}


def _is_part(checkpoint: Checkpoint) -> bool:
    """Whether a `.nemo` file holds a part of a diarizer."""
    from speakerdiar.models.opening_parts import NEMO

    return str(checkpoint.config.get("target", "")).rpartition(".")[2] in NEMO


def _of_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    from speakerdiar.models.opening import model_name, open_checkpoint

    facts: dict[str, Any] = {
        "model": "",
        "target": checkpoint.config.get("target", ""),
        **describe_tensors(checkpoint),
    }
    try:
        facts["model"] = model_name(checkpoint)
        return {**facts, **_of_model(open_checkpoint(checkpoint))}
    except SpeakerdiarError as error:
        return {**facts, "loads": False, "reason": str(error)}


def _of_transformers(folder: Path, model_type: str) -> dict[str, Any]:
    from speakerdiar.models.opening import open_model

    weights = sorted(folder.glob("*.safetensors"))
    sizes = [_sizes(file) for file in weights]
    facts: dict[str, Any] = {
        "path": str(folder),
        "kind": "transformers",
        "model": model_type,
        "tensors": sum(len(each) for each in sizes),
        "values": sum(map(sum, sizes)),
    }
    try:
        facts |= _of_model(open_model(folder))
    except SpeakerdiarError as error:
        facts |= {"loads": False, "reason": str(error)}
    return {**facts, "sha256": {file.name: sha256_of(file) for file in weights}}


def _of_model(model: SpkDiarizationMixin) -> dict[str, Any]:
    """What only the model itself knows for sure. Its weights are those that were read: none are drawn or copied."""
    import torch

    values = sum(value.numel() for value in model.parameters()) if isinstance(model, torch.nn.Module) else 0
    return {
        "parameters": values,
        "sample_rate": getattr(model, "sample_rate", None),
        "speakers": model.speaker_capacity,
        "latencies": list(getattr(model, "LATENCIES", {})),
        "licence": getattr(model, "licence", ""),
        "loads": True,
    }


def _sizes(file: Path) -> list[int]:
    """Return the number of values of each tensor, from the file's header."""
    import safetensors

    try:
        with safetensors.safe_open(file, "pt") as opened:
            return [math.prod(opened.get_slice(name).get_shape()) for name in opened.keys()]  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(f"{file} isn't a whole safetensors file ({error}): get it anew.") from error
