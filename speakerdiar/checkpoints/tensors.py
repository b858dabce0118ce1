"""Tensors out of files that `torch.save` wrote, without running what a pickle asks for.

Two containers exist: a zip (PyTorch 1.6 and later) and bare pickles before it. Both go through PyTorch's restricted
unpickler (`weights_only=True`); where it refuses, so does this, and there is no second way.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import torch

from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.pickles import check_names
from speakerdiar.errors import WeightsError

_ZIP = b"PK\x03\x04"
_BARE_PICKLES = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # pickle protocol 2 of torch.serialization.MAGIC_NUMBER
_HEADERS = 3  # pickles before that of the state dict: a number, the version, and sizes of the machine's integers


def read_tensors(file: BinaryIO, size: int, limits: ArchiveLimits, name: str) -> dict[str, torch.Tensor]:
    """Return the flat state dict that `torch.save` wrote to a file.

    Storages are read straight into the tensors, so that there is one copy in memory.

    Args:
        file: can be read from any place.
        size: bytes of the file.
        limits: bounds the bytes of all tensors.
        name: says what is read, in messages.

    Raises:
        WeightsError: neither container, broken, with code or other objects in it, or not a flat dict of dense tensors.
    """
    head = file.read(len(_BARE_PICKLES))
    file.seek(0)
    if head.startswith(_ZIP):
        _check_zip(file, size, name)
    elif head == _BARE_PICKLES:
        for _ in range(_HEADERS + 1):
            check_names(file, name)
    else:
        raise WeightsError(f"{name} isn't a file that torch.save wrote (it begins with {head[:4]!r}): get it anew.")
    file.seek(0)
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # nothing narrower is common to what a broken pickle raises: even IndexError comes
        raise WeightsError(f"{name} is refused: {_reason(error)}. Only plain tensors are read, never code.") from error
    weights = checked(found, name)
    limits.check("max_weights_bytes", sum(value.nbytes for value in weights.values()), f"{name}: bytes of all tensors")
    return weights


def checked(weights: object, name: str) -> dict[str, torch.Tensor]:
    """Return weights as they are, if they are a flat dict of dense tensors on the CPU, each backed by data.

    Raises:
        WeightsError: names the key that isn't.
    """
    if not isinstance(weights, Mapping):
        raise WeightsError(f"{name} holds a {type(weights).__name__}, not tensors by name: save a state dict.")
    for key, value in weights.items():
        fault = _fault(key, value)
        if fault:
            raise WeightsError(f"{name}: {key!r} {fault}: save a flat dict of dense tensors by name.")
    return {key: value.detach() for key, value in weights.items()}


def _fault(key: object, value: Any) -> str:
    if not isinstance(key, str):
        return "isn't text"
    if type(value) is not torch.Tensor:
        return f"is a {type(value).__name__}, not a plain tensor"
    if value.layout != torch.strided or value.is_quantized:
        return f"is {'quantized' if value.is_quantized else 'sparse'}"
    if value.device.type != "cpu":
        return f"has no data on the CPU (it is on {value.device.type!r})"
    if value.nbytes > value.untyped_storage().nbytes():
        return f"is a tensor of {value.nbytes:,} bytes over {value.untyped_storage().nbytes():,} bytes of data"
    return ""


def _check_zip(file: BinaryIO, size: int, name: str) -> None:
    """Raise WeightsError for a zip that unpacks to more than it is, or isn't a state dict's."""
    try:
        with zipfile.ZipFile(file) as archive:
            check_records(archive.infolist(), size, name)
            pickled = [record for record in archive.infolist() if _last_part(record) == "data.pkl"]
            if len(pickled) != 1:
                raise WeightsError(f"{name} has {len(pickled)} records data.pkl, not 1: get it anew.")
            with archive.open(pickled[0]) as stream:
                check_names(stream, name)
    except WeightsError:
        raise
    except Exception as error:  # zipfile raises whatever its struct, int and codec calls raise
        raise WeightsError(f"{name} isn't a whole zip archive ({_reason(error)}): get it anew.") from error


def check_records(records: list[zipfile.ZipInfo], size: int, name: str) -> None:
    """Raise WeightsError if the records of a zip of `size` bytes unpack to more than that, or hold a program."""
    packed = any(record.compress_type != zipfile.ZIP_STORED for record in records)
    if packed or sum(record.file_size for record in records) > size:
        raise WeightsError(
            f"{name} is refused: its zip unpacks to more than its {size:,} bytes. torch.save writes none such."
        )
    if any(_last_part(record) == "constants.pkl" for record in records):
        raise WeightsError(f"{name} is a TorchScript program: save the state dict of the model instead.")


def _last_part(record: zipfile.ZipInfo) -> str:
    """Return the name of a record without folders, in lower case, as PyTorch finds records in any case."""
    return PurePosixPath(record.filename).name.lower()


def _reason(error: Exception) -> str:
    """Return the first sentence or so: PyTorch adds advice to load the file unsafely, which is not to be followed."""
    text = " ".join(str(error).split())
    detail = text.partition("WeightsUnpickler error: ")[2]
    return (detail or text or type(error).__name__)[:200].partition(" Please use `torch")[0].rstrip(".")
