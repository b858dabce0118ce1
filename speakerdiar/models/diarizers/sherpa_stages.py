"""The decisions of sherpa-onnx's `OfflineSpeakerDiarization`, one by one, for the same turns as it gives.

Source: sherpa-onnx 2.0 (Apache-2.0), whose behaviour this follows, its oddities included. For better turns take the
stages of `speakerdiar.models.diarizers.eend_vc_stages` and embedders with the features of their training.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from speakerdiar.annotation import Turn
from speakerdiar.clustering.ahc import AhcClusterer
from speakerdiar.clustering.assignment import similarities
from speakerdiar.clustering.slots import SlotClusters
from speakerdiar.config import PostProcessingParams, SpeakerCount, is_count
from speakerdiar.errors import ConfigError
from speakerdiar.frames import runs
from speakerdiar.models.diarizers.eend_vc_stages import Masks, Stages
from speakerdiar.postprocessing import segments as algebra
from speakerdiar.postprocessing.local_speech import LocalSpeech
from speakerdiar.postprocessing.powerset import members_of
from speakerdiar.postprocessing.reconstruction import activations, total_frames, window_means
from speakerdiar.ranges import Range


def sherpa_durations() -> PostProcessingParams:
    """Return the shortest turn and the longest filled gap that sherpa-onnx has by default."""
    return PostProcessingParams(min_duration_on=0.3, min_duration_off=0.5, filter_speech_first=False)


@dataclass(frozen=True, kw_only=True)
class SherpaStages(Stages):
    """The stages of sherpa-onnx, between an `OnnxSegmenter` and an `OnnxEmbedder` with `frontend="sherpa"`.

    A recording of one window isn't clustered: its local speakers are its people, however many are asked for. Elsewhere
    a number of speakers is met as far as there are vectors; where there are fewer, everybody is one person.

    Attributes:
        threshold: cosine distance up to which the farthest vectors of two clusters may lie apart.
        least_frames: local speakers who talk alone in fewer frames than these have no vector and are left out.
    """

    TUNABLE: ClassVar[Mapping[str, Range]] = {"threshold": Range(0.1, 1.5)}

    threshold: float = 0.5
    least_frames: int = 10

    def __post_init__(self) -> None:
        if not is_count(self.least_frames, least=1):
            raise ConfigError(f"least_frames={self.least_frames!r}: give a whole number, 1 or more.")
        AhcClusterer(method="complete", threshold=self.threshold)  # refuses thresholds that it can't use

    def masks(self, bits: NDArray[np.uint8], speakers: int) -> Masks:
        """Local speakers who talk alone for long enough, there; the last frame of a window is cut off."""
        alone = members_of(bits, speakers).transpose(0, 2, 1) & (bits[:, None] & (bits[:, None] - 1) == 0)
        windows, slots = np.nonzero(alone.sum(axis=2) >= self.least_frames)
        frames = alone[windows, slots]
        frames[:, -1] = False
        return Masks(windows, slots, frames)

    def count(self, speech: LocalSpeech, count: SpeakerCount) -> NDArray[np.uint8]:
        """The mean over the windows that see a frame, half rounded up; whatever number is asked for."""
        found = np.zeros(total_frames(speech), dtype=np.uint8)

        def together(windows: slice) -> NDArray[Any]:
            return np.asarray(speech.active(windows).sum(axis=2)[:, None])

        for first, means in window_means(speech, together, 1):
            found[first : first + len(means)] = np.floor(means[:, 0] + 0.5)
        return found

    def cluster(self, speech: LocalSpeech, embeddings: NDArray[np.floating[Any]], count: SpeakerCount) -> SlotClusters:
        """By the farthest vectors of two clusters (complete linkage)."""
        train = np.argwhere(np.isfinite(embeddings).all(axis=2))
        vectors = np.asarray(embeddings)[train[:, 0], train[:, 1]].astype(np.float64)
        labels = np.full(embeddings.shape[:2], -1, dtype=np.int64)
        found = cluster_vectors(vectors, self.threshold, count)
        labels[train[:, 0], train[:, 1]] = found
        people = int(found.max(initial=-1)) + 1
        if len(speech) == 1:
            people, found = speech.speakers, train[:, 1]
            labels[:] = np.where(speech.spoken() > 0, np.arange(people), -1)
        centroids = np.full((people, embeddings.shape[2]), np.nan)
        for person in np.unique(found):
            centroids[person] = vectors[found == person].mean(axis=0)
        soft = similarities(embeddings, centroids)
        return SlotClusters(labels=labels, centroids=centroids, soft=soft, train=train, train_labels=found)

    def reconstruct(
        self, speech: LocalSpeech, clusters: SlotClusters, count: NDArray[np.uint8], asked: SpeakerCount
    ) -> NDArray[np.bool_]:
        """As many as talk at once: those whom most windows hear, and people whom none hears where these are too few."""
        people = len(clusters.centroids)
        active = np.zeros((len(count), people), dtype=bool)
        if people:
            votes = activations(speech, clusters.labels, people)
            inside = frames_inside(speech)
            active[:inside] = strongest(votes[:inside], count[:inside])
        return active

    def turns(self, active: NDArray[np.bool_], speech: LocalSpeech, params: PostProcessingParams) -> tuple[Turn, ...]:
        """From middle to middle of frames; pads and thresholds play no part.

        A gap of just `min_duration_off` is filled, a turn of just `min_duration_on` dropped.
        """
        inside, found = active[: frames_inside(speech)], []
        for person, talks in enumerate(inside.T):
            rows = speech.grid.middle(np.minimum(runs(talks), len(inside) - 1))
            joined = algebra.fill_gaps(rows, params.min_duration_off + 2 * algebra.TOLERANCE)
            kept = algebra.drop_short(joined, params.min_duration_on + 2 * algebra.TOLERANCE)
            found += [Turn(start, end, str(person)) for start, end in kept.tolist()]
        return tuple(sorted(found))

    def tunable_parts(self) -> Mapping[str, Any]:
        """Return the stages: the threshold is theirs."""
        return {"stages": self}

    def with_parts(self, parts: Mapping[str, Any]) -> Self:
        """Return the stages that the parts hold."""
        return cast(Self, parts["stages"])


def cluster_vectors(vectors: NDArray[np.floating[Any]], threshold: float, count: SpeakerCount) -> NDArray[np.int64]:
    """Return labels (N,) in order of appearance of vectors (N, D), none of them NaN.

    Where more speakers are asked for than there are vectors, all are one.
    """
    if len(vectors) < max(2, count.least):
        return np.zeros(len(vectors), dtype=np.int64)
    return AhcClusterer(method="complete", threshold=threshold).fit_predict(vectors, count)


def frames_inside(speech: LocalSpeech) -> int:
    """Frames in which somebody may talk: those of a single window, or those that begin inside the recording."""
    grid, windows = speech.grid, len(speech)
    if windows < 2:
        return grid.frames
    if (speech.samples - grid.window) % grid.step:
        return speech.samples // grid.frame_step + 1
    return (grid.window + (windows - 1) * grid.step) // grid.frame_step + 1


@dataclass(order=True)
class _Heard:
    """Windows that hear somebody in a frame; only their number is compared."""

    votes: float
    person: int = field(compare=False)


def strongest(votes: NDArray[np.float32], count: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the `count` (T,) people of most votes (T, K) in each frame: bool (T, K).

    Ties fall as in the C++ library of GCC (`std::partial_sort`): the first people go on a heap, whose top makes way for
    anyone with more votes. Python's heaps move their items alike.
    """
    order = np.argsort(-votes, axis=1, kind="stable")
    active = np.zeros(votes.shape, dtype=bool)
    np.put_along_axis(active, order, np.arange(votes.shape[1]) < count[:, None], axis=1)
    ranked = np.take_along_axis(votes, order, axis=1)
    several = np.flatnonzero((count > 1) & (count < votes.shape[1]))
    places = count[several].astype(np.int64)
    for frame in several[ranked[several, places - 1] == ranked[several, places]]:
        active[frame] = False
        active[frame, _on_the_heap(votes[frame].tolist(), int(count[frame]))] = True
    return active


def _on_the_heap(votes: list[float], places: int) -> list[int]:
    everyone = [_Heard(number, person) for person, number in enumerate(votes)]
    heap = everyone[:places]
    heapq.heapify(heap)
    for heard in everyone[places:]:
        if heap[0] < heard:
            heapq.heapreplace(heap, heard)
    return [heard.person for heard in heap]
