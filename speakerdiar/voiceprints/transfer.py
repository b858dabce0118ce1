"""Voices as a JSON document, to carry them from one store to another.

    {"format": "speakerdiar-voiceprints", "version": 1,
     "embedder": {"name": "ge2e", "probe": [...]},
     "people": [{"name": "Ana", "since": "2026-01-31T12:00:00+00:00", "clips": [{"seconds": 7.2, "vector": [...]}]}]}

Imported only where one is written or read, since pydantic takes its time to load.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from speakerdiar.errors import FormatError, InputError
from speakerdiar.formats import files
from speakerdiar.voiceprint import check_name
from speakerdiar.voiceprints.binding import Binding
from speakerdiar.voiceprints.clips import Clip
from speakerdiar.voiceprints.values import Person


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


# Of length 1; what float32 rounds away may be missing.
Vector = Annotated[list[float], Field(min_length=1)]


class EmbedderEntry(_Strict):
    """What made all vectors, and its vector of a sound that is always the same."""

    name: Annotated[str, Field(min_length=1)]
    probe: Vector


class ClipEntry(_Strict):
    """A recording that someone was enrolled with: seconds of speech, and the vector."""

    seconds: Annotated[float, Field(gt=0)]
    vector: Vector


class PersonEntry(_Strict):
    """Someone, and since when they are enrolled (UTC, ISO 8601)."""

    name: str
    since: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$")]
    clips: Annotated[list[ClipEntry], Field(min_length=1)]

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str) -> str:
        try:
            check_name(name)
        except InputError as error:
            raise ValueError(str(error)) from error
        return name


class VoicesDocument(_Strict):
    """The voices of a store."""

    format: Literal["speakerdiar-voiceprints"]
    version: Literal[1]
    embedder: EmbedderEntry
    people: list[PersonEntry]

    @model_validator(mode="after")
    def _fits_together(self) -> VoicesDocument:
        names = [person.name for person in self.people]
        if len(set(names)) < len(names):
            raise ValueError("two people have one name")
        size = len(self.embedder.probe)
        for vector in (self.embedder.probe, *(clip.vector for person in self.people for clip in person.clips)):
            if len(vector) != size or abs(np.linalg.norm(vector) - 1) > 1e-3:
                raise ValueError(f"a vector isn't of {size} numbers and length 1")
        return self

    @property
    def binding(self) -> Binding:
        """What made the vectors."""
        return Binding(self.embedder.name, np.array(self.embedder.probe, dtype=np.float32))


def write(
    path: str | os.PathLike[str], binding: Binding, people: Iterable[Person], clips: Mapping[str, Sequence[Clip]]
) -> None:
    """Write voices, for their owner's eyes only.

    Args:
        path: the file.
        binding: what made them.
        people: everyone.
        clips: those of each person, by name.

    Raises:
        InputError: the file can't be written.
    """
    entries = [
        PersonEntry(name=person.name, since=person.since, clips=[_entry(clip) for clip in clips[person.name]])
        for person in people
    ]
    embedder = EmbedderEntry(name=binding.name, probe=binding.probe.tolist())
    document = VoicesDocument(format="speakerdiar-voiceprints", version=1, embedder=embedder, people=entries)
    try:
        files.write_text(path, document.model_dump_json() + "\n")
        os.chmod(path, 0o600)
    except OSError as error:
        raise InputError(f"{os.fspath(path)}: {error.strerror or error}: name a file that can be written.") from error


def read(path: str | os.PathLike[str]) -> VoicesDocument:
    """Read voices.

    Raises:
        FormatError: it is no such document; the message says where it breaks the format.
        InputError: the file can't be opened.
    """
    try:
        return VoicesDocument.model_validate_json(files.read_text(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        said = first["msg"].removeprefix("Value error, ")  # pydantic's, in front of our own
        raise FormatError(
            f"is no export of voices ({where + ': ' if where else ''}{said}): give a file that `speakerdiar "
            "voiceprints export` wrote.",
            path=path,
        ) from error


def clips_of(person: PersonEntry) -> list[Clip]:
    """Return someone's clips."""
    return [Clip(np.array(clip.vector, dtype=np.float32), clip.seconds) for clip in person.clips]


def _entry(clip: Clip) -> ClipEntry:
    return ClipEntry(seconds=clip.seconds, vector=clip.vector.tolist())
