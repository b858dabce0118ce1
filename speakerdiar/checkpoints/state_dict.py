"""A single file of weights without a config: a plain state dict, as most toolkits publish embedders."""

from __future__ import annotations

import os
from pathlib import Path

import safetensors
import safetensors.torch

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.tensors import checked, read_tensors
from speakerdiar.errors import WeightsError


def read_state_dict(path: str | os.PathLike[str], limits: ArchiveLimits | None = None) -> Checkpoint:
    """Read the tensors of a `.safetensors` file, or of one that `torch.save` wrote; the config stays empty.

    Raises:
        WeightsError: no such file, broken, beyond a limit, or with anything but plain dense tensors by name.
    """
    limits, file = limits or ArchiveLimits(), Path(path)
    if not file.is_file():
        raise WeightsError(f"{file}: there is no such file: give the path of a file of weights.")
    size = file.stat().st_size
    limits.check("max_weights_bytes", size, f"{file}: bytes")
    if file.suffix == ".safetensors":
        try:
            return Checkpoint(file, {}, checked(safetensors.torch.load_file(file), str(file)))
        except (safetensors.SafetensorError, OSError, ValueError) as error:
            raise WeightsError(f"{file} can't be read as safetensors ({error}): get the file anew.") from error
    with file.open("rb") as stream:
        return Checkpoint(file, {}, read_tensors(stream, size, limits, str(file)))
