"""The promise of the clusterer's role: embeddings in, one label each out.

`ClustererMixin.fit_predict` is the template. It checks what comes in, asks the hook `_cluster` for labels, and sees
to it that the number of clusters is one that was asked for. A new algorithm writes the hook only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speakerdiar.clustering.counts import in_order_of_appearance, meet_count
from speakerdiar.config import SpeakerCount
from speakerdiar.errors import ConfigError, SpeakerCountError
from speakerdiar.ranges import Range

Vectors = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]

ANY_COUNT = SpeakerCount()


class ClustererMixin(ABC):
    """Groups embeddings by speaker. Keeps nothing between calls."""

    knows_time: ClassVar[bool] = False
    """Whether labels depend on the order of the embeddings, as turns of speech do."""
    TUNABLE: ClassVar[Mapping[str, Range]] = {}
    """Fields that may be tuned, and where they may lie."""

    def fit_predict(
        self, embeddings: ArrayLike, count: SpeakerCount = ANY_COUNT, *, known: ArrayLike | None = None
    ) -> Labels:
        """Return one label for each embedding.

        Args:
            embeddings: (N, D), one vector a row, in order of time; any float type.
            count: how many speakers there may be. Always met, also where embeddings are few or identical.
            known: (M, D), voices from the same model that may be among the speakers. Clusterers that can make no use
                of them leave them aside.

        Returns:
            (N,) labels 0..K-1 in order of first appearance, with count.least <= K <= count.most. No embeddings, no
            labels.

        Raises:
            ConfigError: `embeddings` isn't a matrix of finite numbers.
            SpeakerCountError: more speakers are asked for than there are embeddings.
        """
        vectors = checked_embeddings(embeddings)
        if len(vectors) == 0:
            return np.zeros(0, np.int64)
        check_count(len(vectors), count)
        if len(vectors) == 1 or count.most == 1:
            return np.zeros(len(vectors), np.int64)
        voices = np.zeros((0, vectors.shape[1])) if known is None else checked_embeddings(known)
        labels = self._cluster_known(vectors, count, voices) if len(voices) else self._cluster(vectors, count)
        return in_order_of_appearance(meet_count(vectors, labels, count))

    @abstractmethod
    def _cluster(self, embeddings: Vectors, count: SpeakerCount) -> Labels:
        """Return (N,) labels for N >= 2 finite embeddings (N, D); any integers, in any order.

        A number of clusters outside `count` is put right afterwards by splitting and merging, but an algorithm that
        knows the count while it works does better than that.
        """

    def _cluster_known(self, embeddings: Vectors, count: SpeakerCount, known: Vectors) -> Labels:
        """Return labels as `_cluster` does, where voices (M, D) are known that may be among the speakers."""
        return self._cluster(embeddings, count)


def checked_embeddings(embeddings: ArrayLike) -> Vectors:
    """Return embeddings as a matrix of floats. Raises ConfigError for another shape, or numbers that aren't finite."""
    vectors = np.asarray(embeddings)
    if vectors.ndim == 1 and vectors.size == 0:
        return np.zeros((0, 0))
    if vectors.ndim != 2:
        raise ConfigError(f"embeddings of shape {vectors.shape}: give a matrix (embeddings, dimensions).")
    if vectors.dtype.kind not in "fiu":
        raise ConfigError(f"embeddings of type {vectors.dtype}: give real numbers.")
    if vectors.dtype not in (np.float32, np.float64):
        vectors = vectors.astype(np.float64)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ConfigError(f"embedding {row} has values that aren't finite: leave it out, or fix what computed it.")
    return vectors


def check_count(available: int, count: SpeakerCount) -> None:
    """Raise SpeakerCountError where `available` embeddings can't make the least number of speakers."""
    if count.least > available:
        raise SpeakerCountError(
            f"{count.least} speakers were asked for, but the embeddings to tell apart number only {available}: "
            f"ask for at most {available}, or use shorter windows."
        )
