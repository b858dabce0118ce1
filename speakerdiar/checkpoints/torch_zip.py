"""Zips that `torch.save` wrote, with more in them than a state dict: objects come out inert, tensors when asked for.

`tensors.py` reads files that hold a state dict alone, and is the stricter. Here a file may name any class, as training
frameworks keep settings, optimizers and callbacks beside the weights; see `inert_pickle.py` for what becomes of them.
"""

from __future__ import annotations

import math
import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from speakerdiar.checkpoints.inert_pickle import Made, Named, read_inert
from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.tensors import check_records
from speakerdiar.errors import WeightsError

MAX_PICKLE = 2**25  # bytes; those of published models have some hundred thousand
_PICKLE = "data.pkl"
_MAX_DIMENSIONS = 16
_MAX_SIZE = 2**40  # far below where PyTorch's own arithmetic overflows
_ENCRYPTED = 1  # a flag of a record
_DTYPES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}


@dataclass(frozen=True, eq=False)
class Storage:
    """A stretch of numbers beside the pickle: the record `data/<key>` of the zip."""

    key: str
    dtype: torch.dtype
    numbers: int


@dataclass(frozen=True, eq=False, repr=False)
class StoredTensor:
    """Where in a storage the numbers of a tensor are. None of them has been read."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def fault(self) -> str:
        """Why there is no such dense tensor; "" if there is."""
        if len(self.shape) != len(self.strides) or len(self.shape) > _MAX_DIMENSIONS:
            return f"has {len(self.shape)} dimensions and {len(self.strides)} strides"
        if any(type(size) is not int or size < 0 for size in (self.offset, *self.shape, *self.strides)):
            return "has sizes that aren't whole numbers"
        if max(math.prod(max(1, size) for size in self.shape), self.offset, *self.strides, 0) > _MAX_SIZE:
            return "has sizes beyond all memory"
        count, held = math.prod(self.shape), self.storage.numbers
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        if count > held or (count and last >= held):
            return f"is a tensor of {count:,} numbers over {held:,}"
        return ""


class TorchZip:
    """An open file.

    Args:
        path: of the file; named in messages.
        archive: the zip.
        records: its records, by their name without the folder that all of them are in.
    """

    def __init__(self, path: str, archive: zipfile.ZipFile, records: dict[str, zipfile.ZipInfo]) -> None:
        self.path = path
        self._archive = archive
        self._records = records

    def objects(self) -> Any:
        """Return the object that was saved, with `StoredTensor` for tensors and `Made` for objects of other classes.

        Raises:
            WeightsError: the pickle is cut, broken or too long.
        """
        record = self._records[_PICKLE]
        if record.file_size > MAX_PICKLE:
            raise WeightsError(
                f"{self.path} is refused, as its pickle has {record.file_size:,} bytes, more than {MAX_PICKLE:,}: save "
                "a state dict alone."
            )
        with self._archive.open(record) as stream:
            return read_inert(stream, self.path, _MAKERS, _storage)

    def tensors(self, stored: object, limits: ArchiveLimits) -> dict[str, torch.Tensor]:
        """Read the tensors of a flat state dict; tensors that share a storage share it again.

        Args:
            stored: a dict out of `objects()`.
            limits: bounds the bytes of all of them together.

        Raises:
            WeightsError: names the key that isn't text, or isn't that of a dense tensor with data.
        """
        if not isinstance(stored, dict):
            raise WeightsError(f"{self.path} has no tensors by name: save a state dict.")
        for key, value in stored.items():
            fault = self._fault(key, value)
            if fault:
                raise WeightsError(f"{self.path}: {key!r:.100} {fault}: save a flat dict of dense tensors by name.")
        storages = {value.storage.key: value.storage for value in stored.values()}
        size = sum(storage.numbers * storage.dtype.itemsize for storage in storages.values())
        limits.check("max_weights_bytes", size, f"{self.path}: bytes of all tensors")
        data = {key: bytearray(self._archive.read(self._records[f"data/{key}"])) for key in storages}
        return {key: _tensor(value, data[value.storage.key]) for key, value in stored.items()}

    def _fault(self, key: object, value: object) -> str:
        if not isinstance(key, str):
            return "isn't text"
        if not isinstance(value, StoredTensor):
            return f"is a {(value.name if isinstance(value, Made) else type(value).__name__):.100}, not a tensor"
        storage = value.storage
        record = self._records.get(f"data/{storage.key}")
        if record is None or record.file_size != storage.numbers * storage.dtype.itemsize:
            return f"has no {storage.numbers:,} numbers in the file"
        return value.fault()


@contextmanager
def open_torch_zip(path: str | os.PathLike[str]) -> Iterator[TorchZip]:
    """Open a file that `torch.save` of PyTorch 1.6 or later wrote.

    Raises:
        WeightsError: no such file, another container, a TorchScript program, or broken; also inside the block, where
            the file turns out to be broken only then.
    """
    name = os.fspath(path)
    if not Path(path).is_file():
        raise WeightsError(f"{name}: there is no such file: give the path of one that torch.save wrote.")
    try:
        with Path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
            check_records(archive.infolist(), os.fstat(file.fileno()).st_size, name)
            records = _records(archive, name)
            _check_byteorder(archive, records.get("byteorder"), name)
            yield TorchZip(name, archive, records)
    except (
        zipfile.BadZipFile,
        OSError,
        EOFError,
        NotImplementedError,  # raised by zipfile for a packing that it doesn't know
        ValueError,
        LookupError,
        OverflowError,
    ) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise WeightsError(f"{name} isn't a whole zip that torch.save wrote ({reason}): get it anew.") from error


def _records(archive: zipfile.ZipFile, name: str) -> dict[str, zipfile.ZipInfo]:
    pickled = [info.filename for info in archive.infolist() if PurePosixPath(info.filename).name == _PICKLE]
    if len(pickled) != 1:
        raise WeightsError(f"{name} has {len(pickled)} records {_PICKLE}, not 1: get it anew.")
    folder = pickled[0].removesuffix(_PICKLE)
    inside = [info for info in archive.infolist() if info.filename.startswith(folder)]
    if any(info.flag_bits & _ENCRYPTED for info in inside):
        raise WeightsError(f"{name} is encrypted: decrypt it first.")
    return {info.filename.removeprefix(folder): info for info in inside}


def _check_byteorder(archive: zipfile.ZipFile, record: zipfile.ZipInfo | None, name: str) -> None:
    if record is None:
        return
    order = archive.read(record)
    if order != sys.byteorder.encode():
        raise WeightsError(
            f"{name} has numbers in the byte order {order[:20]!r}: save it on a {sys.byteorder}-endian one."
        )


def _tensor(stored: StoredTensor, data: bytearray) -> torch.Tensor:
    if not data:
        return torch.empty(stored.shape, dtype=stored.storage.dtype)
    numbers = torch.frombuffer(data, dtype=stored.storage.dtype)
    return numbers.as_strided(stored.shape, stored.strides, stored.offset)


def _storage(id: Any) -> Any:
    """Return the storage that an id in a pickle stands for; of kinds that no weights have, the id itself."""
    match id:
        case ("storage", Named(name=kind), str(key), str(), int(numbers)) if kind in _DTYPES and numbers >= 0:
            return Storage(key, _DTYPES[kind], numbers)
    return id


def _stored_tensor(arguments: tuple[Any, ...]) -> Any:
    match arguments:
        case (Storage() as storage, offset, tuple(shape), tuple(strides), *_):
            return StoredTensor(storage, offset, shape, strides)
    return Made(Named("torch._utils._rebuild_tensor_v2"), arguments)


def _parameter(arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if arguments else None


def _ordered_dict(arguments: tuple[Any, ...]) -> Any:
    return Made(Named("collections.OrderedDict"), arguments) if arguments else {}


_MAKERS = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor_v2": _stored_tensor,
    "torch._utils._rebuild_parameter": _parameter,
}
