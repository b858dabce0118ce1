"""Speakers across recordings, by name: the same person is called the same all over an archive.

>>> linked = link_recordings(results, embedder=model.embedder)  # doctest: +SKIP
>>> linked.results[0].speakers                                  # doctest: +SKIP
('PERSON_0001', 'PERSON_0002')
>>> print(linked.who_is_where.to_table())                       # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.annotation import Diarization
from speakerdiar.clustering.linking import Persons, check_threshold, link, means_of
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.mixins.naming import SPEECH_SECONDS, VoiceSource
from speakerdiar.voiceprint import NUMBERED, Voiceprints, from_centre
from speakerdiar.voiceprints.appearances import WhoIsWhere
from speakerdiar.voiceprints.archive import Archive, Placed, digest_of

NOBODY = Voiceprints((), np.zeros((0, 0), np.float32))


@dataclass(frozen=True, eq=False)
class Linked:
    """Recordings whose speakers have the same names throughout.

    Attributes:
        results: the recordings in the order they were handed in.
        archive: what to hand to the next call, as `known`, when recordings are added.
    """

    results: tuple[Diarization, ...]
    archive: Archive

    @cached_property
    def who_is_where(self) -> WhoIsWhere:
        """Who appears in which of the recordings."""
        return WhoIsWhere.of(self.results)


def link_recordings(
    results: Iterable[Diarization],
    *,
    embedder: EmbeddingMixin | None = None,
    threshold: float | None = None,
    known: Archive | None = None,
    voices: VoiceSource | None = None,
) -> Linked:
    """Give the speakers of many recordings names: the same one wherever the same person speaks.

    Speakers are linked by `speakerdiar.clustering.linking.link`, from the embedder's centre on. Who is known keeps
    their name: the persons of `known`, speakers who were identified when they were diarized, and those whose score with
    an enrolled voice reaches the threshold of `voices` (of whom no recording has one twice). Everyone else gets a
    number, `PERSON_0001`, ..., in order of the recordings' ids, and then of first appearance. Recordings that `known`
    has, diarized in the same way, stay as they were linked; one that was diarized anew is linked anew.

    Args:
        results: recordings with a vector for each speaker (zeros for unheard ones), all from one embedder.
        embedder: that one; None leaves out its centre.
        threshold: the least average cosine of a person's parts, above 0, 1 at most; by default the embedder's own.
        known: what an earlier call returned as its archive.
        voices: enrolled voices, from the same embedder.

    Raises:
        InputError: a speaker has no vector, vectors of several sizes, or an id that two recordings have.
        ConfigError: no threshold is known for the embedder, or one that can't be.
        MissingExtraError: so many speakers that faiss is needed, which isn't installed.
    """
    least = threshold_of(embedder) if threshold is None else threshold
    check_threshold(least)
    listed = list(results)
    _check(listed, known)
    centre = None if embedder is None else embedder.centre
    enrolled, sure = NOBODY, 1.0
    if voices is not None:
        enrolled, sure = voices.voiceprints(), voices.threshold
        enrolled = Voiceprints(enrolled.names, from_centre(enrolled.vectors, centre).astype(np.float32))
    book = _Book(known or Archive(), enrolled, sure, centre)
    new = sorted((result for result in listed if not book.archive.has(result)), key=lambda result: result.recording_id)
    archive = book.with_recordings(new, least)
    return Linked(tuple(book.renamed(result, archive) for result in listed), archive)


def threshold_of(embedder: EmbeddingMixin | None) -> float:
    """Return an embedder's threshold. Raises ConfigError where none is known."""
    if embedder is None or embedder.linking_threshold is None:
        name = "no embedder" if embedder is None else type(embedder).__name__
        raise ConfigError(f"No threshold for linking is known for {name}: give one, a cosine above 0, 1 at most.")
    return embedder.linking_threshold


