"""Gives the speakers of any diarizer's results the names of enrolled voices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from speakerdiar.annotation import Diarization, Segment, active_speakers
from speakerdiar.audio import read_blocks
from speakerdiar.config import DiarizeConfig
from speakerdiar.errors import ConfigError
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.recording import Recording
from speakerdiar.voiceprint import Voiceprints, numbered

SPEECH_SECONDS = 60.0
"""So much of a speaker is embedded, longest turns first: enough for a steady vector, and memory stays bounded."""
BLOCK_SECONDS = 60.0
SAME = 0.999
"""Cosine of two probes from which on they are of one embedder: rounding and eight-bit convolutions change less."""


@runtime_checkable
class VoiceSource(Protocol):
    """Where enrolled voices come from, such as a `VoiceprintStore`."""

    @property
    def embedder(self) -> EmbeddingMixin:
        """What made the voices' vectors."""

    @property
    def threshold(self) -> float:
        """Scores from here on count as one person."""

    def voiceprints(self) -> Voiceprints:
        """The voices, as they are now."""


@dataclass(frozen=True)
class Naming:
    """The enrolled voices of a call.

    Attributes:
        voices: as they were when the call began.
        embedder: what made their vectors.
        threshold: scores from here on count as one person.
        own: whether the model's own embeddings may be compared with these voices.
    """

    voices: Voiceprints
    embedder: EmbeddingMixin
    threshold: float
    own: bool

    @classmethod
    def of(cls, source: Any, model: object) -> Naming:
        """Take the voices from where they are, for the results of a model.

        Raises:
            ConfigError: they can't be taken from there.
        """
        if not isinstance(source, VoiceSource):
            raise ConfigError(
                f"voiceprints={source!r:.80}: give a VoiceprintStore, such as VoiceprintStore('voices.db') or "
                "VoiceprintStore.of({'Ana': 'ana.wav'})."
            )
        own = getattr(model, "embedder", None)
        fits = isinstance(own, EmbeddingMixin) and same_embedder(source.embedder, own)
        voices = replace(source.voiceprints(), centre=source.embedder.centre)
        return cls(voices, source.embedder, source.threshold, fits)

    def named(self, result: Any, recording: Recording | None) -> Diarization:
        """Return the result with names: no name twice, and `SPEAKER_00`, ... for those who are none of the voices.

        Args:
            result: a `Diarization`.
            recording: its audio, to embed the speakers from; it can be read from its beginning.

        Raises:
            ConfigError: the result is no `Diarization`, or there is nothing to embed its speakers from.
        """
        if not isinstance(result, Diarization):
            raise ConfigError(f"voiceprints: names are for Diarizations, and this model gives {type(result).__name__}.")
        speakers = result.speakers
        if not (self.own and all(speaker in result.embeddings for speaker in speakers)):
            if recording is None:
                raise ConfigError("voiceprints: a DataLoader's recordings can't be read again; give paths or samples.")
            result = replace(result, embeddings=speaker_vectors(result, recording, self.embedder))
        vectors = np.stack([result.embeddings[speaker] for speaker in speakers]) if speakers else np.zeros((0, 0))
        found = self.voices.assigned(vectors, self.threshold)
        names = {speakers[row]: name for row, (name, _) in found.items()}
        named: Diarization = result.renamed(numbered(speakers, names))
        return replace(named, identified=dict(sorted(found.values())))


def check_nameless(diarcfg: DiarizeConfig) -> None:
    """Raise ConfigError where live use is asked for names."""
    if diarcfg.voiceprints is not None:
        raise ConfigError("voiceprints: names come with whole recordings; leave it out live, or call diarize().")


def speaker_vectors(
    result: Diarization, recording: Recording, embedder: EmbeddingMixin
) -> dict[str, NDArray[np.float32]]:
    """Return a vector for each speaker, of what they say alone; zeros where they never have the floor alone."""
    pieces = spoken_alone(result, SPEECH_SECONDS)
    samples = _cut(recording, result.offset, pieces, embedder.sample_rate)
    least = round(embedder.min_seconds * embedder.sample_rate)
    return {
        speaker: embedder.embed(kept)[0] if len(kept) >= least else np.zeros(embedder.dimension, np.float32)
        for speaker, kept in samples.items()
    }


def same_embedder(one: EmbeddingMixin, other: EmbeddingMixin) -> bool:
    """Whether two embedders make the same vectors, as far as a probe tells."""
    if one is other:
        return True
    return one.dimension == other.dimension and float(one.probe() @ other.probe()) >= SAME


def spoken_alone(result: Diarization, most: float) -> dict[str, list[Segment]]:
    """Return where each speaker is the only one, `most` seconds of it at most, longest stretches first, in order."""
    alone: dict[str, list[Segment]] = {speaker: [] for speaker in result.speakers}
    for segment, names in active_speakers(result.turns):
        if len(names) == 1:
            alone[next(iter(names))].append(segment)
    return {speaker: _longest(segments, most) for speaker, segments in alone.items()}


def _longest(segments: list[Segment], most: float) -> list[Segment]:
    kept: list[Segment] = []
    for segment in sorted(segments, key=lambda s: -s.duration):
        left = most - sum(s.duration for s in kept)
        if left <= 0:
            break
        kept.append(Segment(segment.start, min(segment.end, segment.start + left)))
    return sorted(kept)


def _cut(
    recording: Recording, offset: float, pieces: dict[str, list[Segment]], rate: int
) -> dict[str, NDArray[np.float32]]:
    """Read a recording once, block by block, and put together what lies in each speaker's pieces."""
    spans = {
        speaker: [(round((s.start - offset) * rate), round((s.end - offset) * rate)) for s in segments]
        for speaker, segments in pieces.items()
    }
    kept: dict[str, list[NDArray[np.float32]]] = {speaker: [] for speaker in spans}
    first = 0
    for block in read_blocks(recording, rate, BLOCK_SECONDS):
        for speaker, own in spans.items():
            kept[speaker] += [block[max(0, s - first) : max(0, e - first)] for s, e in own]
        first += len(block)
    return {speaker: np.concatenate([np.zeros(0, np.float32), *parts]) for speaker, parts in kept.items()}
