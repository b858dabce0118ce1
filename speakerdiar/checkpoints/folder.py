"""Our own format: a folder with `config.yaml`, `model.safetensors` and `README.md`, the model card.

`config.yaml` begins with `format: 1`, `model` (a name that the library knows) and `weights_sha256`; the model's own
settings follow. No file of the folder can hold code.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.config_text import format_config, parse_config
from speakerdiar.checkpoints.digests import sha256_of
from speakerdiar.checkpoints.installed import check_sha256
from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.tensors import checked
from speakerdiar.checkpoints.whole_folder import whole_folder
from speakerdiar.errors import ConfigError, WeightsError

FORMAT = 1
CONFIG, WEIGHTS, CARD = "config.yaml", "model.safetensors", "README.md"
_OURS = ("format", "weights_sha256")  # keys of config.yaml that belong to the folder, not to the model


@dataclass(frozen=True)
class ModelCard:
    """What a person should know of a model before using it; each field is Markdown.

    Attributes:
        title: the heading.
        summary: what the model does, on which audio, and what it can't do.
        licence: of the weights.
        source: where the weights come from.
        loading: the line of Python that loads it.
    """

    title: str
    summary: str
    licence: str
    source: str
    loading: str = 'model = speakerdiar.load_model("path/to/this/folder")'

    def text(self, weights_sha256: str) -> str:
        """Return the card as Markdown."""
        return (
            f"# {self.title}\n\n{self.summary}\n\n"
            f"| | |\n|---|---|\n"
            f"| Licence of the weights | {self.licence} |\n"
            f"| Source | {self.source} |\n"
            f"| SHA-256 of `{WEIGHTS}` | `{weights_sha256}` |\n\n"
            "## Loading\n\n"
            "```python\n"
            "import speakerdiar\n\n"
            f"{self.loading}\n"
            "```\n"
        )


def write_folder(
    folder: str | os.PathLike[str],
    config: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor],
    card: ModelCard,
    *,
    overwrite: bool = False,
) -> Path:
    """Write a model's folder, whole or not at all, and return its path.

    Args:
        folder: where; missing folders above it are made.
        config: plain values; `model` names the model. `read_folder` gives it back as it is.
        weights: tensors by name, on any device.
        card: becomes `README.md`.
        overwrite: replace a folder that an earlier call wrote. One that holds anything else is never touched.

    Raises:
        ConfigError: the folder isn't empty, or the config has no `model` or a value that isn't plain.
        WeightsError: weights that aren't dense tensors by name, or of a precision that safetensors doesn't know.
    """
    _check_config(config)
    with whole_folder(folder, (CONFIG, WEIGHTS, CARD), overwrite=overwrite) as target:
        _write_weights(target / WEIGHTS, weights)
        digest = sha256_of(target / WEIGHTS)
        whole = {"format": FORMAT, "model": config["model"], "weights_sha256": digest, **config}
        (target / CONFIG).write_bytes(format_config(whole))
        (target / CARD).write_text(card.text(digest), encoding="utf-8")
    return Path(folder)


def read_folder(
    folder: str | os.PathLike[str],
    limits: ArchiveLimits | None = None,
    *,
    links_within: str | os.PathLike[str] | None = None,
) -> Checkpoint:
    """Read a folder that `write_folder` wrote. The tensors are mapped from the file, not copied.

    Args:
        folder: the folder.
        limits: what is accepted; `ArchiveLimits()` by default.
        links_within: a link may lead to any file below here; by default, below the folder itself. The Hub's cache keeps
            files apart from the folders that link to them.

    Raises:
        WeightsError: a file is missing, beyond a limit, a link that leads out, or broken; the format is unknown; or the
            weights aren't those that `weights_sha256` in the config names.
    """
    limits = limits or ArchiveLimits()
    root = Path(os.path.realpath(folder if links_within is None else links_within))
    config_file = _file_of(Path(folder), CONFIG, root)
    weights_file = _file_of(Path(folder), WEIGHTS, root)
    limits.check("max_config_bytes", config_file.stat().st_size, f"{config_file}: bytes")
    limits.check("max_weights_bytes", weights_file.stat().st_size, f"{weights_file}: bytes")
    config = parse_config(config_file.read_bytes(), str(config_file))
    if config.get("format") != FORMAT:
        raise WeightsError(f"{config_file}: format is {config.get('format')!r}, not {FORMAT}: update speakerdiar.")
    if not isinstance(config.get("model"), str):
        raise WeightsError(f"{config_file}: model is {config.get('model')!r}, not the name of a model: write one.")
    if "weights_sha256" in config:
        check_sha256(weights_file, config["weights_sha256"], "get the folder anew")
    own = {key: value for key, value in config.items() if key not in _OURS}
    return Checkpoint(Path(folder), own, _read_weights(weights_file))


def _check_config(config: Mapping[str, Any]) -> None:
    if not isinstance(config.get("model"), str):
        raise ConfigError(f"The config's `model` is {config.get('model')!r}: give the name of a model.")
    refused = [key for key in config if key in _OURS or not isinstance(key, str)]
    if refused:
        raise ConfigError(f"The config has the key {refused[0]!r}: keys are text but {' and '.join(_OURS)}.")


def _write_weights(file: Path, weights: Mapping[str, torch.Tensor]) -> None:
    on_cpu = {key: value.detach().cpu() if isinstance(value, torch.Tensor) else value for key, value in weights.items()}
    plain = checked(on_cpu, file.name)
    if "__metadata__" in plain:
        raise WeightsError("The weights have the name '__metadata__', which belongs to safetensors: rename them.")
    try:
        safetensors.torch.save_file(_unshared(plain), file, metadata={"format": "pt"})
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(f"The weights can't be saved as safetensors ({error}): cast or rename them.") from error
    file.chmod(file.parent.stat().st_mode & 0o666)  # safetensors writes for the owner alone


def _unshared(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights that each have a storage of their own, as the file has one stretch of bytes for each."""
    taken: set[int] = set()
    apart = {}
    for key, value in weights.items():
        storage = value.untyped_storage()
        alone = value.is_contiguous() and value.nbytes == storage.nbytes() and storage.data_ptr() not in taken
        taken.add(storage.data_ptr())
        apart[key] = value if alone else value.clone(memory_format=torch.contiguous_format)
    return apart


def _file_of(folder: Path, name: str, root: Path) -> Path:
    """Return the path of a file of the folder, links followed."""
    path = folder / name
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(root):
        raise WeightsError(f"{path} is a link to {str(real)!r}, out of {str(root)!r}: put the file itself there.")
    try:
        mode = real.stat().st_mode
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}: give a folder with {CONFIG} and {WEIGHTS}.") from error
    if not stat.S_ISREG(mode):
        raise WeightsError(f"{path} isn't a plain file: give a folder with {CONFIG} and {WEIGHTS}.")
    return real


def _read_weights(file: Path) -> dict[str, torch.Tensor]:
    try:
        weights = safetensors.torch.load_file(file)
    except (safetensors.SafetensorError, OSError, RuntimeError, LookupError, ValueError) as error:
        raise WeightsError(f"{file} isn't a whole safetensors file ({error}): get it anew.") from error
    return checked(weights, str(file))
