"""What linking remembers of an archive, so that persons keep their names when recordings are added.

    {"format": "speakerdiar-archive", "version": 1, "numbers": 2,
     "embedder": {"name": "Ge2eEmbedder", "probe": "..."},
     "persons": [{"name": "PERSON_0001", "seconds": 41.5, "mean": "..."}],
     "recordings": {"monday": {"digest": "...", "persons": {"SPEAKER_00": 0}}}}

Vectors are base64 of float32, little end first. They are voiceprints, biometric data: the file is for its owner's eyes
only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.annotation import Diarization
from speakerdiar.clustering.linking import Persons
from speakerdiar.errors import ConfigError, FormatError, InputError
from speakerdiar.formats import files, json_doc
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.voiceprints.binding import Binding, from_bytes, to_bytes

FORMAT, VERSION = "speakerdiar-archive", 1


@dataclass(frozen=True)
class Placed:
    """Who the speakers of a recording are.

    Attributes:
        digest: of the speakers' vectors and seconds (`digest_of`), to see whether the recording was diarized anew.
        persons: the number of each speaker's person in the archive, from 0 on.
    """

    digest: str
    persons: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Archive:
    """The persons of an archive, and where they speak.

    Attributes:
        names: of the persons.
        means: as `speakerdiar.clustering.linking.Persons`, float64, (K, D).
        seconds: their weights, (K,).
        recordings: by id.
        numbers: how many names `PERSON_0001`, ... have been given; none is given twice.
    """

    names: tuple[str, ...] = ()
    means: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    seconds: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    recordings: Mapping[str, Placed] = field(default_factory=dict)
    numbers: int = 0

    def __len__(self) -> int:
        return len(self.names)

    @property
    def persons(self) -> Persons | None:
        """What `link` is told of them; None where there are none."""
        return Persons(self.means, self.seconds) if len(self) else None

    def has(self, result: Diarization) -> bool:
        """Whether a recording, diarized in just this way, was linked before."""
        placed = self.recordings.get(result.recording_id)
        return placed is not None and placed.digest == digest_of(result)

    @classmethod
    def load(cls, path: str | os.PathLike[str], embedder: EmbeddingMixin) -> Archive:
        """Read an archive.

        Raises:
            FormatError: the file is no archive, or damaged.
            InputError: it can't be opened.
            ConfigError: its vectors were made by another embedder.
        """
        document = json_doc.parse(files.read_text(path), path=path)
        try:
            bound, archive = _read(document)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise FormatError(
                f"isn't an archive of linked recordings, or is damaged ({type(error).__name__}: {error}): link anew in "
                "another folder, or put the file back as it was.",
                path=path,
            ) from error
        if not bound.fits(Binding.of(embedder, embedder)):
            raise ConfigError(
                f"{os.fspath(path)}: its vectors were made by {bound.name!r}, and this embedder makes others: use that "
                "one, or link anew in another folder."
            )
        return archive

    def save(self, path: str | os.PathLike[str], embedder: EmbeddingMixin) -> Path:
        """Write the archive, whole or not at all.

        Args:
            path: the file.
            embedder: what made the vectors.

        Raises:
            InputError: the file can't be written.
        """
        bound = Binding.of(embedder, embedder)
        document = {
            "format": FORMAT,
            "version": VERSION,
            "numbers": self.numbers,
            "embedder": {"name": bound.name, "probe": _text(bound.probe)},
            "persons": [
                {"name": name, "seconds": float(seconds), "mean": _text(mean)}
                for name, seconds, mean in zip(self.names, self.seconds, self.means, strict=True)
            ],
            "recordings": {
                id: {"digest": placed.digest, "persons": dict(placed.persons)} for id, placed in self.recordings.items()
            },
        }
        try:
            written = files.write_text(path, json.dumps(document, ensure_ascii=False, indent=0) + "\n")
            os.chmod(path, 0o600)
        except OSError as error:
            raise InputError(f"{os.fspath(path)}: {error.strerror or error}: name a place to write to.") from error
        return written


def digest_of(result: Diarization) -> str:
    """Return what tells whether a recording's speakers, their vectors and seconds are still the same."""
    digest = hashlib.sha256()
    for speaker, seconds in result.durations().items():
        digest.update(f"{speaker}\0{seconds!r}\0".encode())
        digest.update(to_bytes(np.asarray(result.embeddings[speaker])))
    return digest.hexdigest()


def _read(document: Any) -> tuple[Binding, Archive]:
    """Return what made the vectors, and the archive. Raises the built-in errors for what isn't there or doesn't fit."""
    if (document["format"], document["version"]) != (FORMAT, VERSION):
        raise ValueError(f"format {document['format']!r}, version {document['version']!r}")
    bound = Binding(str(document["embedder"]["name"]), _vector(document["embedder"]["probe"]))
    persons = document["persons"]
    archive = Archive(
        names=tuple(str(person["name"]) for person in persons),
        means=np.array([_vector(person["mean"]) for person in persons], np.float64).reshape(-1, len(bound.probe)),
        seconds=np.array([person["seconds"] for person in persons], np.float64),
        recordings={
            str(id): Placed(str(placed["digest"]), {str(name): int(at) for name, at in placed["persons"].items()})
            for id, placed in document["recordings"].items()
        },
        numbers=int(document["numbers"]),
    )
    _check(archive)
    return bound, archive


def _check(archive: Archive) -> None:
    if len(set(archive.names)) < len(archive) or len(archive.means) != len(archive):
        raise ValueError("persons don't fit their names")
    if not (np.isfinite(archive.means).all() and np.isfinite(archive.seconds).all() and (archive.seconds >= 0).all()):
        raise ValueError("persons have numbers that can't be")
    for id, placed in archive.recordings.items():
        numbers = list(placed.persons.values())
        if len(set(numbers)) < len(numbers) or not all(0 <= number < len(archive) for number in numbers):
            raise ValueError(f"the persons of recording {id!r} don't exist")


def _text(vector: NDArray[Any]) -> str:
    return base64.b64encode(to_bytes(vector)).decode()


def _vector(text: str) -> NDArray[np.float32]:
    return from_bytes(base64.b64decode(text, validate=True))
