"""Loading and saving, for diarizers that have weights of their own."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from typing_extensions import Self

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.folder import ModelCard, write_folder
from speakerdiar.checkpoints.nemo import read_nemo
from speakerdiar.errors import ConfigError, UnknownOptionError, WeightsError

PRECISIONS: Mapping[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

LOADING = ("precision", "compile", "device")
"""Options of loading that every model takes."""


class PretrainedMixin(ABC):
    """Gives a diarizer `from_pretrained`, `restore_from` and `save_pretrained`.

    A subclass names itself (`MODEL_NAME`, which stands in `config.yaml`) and says how it is made of a checkpoint and
    what of it is saved. Weights never hold code: see `speakerdiar.checkpoints`.
    """

    MODEL_NAME: ClassVar[str]
    licence: str = ""
    """Of the weights, for the model card."""
    source: str = ""
    """Where the weights come from, for the model card."""

    @classmethod
    def from_pretrained(cls, name_or_path: str | os.PathLike[str], **options: Any) -> Self:
        """Load weights: a folder that `save_pretrained` wrote, a `.nemo` file, or a repository on the Hub.

        Args:
            name_or_path: what to load.
            options: `token` and `revision` for the Hub; `precision` and `compile` as in `from_checkpoint`; `device`,
                where to put it (the CPU by default).

        Raises:
            WeightsError: no such weights, or weights that are broken or belong to another model.
            MissingExtraError: a name of the Hub, and huggingface_hub isn't installed.
        """
        from speakerdiar.models.opening import read_weights

        read = {name: options.pop(name) for name in ("token", "revision") if name in options}
        return cls.on_device(read_weights(name_or_path, **read), **options)

    @classmethod
    def restore_from(cls, path: str | os.PathLike[str], **options: Any) -> Self:
        """Load a `.nemo` file, as NeMo's models do. The options are those of `from_pretrained`, the Hub's aside.

        Raises:
            WeightsError: not a `.nemo` file of this model.
        """
        return cls.on_device(read_nemo(path), **options)

    @classmethod
    def on_device(cls, checkpoint: Checkpoint, *, device: str | torch.device | None = None, **options: Any) -> Self:
        """Make the model of what was read, and put it on a device (None: the CPU).

        Raises:
            UnknownOptionError: an option that loading doesn't have.
            ConfigError: there is no such device.
            WeightsError: see `from_checkpoint`.
        """
        for name in options:
            if name not in LOADING:
                raise UnknownOptionError(name, LOADING, cls.__name__)
        model = cls.from_checkpoint(checkpoint, **options)
        put_on(model, device)
        return model

    @classmethod
    @abstractmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, *, precision: str = "fp32", compile: bool = False) -> Self:
        """Make the model of what was read.

        Args:
            checkpoint: a `.nemo` file's, or one of our own format.
            precision: of the network: fp32, bf16 or fp16. Half precisions pay on a GPU; scores change in the third
                digit.
            compile: compile the network (`torch.compile`) when it first runs; pays on a GPU, over many recordings.

        Raises:
            WeightsError: the weights belong to another model; the message names every tensor that doesn't fit.
            ConfigError: no such precision.
        """

    def save_pretrained(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write config, weights and a model card to a folder, whole or not at all.

        Args:
            folder: where.
            overwrite: replace a folder that was written before.

        Raises:
            ConfigError: the folder isn't empty.
        """
        config = {"model": self.MODEL_NAME, **self._saved_config()}
        return write_folder(folder, config, self._saved_weights(), self._card(), overwrite=overwrite)

    @abstractmethod
    def _saved_config(self) -> dict[str, Any]:
        """What `from_checkpoint` needs besides the weights, as plain values."""

    @abstractmethod
    def _saved_weights(self) -> dict[str, torch.Tensor]:
        """The weights by name."""

    @abstractmethod
    def _card(self) -> ModelCard:
        """What a person should know of the model."""


def precision_of(name: str) -> torch.dtype:
    """Return the type of numbers that a precision stands for.

    Raises:
        ConfigError: no such precision.
    """
    if name not in PRECISIONS:
        raise ConfigError(f"precision={name!r}: give one of {', '.join(PRECISIONS)}.")
    return PRECISIONS[name]


def put_on(model: Any, device: str | torch.device | None) -> None:
    """Move a torch module to a device; None leaves it where it is.

    Raises:
        ConfigError: there is no such device here.
    """
    if device is None:
        return
    if str(device) == "meta":
        raise ConfigError("device='meta' holds no numbers: give one that computes, such as cpu or cuda.")
    try:
        model.to(device)
    except (RuntimeError, AssertionError) as error:  # the latter of a torch that was built without the device
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"device={str(device)!r} can't be used ({reason}): give one that torch has here, or leave it out."
        ) from error


def check_model(checkpoint: Checkpoint, wanted: str) -> None:
    """Raise WeightsError if a folder of our own format holds another model than `wanted`."""
    found = checkpoint.config.get("model", wanted)
    if found != wanted:
        raise WeightsError(f"{checkpoint.path} holds the model {found!r}, not {wanted!r}: load it with load_model().")