class _Book:
    """An archive and enrolled voices, both from the embedder's centre on."""

    def __init__(self, archive: Archive, voices: Voiceprints, least: float, centre: NDArray[Any] | None) -> None:
        self.voices, self.least, self.centre = voices, least, centre
        self.archive = replace(archive, names=self._named(archive.names, archive.means))

    def with_recordings(self, new: list[Diarization], threshold: float) -> Archive:
        """Return the archive with recordings, in order of their ids."""
        if not new:
            return self.archive
        certain = [self._certain(result) for result in new]
        before = self.archive
        names = [*before.names, *sorted({name for own in certain for name in own.values()} - {*before.names})]
        place = {name: at for at, name in enumerate(names)}
        speakers = [(row, speaker) for row, result in enumerate(new) for speaker in result.speakers]
        vectors = self._all_vectors(new)
        seconds = np.array([s for result in new for s in result.durations().values()]).clip(max=SPEECH_SECONDS)
        rooms = np.array([row for row, _ in speakers], np.int64)
        persons = _extended(before.persons, len(names), vectors.shape[1])
        fixed = np.array([place.get(certain[row].get(speaker, ""), -1) for row, speaker in speakers], np.int64)
        labels = link(vectors, rooms, seconds, threshold=threshold, known=persons, fixed=fixed)
        count = max(len(names), int(labels.max(initial=-1)) + 1)
        after = means_of(vectors, seconds, labels, count, known=persons)
        numbers = range(before.numbers + 1, before.numbers + 1 + count - len(names))
        names += [f"PERSON_{number:04d}" for number in numbers]
        placed: list[dict[str, int]] = [{} for _ in new]
        for (row, speaker), label in zip(speakers, labels.tolist(), strict=True):
            placed[row][speaker] = label
        found = {r.recording_id: Placed(digest_of(r), own) for r, own in zip(new, placed, strict=True)}
        return Archive(
            names=self._named(tuple(names), after.means),
            means=after.means,
            seconds=after.weights,
            recordings={**before.recordings, **found},
            numbers=before.numbers + len(numbers),
        )

    def _certain(self, result: Diarization) -> dict[str, str]:
        """Return the names of the speakers of whom it is known who they are."""
        named = {speaker: speaker for speaker in result.speakers if speaker in result.identified}
        others = [speaker for speaker in result.speakers if speaker not in named]
        if not others or not len(self.voices):
            return named
        found = self.voices.assigned(self._vectors(result, others), self.least)
        return {**{others[row]: name for row, (name, _) in found.items() if name not in named}, **named}

    def _named(self, names: tuple[str, ...], means: NDArray[np.float64]) -> tuple[str, ...]:
        """Give persons who have only a number the names of voices that nobody has yet."""
        numbered = [at for at, name in enumerate(names) if NUMBERED.fullmatch(name)]
        free = [at for at, name in enumerate(self.voices.names) if name not in names]
        if not numbered or not free:
            return names
        left = Voiceprints(tuple(self.voices.names[at] for at in free), self.voices.vectors[free])
        called = list(names)
        for row, (name, _) in left.assigned(means[numbered], self.least).items():
            called[numbered[row]] = name
        return tuple(called)

    def _all_vectors(self, results: list[Diarization]) -> NDArray[np.float64]:
        kept = [self._vectors(result, result.speakers) for result in results if result.speakers]
        return np.concatenate(kept) if kept else np.zeros((0, self.archive.means.shape[1]))

    def _vectors(self, result: Diarization, speakers: Sequence[str]) -> NDArray[np.float64]:
        """Return the vectors of speakers, from the centre on: (S, D)."""
        kept = [result.embeddings[speaker] for speaker in speakers]
        return from_centre(np.stack(kept), self.centre) if kept else np.zeros((0, 0))

    def renamed(self, result: Diarization, archive: Archive) -> Diarization:
        """Call a recording's speakers what their persons are called, with the scores of those who are enrolled."""
        names = {old: archive.names[at] for old, at in archive.recordings[result.recording_id].persons.items()}
        renamed = result.renamed(names)
        enrolled = [name for name in renamed.speakers if name in self.voices.names]
        scores = self.voices.scores(self._vectors(renamed, enrolled))
        found = {n: float(scores[row, self.voices.names.index(n)]) for row, n in enumerate(enrolled)}
        return replace(renamed, identified=dict(sorted({**renamed.identified, **found}.items())))


def _extended(persons: Persons | None, count: int, size: int) -> Persons:
    """Return persons with some more behind them of whom nothing is known yet."""
    means, weights = np.zeros((count, size)), np.zeros(count)
    if persons is not None:
        means[: len(persons)], weights[: len(persons)] = persons.means, persons.weights
    return Persons(means, weights)


def _check(results: list[Diarization], known: Archive | None) -> None:
    sizes: dict[Any, str] = {} if not known else {(known.means.shape[1],): "the archive"}
    seen: set[str] = set()
    for result in results:
        if result.recording_id in seen:
            raise InputError(f"Two recordings are called {result.recording_id!r}: give each an id of its own.")
        seen.add(result.recording_id)
        for speaker in result.speakers:
            if speaker not in result.embeddings:
                raise InputError(
                    f"{result.recording_id}: {speaker} has no embedding: diarize with a model that gives some."
                )
            sizes.setdefault(np.shape(result.embeddings[speaker]), result.recording_id)
    if len(sizes) > 1:
        listed = ", ".join(f"{size} in {where}" for size, where in sizes.items())
        raise InputError(f"Embeddings of several sizes ({listed}): take all from one embedder.")
