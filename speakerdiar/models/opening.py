"""Looks at what someone has (a file, a folder, a name on the Hub) and says which diarizer reads it."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.config_text import parse_config
from speakerdiar.checkpoints.folder import CONFIG, FORMAT, read_folder
from speakerdiar.checkpoints.hub import is_repository, pull
from speakerdiar.checkpoints.nemo import read_nemo, target_of
from speakerdiar.checkpoints.pyannote_pipeline import is_pipeline
from speakerdiar.checkpoints.sond import funasr_file, read_funasr
from speakerdiar.errors import WeightsError
from speakerdiar.models.pretrained import PretrainedMixin

if TYPE_CHECKING:
    from speakerdiar.mixins import SpkDiarizationMixin

_HOME = "speakerdiar.models.diarizers"
OWN: Mapping[str, str] = {
    "sortformer": f"{_HOME}.sortformer:SortformerDiarizer",
    "streaming-sortformer": f"{_HOME}.streaming_sortformer:StreamingSortformerDiarizer",
    "sond": f"{_HOME}.sond:SondDiarizer",
}
"""Names in `config.yaml` of our own format, and in FunASR's YAML, and the classes they stand for."""
TRANSFORMERS: Mapping[str, str] = {"nemotron3_diarization": f"{_HOME}.nemotron:NemotronDiarizer"}
"""Values of `model_type` in `config.json` of a transformers folder."""
PART_SUFFIXES = (".onnx", ".bin", ".ckpt", ".pt", ".pth", ".safetensors")
"""Of files that hold a part of a diarizer: a local segmentation model, an embedder."""
HUB = ("token", "revision", "licence", "files", "sha256")
"""Options of loading that only a name on the Hub needs; see `speakerdiar.checkpoints.hub.pull`."""
SORTFORMER = "SortformerEncLabelModel"
"""Last part of the `target` of NeMo's Sortformers."""


def open_model(name_or_path: str | os.PathLike[str], **options: Any) -> SpkDiarizationMixin:
    """Make the diarizer that reads these weights.

    Args:
        name_or_path: a `.nemo` file, FunASR's `sond.pb`, a folder (our own format, transformers', FunASR's, or a
            pyannote pipeline's), a local segmentation model, or `owner/name` on the Hub.
        options: `token` and `revision` for the Hub; all others go to the model's class.

    Raises:
        WeightsError: nothing is there, it is broken, or no model here reads it.
    """
    hub = {name: options.pop(name) for name in HUB if name in options}
    place = local_place(name_or_path, **hub)
    model_type = transformers_type(place)
    if model_type is not None:
        return _class(TRANSFORMERS, model_type, place).from_pretrained(place, **options)  # type: ignore[no-any-return]
    if is_pipeline(place) or holds_part(place):
        return _of_parts(place, hub.get("token"), options)
    model = open_checkpoint(read_place(place), **options)
    if hub.get("licence") and isinstance(model, PretrainedMixin):
        model.licence = model.licence or hub["licence"]
    return model


def _of_parts(place: Path, token: str | None, options: Mapping[str, Any]) -> SpkDiarizationMixin:
    """Make the diarizer of a pipeline's folder, or of a local segmentation model; `embedder` comes with the options."""
    from speakerdiar.models.diarizers import eend_vc_pipeline

    if is_pipeline(place):
        return eend_vc_pipeline.open_pipeline(place, token=token, **options)
    return eend_vc_pipeline.open_pair(place, **options)


def open_checkpoint(checkpoint: Checkpoint, **options: Any) -> SpkDiarizationMixin:
    """Make the diarizer that a checkpoint belongs to.

    Raises:
        WeightsError: no model here reads it, or its weights don't fit.
    """
    cls = _class(OWN, model_name(checkpoint), checkpoint.path)
    return cls.on_device(checkpoint, **options)  # type: ignore[no-any-return]


