"""Slots by any clusterer of this library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from speakerdiar.clustering.base import ClustererMixin
from speakerdiar.clustering.slots import SlotClusterer, Speakers, of_labels
from speakerdiar.config import SpeakerCount


def within(count: SpeakerCount, embeddings: int) -> SpeakerCount:
    """Return the count that pyannote makes of one where there are only so many embeddings."""
    most = embeddings if count.most is None else min(count.most, embeddings)
    return SpeakerCount(min(count.least, embeddings), most)


@dataclass(frozen=True)
class AnySlots(SlotClusterer):
    """Clusters slots with any clusterer: `fit_predict` on their embeddings, in order of time."""

    clusterer: ClustererMixin

    def _find(self, embeddings: NDArray[Any], count: SpeakerCount) -> Speakers:
        return of_labels(embeddings, self.clusterer.fit_predict(embeddings, count))

    def _find_like_pyannote(self, embeddings: NDArray[Any], count: SpeakerCount) -> Speakers:
        # pyannote has a template for clusterings too; this is what it makes of one that isn't its own.
        count = within(count, len(embeddings))
        return of_labels(embeddings, self.clusterer.fit_predict(embeddings, count), scored=count.most != 1)
