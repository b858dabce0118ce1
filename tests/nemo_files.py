"""Small `.nemo` files, sound and otherwise, made in memory."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import torch

CONFIG = b"target: nemo.collections.asr.models.Some\nencoder:\n  d_model: 4\n"
WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.tensor([1, 2])}


class Entry(NamedTuple):
    """A member to be: `fields` go over those of its tar header, whatever its data is."""

    name: str
    data: bytes = b""
    fields: dict[str, Any] = {}


def saved(weights: object, *, legacy: bool = False) -> bytes:
    """Return what torch.save writes."""
    stream = io.BytesIO()
    torch.save(weights, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def sound() -> list[Entry]:
    return [Entry("./model_config.yaml", CONFIG), Entry("./model_weights.ckpt", saved(WEIGHTS))]


def tar_of(*entries: Entry) -> bytes:
    stream = io.BytesIO()
    for entry in entries:
        header = tarfile.TarInfo(entry.name)
        header.size = len(entry.data)
        for field, value in entry.fields.items():
            setattr(header, field, value)
        stream.write(header.tobuf(format=tarfile.GNU_FORMAT))
        stream.write(entry.data + bytes(-len(entry.data) % tarfile.BLOCKSIZE))
    return stream.getvalue() + bytes(2 * tarfile.BLOCKSIZE)


def nemo_file(folder: Path, *entries: Entry, packed: bool = False) -> Path:
    path = folder / "model.nemo"
    data = tar_of(*entries)
    path.write_bytes(gzip.compress(data) if packed else data)
    return path
