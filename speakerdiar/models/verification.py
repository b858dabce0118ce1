"""Speaker verification: are two recordings of one speaker?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.audio import load
from speakerdiar.clustering.affinity import directions
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.models.diarizers.clustering import ClusteringDiarizer
from speakerdiar.models.embedders import make_embedder
from speakerdiar.models.segmenters import make_segmenter
from speakerdiar.models.segmenters.speech import find_speech
from speakerdiar.recording import Recording, as_recordings
from speakerdiar.voiceprint import voice_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from speakerdiar.formats.trials import Trial
    from speakerdiar.mixins.embedding import EmbeddingMixin
    from speakerdiar.mixins.segmentation import SegmentationMixin


@dataclass(frozen=True)
class Verification:
    """Whether two recordings are of one speaker.

    Attributes:
        score: cosine of the two voices' vectors, from the embedder's centre on: -1 to 1.
        threshold: scores from here on count as one speaker.
        same: whether the score does.
    """

    score: float
    threshold: float
    same: bool


class Verifier:
    """Compares voices: what is speech in each recording becomes one vector, and two vectors' cosine is the score.

    Where the embedder's `centre`, the mean over many people, is known, it is taken off first: what all voices share
    says nothing about who speaks.

    Args:
        embedder: turns speech into vectors: a name in EMBEDDERS (`ge2e`), the path of a weight file, or an instance.
        threshold: scores from here on count as one speaker; by default the embedder's own `voice_threshold`.
        segmenter: finds speech: a name in SEGMENTERS (`silero`) or an instance.

    Raises:
        ConfigError: a threshold that isn't between -1 and 1, an embedder and a segmenter of two rates.
        UnknownModelError: there is no embedder or segmenter of that name.
        MissingExtraError: weights aren't installed.
    """

    def __init__(
        self,
        embedder: str | EmbeddingMixin = "ge2e",
        *,
        threshold: float | None = None,
        segmenter: str | SegmentationMixin = "silero",
    ) -> None:
        if threshold is not None and not -1 <= threshold <= 1:
            raise ConfigError(f"threshold={threshold!r}: scores are cosines; give a number between -1 and 1.")
        self.embedder = make_embedder(embedder)
        self.segmenter = make_segmenter(segmenter)
        if self.segmenter.sample_rate != self.embedder.sample_rate:
            raise ConfigError(
                f"The segmenter takes {self.segmenter.sample_rate} Hz and the embedder {self.embedder.sample_rate} Hz: "
                "choose two of one rate."
            )
        self.threshold = self.embedder.voice_threshold if threshold is None else threshold

    def verify(self, enrol: Any, test: Any, *, sample_rate: int | None = None) -> Verification:
        """Say whether one speaker is heard on both sides.

        Args:
            enrol: a recording, or several of one speaker: whatever `embed` takes.
            test: the same for the other side.
            sample_rate: Hz, for samples.

        Raises:
            ConfigError: no threshold is known for this embedder.
            InputError: as `embed`.
        """
        threshold = self.required_threshold()
        score = self.compare(self.embed(enrol, sample_rate=sample_rate), self.embed(test, sample_rate=sample_rate))
        return Verification(score, threshold, score >= threshold)

    def required_threshold(self) -> float:
        """Return the threshold. Raises ConfigError where none is known for this embedder."""
        if self.threshold is None:
            raise ConfigError(
                f"No threshold is known for {type(self.embedder).__name__}: give one. `speakerdiar verify --trials "
                "LIST` finds it, from recordings of which you know whether they are of one speaker."
            )
        return self.threshold

    def embed(self, audio: Any, *, sample_rate: int | None = None) -> NDArray[np.float32]:
        """Return the vector of a speaker: the mean over recordings of what is speech in each.

        Args:
            audio: a recording of one speaker, or an iterable of several: paths, open binary files, pairs
                (samples, rate), samples, Recordings (`speakerdiar.recording.as_recordings`).
            sample_rate: Hz, for samples.

        Returns:
            A vector of length 1, float32, (dimension,).

        Raises:
            InputError: audio that can't be read, or in which no speech is heard.
        """
        vectors = np.stack([self._embed_one(recording) for recording in as_recordings(audio, sample_rate)])
        return np.asarray(directions(vectors.mean(axis=0, keepdims=True))[0], dtype=np.float32)

    def score_trials(
        self, trials: Iterable[Trial], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float64]:
        """Return the score of each trial; a recording that several trials name is embedded once.

        Args:
            trials: `speakerdiar.formats.trials` reads lists of them.
            progress: called with (recordings done, recordings in all) after each.

        Returns:
            Cosines, float64, (trials,).

        Raises:
            InputError: as `embed`.
        """
        listed = list(trials)
        paths = dict.fromkeys(path for trial in listed for path in (trial.enrol, trial.test))
        vectors = {}
        for done, path in enumerate(paths, start=1):
            vectors[path] = self.embed(path)
            if progress is not None:
                progress(done, len(paths))
        return np.array([self.compare(vectors[trial.enrol], vectors[trial.test]) for trial in listed])

    def compare(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        """Return the score of two vectors (dimension,) that `embed` returned."""
        return float(voice_scores(one[None], other[None], self.embedder.centre)[0, 0])

    def speech(self, recording: Recording) -> NDArray[np.float32]:
        """Return what is speech in a recording, put together: samples (n,), mono, at the embedder's rate.

        Raises:
            AudioError: audio that can't be read.
        """
        samples = load(recording, self.embedder.sample_rate)
        regions, _ = find_speech(self.segmenter, [samples], ClusteringDiarizer.DEFAULT_POSTPROCESSING)
        return _joined(samples, regions, self.embedder.sample_rate)

    def _embed_one(self, recording: Recording) -> NDArray[np.float32]:
        return embed_speech(self.embedder, self.speech(recording), recording.path or recording.id)


def embed_parts(
    embedder: EmbeddingMixin, samples: NDArray[np.float32], parts: NDArray[np.float64], name: str
) -> NDArray[np.float32]:
    """Return the vector of parts of a recording, put together and embedded as one.

    Args:
        embedder: what embeds.
        samples: (n,) mono, at the embedder's rate.
        parts: start and end of each part in seconds, (N, 2).
        name: what errors call the recording.

    Returns:
        A vector of length 1, float32, (dimension,).

    Raises:
        InputError: no part has any sound.
    """
    return embed_speech(embedder, _joined(samples, parts, embedder.sample_rate), name)


def embed_speech(embedder: EmbeddingMixin, speech: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """Return the vector of a speaker's speech (n,), of length 1, (dimension,).

    Raises:
        InputError: it is empty or silent; the message begins with `name`.
    """
    vector = directions(embedder.embed(speech))[0] if len(speech) else np.zeros(embedder.dimension)
    if not vector.any():
        raise InputError(f"{name}: no speech heard: give a recording in which someone speaks.")
    return np.asarray(vector, dtype=np.float32)


def _joined(samples: NDArray[np.float32], parts: NDArray[np.float64], rate: int) -> NDArray[np.float32]:
    borders = np.rint(parts * rate).astype(np.int64)
    return np.concatenate([samples[:0], *(samples[first:last] for first, last in borders)])
