"""What `speakerdiar link` finds in a folder, and how each recording there becomes turns with a vector a speaker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from speakerdiar.errors import ConfigError, InputError

if TYPE_CHECKING:
    from speakerdiar.annotation import Diarization
    from speakerdiar.mixins import SpkDiarizationMixin
    from speakerdiar.mixins.embedding import EmbeddingMixin
    from speakerdiar.mixins.naming import VoiceSource

DIARIZED, LINKED, ARCHIVE = "diarized", "linked", "archive.json"
"""In --out: documents as they were diarized, renamed turns, and what is remembered of the persons."""


@dataclass(frozen=True)
class Source:
    """A recording of the folder: audio, a document, or both.

    Attributes:
        id: its path below the folder, without suffix.
        audio: the file, or None.
        document: the JSON document beside it, or None.
    """

    id: str
    audio: Path | None = None
    document: Path | None = None

    @property
    def path(self) -> Path | None:
        """The file to name when something is wrong."""
        return self.audio or self.document


def sources_in(folder: Path, out: Path | None) -> list[Source]:
    """Return the recordings below a folder, by id, without what a run wrote to `out`.

    Raises:
        ConfigError: there is no such folder, or nothing in it.
    """
    from speakerdiar.audio.finding import AUDIO_SUFFIXES
    from speakerdiar.recording import Recording, with_unique_ids

    if not folder.is_dir():
        raise ConfigError(
            f"{folder}: there is no such folder: name one that holds recordings, or their JSON documents."
        )
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _written(path, out)]
    documents = {path.with_suffix(""): path for path in files if path.suffix.lower() == ".json"}
    audio = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    alone = [path for stem, path in documents.items() if stem not in {path.with_suffix("") for path in audio}]
    listed = [*audio, *alone]
    ids = with_unique_ids(Recording(_id(path, folder), str(path)) for path in listed)
    found = [
        Source(named.id, None if path in alone else path, documents.get(path.with_suffix("")))
        for named, path in zip(ids, listed, strict=True)
    ]
    if not found:
        raise ConfigError(f"{folder}: neither audio nor JSON documents in this folder: name one that holds recordings.")
    return sorted(found, key=lambda source: source.id)


def _written(path: Path, out: Path | None) -> bool:
    """Whether a run with this --out has written a file."""
    if out is None or not path.resolve().is_relative_to(out.resolve()):
        return False
    return path.resolve().relative_to(out.resolve()).parts[0] in (DIARIZED, LINKED, ARCHIVE)


def _id(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


@dataclass(frozen=True)
class Speakers:
    """Makes turns with a vector a speaker, all from one embedder.

    Attributes:
        diarizer: what diarizes audio.
        embedder: what makes the vectors.
        own: whether the diarizer's are of that embedder.
        kept: folder for what was diarized, or None to keep nothing.
    """

    diarizer: SpkDiarizationMixin
    embedder: EmbeddingMixin
    own: bool
    kept: Path | None

    @classmethod
    def of(cls, model: str, voices: VoiceSource | None, out: Path | None) -> Speakers:
        """Load a model. Vectors are of the voices' embedder, else the model's own, else the default one."""
        from speakerdiar.mixins.embedding import EmbeddingMixin
        from speakerdiar.mixins.naming import same_embedder
        from speakerdiar.models import load_model
        from speakerdiar.models.embedders import make_embedder

        diarizer = load_model(model)
        held = getattr(diarizer, "embedder", None)
        own = held if isinstance(held, EmbeddingMixin) else None
        embedder = voices.embedder if voices is not None else own or make_embedder("ge2e")
        fits = own is not None and same_embedder(own, embedder)
        return cls(diarizer, embedder, fits, None if out is None else out / DIARIZED)

    def diarized(self, source: Source, stem: str) -> Diarization | None:
        """Return a recording's turns and vectors; None for a JSON file that is something else.

        What was made here before is taken from the folder `kept`, unless the audio is younger.

        Args:
            source: the recording.
            stem: of its file in the folder `kept`.

        Raises:
            InputError: audio or a document that can't be used.
        """
        from speakerdiar.formats import json_doc

        kept = None if self.kept is None else self.kept / f"{stem}.json"
        if kept is not None and _up_to_date(kept, source):
            return replace(json_doc.load(kept), recording_id=source.id)
        result = None if source.document is None else _document(source.document)
        if source.audio is None:
            if result is not None and not self._complete(result):
                raise InputError(
                    f"{source.document}: no embedding of {self.embedder.dimension} numbers for each speaker, from the "
                    "embedder in use: put the audio beside it, or diarize again with --format json."
                )
            return None if result is None else replace(result, recording_id=source.id)
        if result is None:
            [result] = self.diarizer.diarize(str(source.audio))
        result = self._with_vectors(replace(result, recording_id=source.id), source.audio)
        if self.kept is not None and kept is not None:
            self.kept.mkdir(mode=0o700, parents=True, exist_ok=True)  # its documents hold voices
            json_doc.dump(result, kept)
        return result

    def _complete(self, result: Diarization) -> bool:
        """Whether a vector that may be of the embedder is there for each speaker."""
        size = (self.embedder.dimension,)
        return self.own and all(
            name in result.embeddings and result.embeddings[name].shape == size for name in result.speakers
        )

    def _with_vectors(self, result: Diarization, audio: Path) -> Diarization:
        from speakerdiar.mixins.naming import speaker_vectors
        from speakerdiar.recording import Recording

        if self._complete(result):
            return result
        recording = Recording(result.recording_id, str(audio), offset=result.offset, duration=result.duration or None)
        return replace(result, embeddings=speaker_vectors(result, recording, self.embedder))


def _up_to_date(kept: Path, source: Source) -> bool:
    if not kept.exists():
        return False
    made = kept.stat().st_mtime
    return all(path is None or path.stat().st_mtime <= made for path in (source.audio, source.document))


def _document(path: Path) -> Diarization | None:
    """Read a document; None for JSON of another kind."""
    from speakerdiar.formats import files, json_doc

    held = json_doc.parse(files.read_text(path), path=path)
    if not (isinstance(held, dict) and {"turns", "recording_id"} <= held.keys()):
        return None
    return json_doc.from_document(held, path=path)
