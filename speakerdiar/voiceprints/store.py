"""A store of voices: enrols people, says whose voice something is, and forgets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.errors import ConfigError, InputError, ModelError, WeightsError
from speakerdiar.voiceprint import Voiceprints, check_name
from speakerdiar.voiceprints.binding import Binding
from speakerdiar.voiceprints.clips import agreements, listen, voice_of, warnings_about
from speakerdiar.voiceprints.values import Enrolment, Identification, Person

if TYPE_CHECKING:
    from speakerdiar.mixins.embedding import EmbeddingMixin
    from speakerdiar.mixins.segmentation import SegmentationMixin
    from speakerdiar.models.verification import Verifier

ENVIRONMENT = "SPEAKERDIAR_VOICES"
"""Environment variable that names another default file."""
MEMORY = ":memory:"
DEFAULT_EMBEDDER = "ge2e"
"""Of a new store."""


class VoiceprintStore:
    """Voices of known people in a SQLite file, all from one embedder; hand it to `diarize(voiceprints=...)`.

    It keeps names, vectors, seconds of speech and a date: no audio, and no file's name. Any number of threads and
    processes may use one file at once.

    Args:
        path: the file, made where there is none; by default `default_path()`. ":memory:" keeps nothing.
        embedder: turns speech into vectors: a name in EMBEDDERS (`ge2e`), the path of weights, `owner/name` on the Hub,
            or an instance; by default the one that the file names, and `ge2e` for a new one.
        threshold: scores from here on count as one person: cosines from the embedder's `centre` on, -1 to 1. By default
            the embedder's own, its `voice_threshold`.
        segmenter: finds speech in what is enrolled and identified: a name in SEGMENTERS or an instance.

    Raises:
        FormatError: the file is no store of voices, broken, or of a later version.
        InputError: the file can't be opened.
        ConfigError: the file's voices were made by another embedder.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        embedder: str | os.PathLike[str] | EmbeddingMixin | None = None,
        threshold: float | None = None,
        segmenter: str | SegmentationMixin = "silero",
    ) -> None:
        from speakerdiar.voiceprints.database import Database

        if threshold is not None and not -1 <= threshold <= 1:
            raise ConfigError(f"threshold={threshold!r}: scores are cosines; give a number between -1 and 1.")
        place = default_path() if path is None else Path(path).expanduser()
        self._database = Database(None if str(place) == MEMORY else place)
        self._asked = embedder
        self._threshold = threshold
        self._segmenter = segmenter
        if embedder is not None:
            self._check(self._bound, self._own)

    @classmethod
    def of(
        cls,
        voices: Mapping[str, Any],
        *,
        embedder: str | os.PathLike[str] | EmbeddingMixin = "ge2e",
        threshold: float | None = None,
        segmenter: str | SegmentationMixin = "silero",
    ) -> VoiceprintStore:
        """Make a store in memory of a mapping from names to recordings; the options are those of the class.

        >>> VoiceprintStore.of({"Ana": "ana.wav", "Ben": ["ben1.wav", "ben2.wav"]})      # doctest: +SKIP
        """
        store = cls(MEMORY, embedder=embedder, threshold=threshold, segmenter=segmenter)
        for name, audio in voices.items():
            store.enroll(name, audio)
        return store

    def __enter__(self) -> VoiceprintStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"VoiceprintStore({self.place!r})"

    def close(self) -> None:
        """End what is open. A store in memory is lost; a file may be opened again."""
        self._database.close()

    @property
    def place(self) -> str:
        """The file's path, or ":memory:"."""
        return str(self._database.path or MEMORY)

    @property
    def embedder_name(self) -> str | None:
        """What the voices were made by, as it was named; None where nobody is enrolled."""
        bound = self._bound
        return None if bound is None else bound.name

    @property
    def embedder(self) -> EmbeddingMixin:
        """What makes the vectors."""
        return self._verifier.embedder

    @property
    def threshold(self) -> float:
        """Scores from here on count as one person. Raises ConfigError where none is known for the embedder."""
        return self._verifier.required_threshold()

    @property
    def names(self) -> tuple[str, ...]:
        """Everyone who is enrolled, by name."""
        return tuple(person.name for person in self.people())

    def people(self) -> tuple[Person, ...]:
        """Return everyone who is enrolled, with their clips and seconds, by name."""
        with self._database.reading() as rows:
            return tuple(rows.people())

    def voiceprints(self) -> Voiceprints:
        """Return the voices as they are now: each the mean of its clips' vectors, the longer ones counting more.

        Raises:
            ConfigError: another embedder made the voices that are in the file by now.
        """
        own = self._own
        with self._database.reading() as rows:
            self._check(rows.bound(), own)
            clips = rows.clips()
        voices = Voiceprints.of({name: voice_of(kept) for name, kept in clips.items()})
        return replace(voices, centre=self.embedder.centre)

    def enroll(self, name: str, audio: Any, *, sample_rate: int | None = None) -> Enrolment:
        """Add recordings of someone; what was stored of them before stays. All are added, or none.

        Args:
            name: what they are called.
            audio: a recording in which only they speak, or several: paths, open binary files, pairs (samples, rate),
                samples, Recordings.
            sample_rate: Hz, for samples.

        Returns:
            What is stored of them now, and what may be wrong with it.

        Raises:
            InputError: a name that can't be, audio that can't be read, a recording with less than 1 s of speech.
            ConfigError: another embedder made the voices that are in the file by now.
        """
        check_name(name)
        heard, own = listen(self._verifier, audio, sample_rate), self._own
        with self._database.writing() as rows:
            self._check(rows.bound(), own)
            present = rows.clips_of(name)
            added = rows.add(own, name, heard, _now())
            person = rows.person(name)
        everything = [*present, *added]
        scores = agreements(everything, self.embedder.centre)
        warnings = [f"{clip.name}: enrolled already; it counts once." for clip in heard if clip not in added]
        warnings += warnings_about(name, everything, scores, self._verifier.threshold)
        return Enrolment(person, len(added), min(scores, default=None), tuple(warnings))

    def identify(self, audio: Any, *, sample_rate: int | None = None) -> Identification:
        """Say whose voice is heard, or that it is nobody's who is enrolled.

        Args:
            audio: a recording of one speaker, or several: whatever `enroll` takes.
            sample_rate: Hz, for samples.

        Raises:
            InputError: nobody is enrolled; audio that can't be read, or in which no speech is heard.
            ConfigError: no threshold is known for this embedder.
        """
        voices, threshold = self.voiceprints(), self.threshold
        if not len(voices):
            raise InputError(f"{self.place}: nobody is enrolled here: enrol someone first, or name another file.")
        [scores] = voices.scores(self._verifier.embed(audio, sample_rate=sample_rate)[None])
        ranked = tuple((voices.names[index], float(scores[index])) for index in np.argsort(-scores, kind="stable"))
        best, score = ranked[0]
        return Identification(best if score >= threshold else None, ranked, threshold)

    def forget(self, *names: str) -> None:
        """Remove people; nothing of them is left in the file. All go, or none.

        Raises:
            InputError: someone isn't enrolled; the message has the closest name.
        """
        with self._database.writing() as rows:
            for name in dict.fromkeys(names):
                rows.remove(name)
        self._database.vacuum()

    def rename(self, name: str, new: str) -> None:
        """Give someone another name.

        Raises:
            InputError: they aren't enrolled, someone has the new name, or it is no name.
        """
        check_name(new)
        with self._database.writing() as rows:
            rows.rename(name, new)
        self._database.vacuum()

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write all voices to a JSON file (`speakerdiar.voiceprints.transfer`), for the owner's eyes only.

        Raises:
            InputError: nobody is enrolled, or the file can't be written.
        """
        from speakerdiar.voiceprints import transfer

        with self._database.reading() as rows:
            bound, people, clips = rows.bound(), rows.people(), rows.clips()
        if bound is None:
            raise InputError(f"{self.place}: nobody is enrolled here: there is nothing to export.")
        transfer.write(path, bound, people, clips)

    def import_(self, path: str | os.PathLike[str]) -> tuple[str, ...]:
        """Add the voices of an exported file. Someone who is enrolled already gets the clips that are new.

        Returns:
            The names in the file.

        Raises:
            FormatError: it is no exported file.
            ConfigError: its voices were made by another embedder than those here.
        """
        from speakerdiar.voiceprints import transfer

        document = transfer.read(path)
        own = None if self._asked is None else self._own
        with self._database.writing() as rows:
            here = rows.bound() or own
            if here is not None and not here.fits(document.binding):
                raise ConfigError(
                    f"{os.fspath(path)}: its voices were made by {document.binding.name!r}, and {self.place} is for "
                    f"those of {here.name!r}: import it into another store."
                )
            for person in document.people:
                rows.add(here or document.binding, person.name, transfer.clips_of(person), person.since)
        return tuple(person.name for person in document.people)

    @property
    def _bound(self) -> Binding | None:
        with self._database.reading() as rows:
            return rows.bound()

    @cached_property
    def _chosen(self) -> str | os.PathLike[str] | EmbeddingMixin:
        """What to make the embedder of."""
        if self._asked is not None:
            return self._asked
        return self.embedder_name or DEFAULT_EMBEDDER

    @cached_property
    def _verifier(self) -> Verifier:
        from speakerdiar.models.embedders import make_embedder
        from speakerdiar.models.verification import Verifier

        try:
            embedder = make_embedder(self._chosen)
        except ModelError as error:
            if self._asked is not None:
                raise
            raise WeightsError(
                f"{self.place}: its voices were made by {self._chosen!r}, which can't be opened from here ({error}) "
                "Say where it is with embedder=."
            ) from error
        return Verifier(embedder, threshold=self._threshold, segmenter=self._segmenter)

    @cached_property
    def _own(self) -> Binding:
        return Binding.of(self._verifier.embedder, self._chosen)

    def _check(self, bound: Binding | None, own: Binding) -> None:
        """Raise ConfigError where the voices here were made by another embedder than ours."""
        if bound is not None and not bound.fits(own):
            raise ConfigError(
                f"{self.place}: its voices were made by {bound.name!r}, and {own.name!r} makes other vectors: open it "
                "with the embedder that made them, or enrol everyone anew in another file."
            )


def default_path() -> Path:
    """Return the file of voices: $SPEAKERDIAR_VOICES, or voices.db in the user's data folder for speakerdiar."""
    import platformdirs

    if named := os.environ.get(ENVIRONMENT):
        return Path(named).expanduser()
    return platformdirs.user_data_path("speakerdiar", appauthor=False) / "voices.db"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
