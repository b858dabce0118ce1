"""Checkpoints of pyannote.audio (`pytorch_model.bin`, `.ckpt`), 2.x to 4.x, stripped or as Lightning wrote them.

They are zips of `torch.save` with settings beside the weights, some of them objects of pyannote's own classes. Those
are read as plain values; neither pyannote nor Lightning is needed, and nothing that a file names is imported or run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.inert_pickle import Made, Named
from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.torch_zip import StoredTensor, open_torch_zip
from speakerdiar.errors import WeightsError

KEY = "pyannote.audio"
"""What tells these checkpoints from others: the key of what pyannote says of the model."""
MAX_DEPTH = 24
MAX_VALUES = 100_000
"""Bounds of the settings: a few bytes can name a list many times over."""

_TASK = "pyannote.audio.core.task."
_SPECIFICATIONS = f"{_TASK}Specifications"
_VERSION = "torch.torch_version.TorchVersion"
_ENUMERATED: Mapping[str, Mapping[int, str]] = {
    f"{_TASK}Problem": {
        0: "BINARY_CLASSIFICATION",
        1: "MONO_LABEL_CLASSIFICATION",
        2: "MULTI_LABEL_CLASSIFICATION",
        3: "REPRESENTATION",
        4: "REGRESSION",
    },
    f"{_TASK}Resolution": {1: "FRAME", 2: "CHUNK"},
}
_FIELDS = (
    "problem",
    "resolution",
    "duration",
    "classes",
    "powerset_max_classes",
    "permutation_invariant",
    "warm_up",
    "min_duration",
)


def is_pyannote(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a checkpoint of pyannote.audio; False for whatever else it is. No tensor is read."""
    try:
        with open_torch_zip(path) as opened:
            found = opened.objects()
    except WeightsError:
        return False
    return isinstance(found, dict) and KEY in found


def read_pyannote(path: str | os.PathLike[str], limits: ArchiveLimits | None = None) -> Checkpoint:
    """Read a checkpoint of pyannote.audio as plain values and tensors.

    Args:
        path: the file.
        limits: bounds the bytes of the weights; `ArchiveLimits()` by default.

    Returns:
        The weights by pyannote's names, and a config with

        - `architecture`: `module` and `class` of the network, as text;
        - `hyper_parameters`: what the network was made with; {} where the file has none;
        - `specifications`: of the task: problem, resolution, duration, classes, powerset_max_classes,
          permutation_invariant, warm_up, min_duration, as far as the file has them, enumerations by their names; a list
          of such dicts for a model of several tasks;
        - `versions`: of the packages that wrote it.

        In it, tuples are lists, and an object of a class that isn't known here is the class's name.

    Raises:
        WeightsError: no such file, not a checkpoint of pyannote.audio, broken, beyond a limit, settings that aren't
            plain, or weights that aren't dense tensors by name.
    """
    with open_torch_zip(path) as opened:
        found = opened.objects()
        if not isinstance(found, dict) or not isinstance(found.get(KEY), dict):
            raise WeightsError(f"{opened.path} isn't a checkpoint of pyannote.audio (it has no {KEY!r}): give one.")
        config = _config(found, opened.path)
        weights = opened.tensors(found.get("state_dict"), limits or ArchiveLimits())
    return Checkpoint(Path(path), config, weights)


def _config(found: Mapping[Any, Any], name: str) -> dict[str, Any]:
    about = found[KEY]
    config = {
        "architecture": about.get("architecture"),
        "hyper_parameters": found.get("hyper_parameters") or {},
        "specifications": about.get("specifications") or {},
        "versions": about.get("versions") or {},
    }
    plain: dict[str, Any] = _plain(config, name, iter(range(MAX_VALUES)), 0)
    architecture = plain["architecture"]
    if not (isinstance(architecture, dict) and all(isinstance(architecture.get(k), str) for k in ("module", "class"))):
        raise WeightsError(f"{name} doesn't name its architecture's module and class: get it anew.")
    for part in ("hyper_parameters", "versions"):
        if not isinstance(plain[part], dict):
            raise WeightsError(f"{name}: {part} isn't a dict: get it anew.")
    return plain


def _plain(value: Any, name: str, left: Iterator[int], depth: int) -> Any:
    if depth > MAX_DEPTH or next(left, None) is None:
        raise WeightsError(f"{name} is refused: its settings are nested or repeated without end. Get it anew.")
    if isinstance(value, Made):
        return _plain(_meant(value), name, left, depth + 1)
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise WeightsError(f"{name} has settings under a key that isn't text: get it anew.")
        return {key: _plain(inner, name, left, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, name, left, depth + 1) for inner in value]
    if isinstance(value, StoredTensor):
        return "torch.Tensor"
    if isinstance(value, Named):
        return value.name
    if value is None or isinstance(value, str | int | float):
        return value
    return type(value).__name__


def _meant(made: Made) -> Any:
    """Return what an object of a known class stands for; the name of any other."""
    if made.name in _ENUMERATED:
        return _ENUMERATED[made.name].get(_first(made), made.name)
    if made.name == _VERSION:
        return _first(made)
    if made.name == _SPECIFICATIONS and isinstance(made.state, dict):
        return {field: made.state[field] for field in _FIELDS if field in made.state}
    if made.name.startswith("omegaconf.") and isinstance(made.state, dict):
        return made.state.get("_content", made.state.get("_val"))
    return made.items or made.members or Named(made.name)


def _first(made: Made) -> Any:
    first = made.arguments[0] if made.arguments else None
    return first if isinstance(first, str | int) else None