def read_weights(name_or_path: str | os.PathLike[str], **hub: Any) -> Checkpoint:
    """Read config and weights of a `.nemo` file, a folder of our own format, or a repository that holds one of these.

    Raises:
        WeightsError: nothing is there, or it can't be read.
    """
    return read_place(local_place(name_or_path, **hub))


def local_place(name_or_path: str | os.PathLike[str], **hub: Any) -> Path:
    """Return the file or folder that a name stands for; what isn't on this machine comes from the Hub.

    Raises:
        WeightsError: there is no such file, and the name isn't one of the Hub's.
    """
    path = Path(name_or_path)
    if path.exists():
        return path
    name = os.fspath(name_or_path)
    if is_repository(name) and path.suffix not in (".nemo", ".pb"):
        found = pull(name, **hub)
        archives = [file for file in found.files if file.endswith(".nemo")]
        # Other programs may have put other files into the same folder of the cache.
        return found.folder / archives[0] if len(archives) == 1 == len(found.files) else found.folder
    raise WeightsError(f"{name}: there is no such file or folder: give the path of a .nemo file or a model's folder.")


def read_place(place: Path) -> Checkpoint:
    """Read the weights in a file or folder; a folder may hold our own format, FunASR's, or a single `.nemo` file."""
    if funasr_file(place, "sond") is not None:
        return read_funasr(place, "sond")
    if place.is_file():
        return read_nemo(place)
    if (place / CONFIG).exists():
        return read_folder(place, links_within=cache_of(place))
    archives = sorted(place.glob("*.nemo"))
    if len(archives) != 1:
        held = ", ".join(file.name for file in archives) or "neither config.yaml nor a .nemo file"
        raise WeightsError(f"{place} holds {held}: give the path of one .nemo file, or of a model's folder.")
    return read_nemo(archives[0])


def model_name(checkpoint: Checkpoint) -> str:
    """Return the name in `OWN` of the model that a checkpoint belongs to.

    Raises:
        WeightsError: a `.nemo` file of a model that isn't supported.
    """
    config = checkpoint.config
    if "model" in config and "target" not in config:
        return str(config["model"])
    target = target_of(config)
    if target.rpartition(".")[2] != SORTFORMER:
        raise WeightsError(f"{checkpoint.path} was saved by {target}: of NeMo's models, {SORTFORMER} is read here.")
    return "streaming-sortformer" if config.get("streaming_mode") else "sortformer"


def _class(table: Mapping[str, str], name: str, place: Path) -> Any:
    if name not in table:
        raise WeightsError(f"{place} holds the model {name!r}, and no model here reads it. Known: {', '.join(table)}.")
    module, _, cls = table[name].partition(":")
    return getattr(importlib.import_module(module), cls)


def holds_part(place: Path) -> bool:
    """Whether a file or folder holds weights of a part of a diarizer, not of a whole one, as far as names tell."""
    if funasr_file(place, "sond") is not None:
        return False
    if place.is_file():
        return place.suffix in PART_SUFFIXES or funasr_file(place, "sv") is not None
    if not place.is_dir() or list(place.glob("*.nemo")):
        return False
    config = place / CONFIG
    if config.is_file():
        own = parse_config(config.read_bytes()[: 2**20], str(config))
        if own.get("format") == FORMAT:
            return own.get("model") not in OWN
    return any(file.suffix in PART_SUFFIXES or funasr_file(file, "sv") == file for file in place.iterdir())


def transformers_type(place: Path) -> str | None:
    """Return the `model_type` of a folder of transformers; None for anything else."""
    file = place / "config.json"
    if not file.is_file():
        return None
    try:
        config = json.loads(file.read_bytes()[: 2**20])
    except ValueError as error:
        raise WeightsError(f"{file} can't be read as JSON ({error}): get the folder anew.") from error
    found = config.get("model_type") if isinstance(config, dict) else None
    return found if isinstance(found, str) else None


def cache_of(place: Path) -> Path | None:
    """The Hub's cache that a snapshot belongs to: its links lead to the repository's files, and to shared ones."""
    return place.parents[2] if place.parent.name == "snapshots" else None
