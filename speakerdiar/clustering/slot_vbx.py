"""Slots by VBx, as in pyannote.audio's community-1: agglomerative clusters, then a mixture over PLDA features.

The mixture is `vbx` without its order of time. It gives up speakers that another one explains as well.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.affinity import unit_rows
from speakerdiar.clustering.base import Labels
from speakerdiar.clustering.centroids import cluster_centroids
from speakerdiar.clustering.counts import in_order_of_appearance, meet_count
from speakerdiar.clustering.linkage import labels_of, linkage, merged_within
from speakerdiar.clustering.micro import micro_clusters
from speakerdiar.clustering.plda import Plda
from speakerdiar.clustering.slot_ahc import MOST_EXACT
from speakerdiar.clustering.slots import SlotClusterer, Speakers, of_labels
from speakerdiar.clustering.vbx import LEAST_PRIOR, MOST_FIRST, VbxResult, smoothed, strongest_clusters, vbx
from speakerdiar.config import SpeakerCount, is_count
from speakerdiar.errors import ConfigError, SpeakerCountError
from speakerdiar.ranges import Range

Matrix = NDArray[np.float64]

FLOOR = 1e-8
"""What pyannote adds to the priors in each iteration."""
_BLOCK = 8192  # embeddings at a time, so that temporary arrays stay small


@dataclass(frozen=True)
class VbxSlots(SlotClusterer):
    """Clusters slots by VBx, as pyannote.audio's `VBxClustering`; defaults are community-1's.

    Where the fit leaves another number of speakers than was asked for, k-means replaces it, and the slots of a window
    may then be the same speaker: as in the original.
    """

    TUNABLE: ClassVar[Mapping[str, Range]] = {
        "threshold": Range(0.3, 1.2),
        "fa": Range(0.01, 1.0, log=True),
        "fb": Range(0.1, 20.0, log=True),
    }

    plda: Plda
    """Trained on embeddings of the same model (`Plda.from_pyannote`)."""
    threshold: float = 0.6
    """The first clusters, centroid linkage of unit vectors in Euclidean distance, lie further apart than this."""
    fa: float = 0.07
    """Weight of the features. The greater, the more speakers."""
    fb: float = 0.8
    """Weight of the prior of speakers. The greater, the fewer speakers."""
    max_iterations: int = 20
    """The most iterations of the fit."""
    max_exact: int = MOST_EXACT
    """Above this many embeddings, the first clusters are made of weighted micro-clusters, this many at most, and the
    fit starts from the largest of them."""

    silent_slots_compete: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("threshold", "fa", "fb"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ConfigError(f"{name}={value!r}: give a number above 0.")
        for name, least in (("max_iterations", 1), ("max_exact", 2)):
            if not is_count(getattr(self, name), least=least):
                raise ConfigError(f"{name}={getattr(self, name)!r}: give a whole number, {least} or more.")

    def _find(self, embeddings: NDArray[Any], count: SpeakerCount) -> Speakers:
        if len(embeddings) == 1:
            return of_labels(embeddings, np.zeros(1))
        micro, means, weights = self._micro_clusters(embeddings, max(self.max_exact, count.least))
        tree = linkage(means, weights, "centroid", "cosine")
        first = in_order_of_appearance(labels_of(tree, merged_within(tree, self.threshold))[micro])
        if len(embeddings) > self.max_exact:
            first = strongest_clusters(embeddings, first, max(MOST_FIRST, count.least))
        features, fit = self._fit(embeddings, first, floor=0.0)
        kept, labels = np.unique(fit.responsibilities.argmax(axis=1), return_inverse=True)
        target = count.clip(len(kept))
        if target != len(kept):
            labels = forced(means, weights, target)[micro]
            return of_labels(embeddings, labels, distinct=False, first_labels=first, features=features, fit=fit)
        centroids = weighted_means(embeddings, fit.responsibilities[:, kept])
        return Speakers(labels=labels, centroids=centroids, first_labels=first, features=features, fit=fit)

    def _find_like_pyannote(self, embeddings: NDArray[Any], count: SpeakerCount) -> Speakers:
        from scipy.cluster.hierarchy import fcluster, linkage

        units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        first = np.asarray(fcluster(linkage(units, "centroid"), self.threshold, "distance"), np.int64) - 1
        features, fit = self._fit(embeddings, first, floor=FLOOR)
        kept = np.flatnonzero(fit.priors > LEAST_PRIOR)
        target = count.clip(len(kept))
        if target == len(kept):
            responsibilities = fit.responsibilities[:, kept]
            centroids, labels = weighted_means(embeddings, responsibilities), responsibilities.argmax(axis=1)
            return Speakers(labels=labels, centroids=centroids, first_labels=first, features=features, fit=fit)
        if target > len(embeddings):
            raise SpeakerCountError(
                f"{target} speakers were asked for, but {len(embeddings)} local speakers talk alone for long enough: "
                f"pyannote can't make more of them; ask for at most {len(embeddings)}, or leave out exact=True."
            )
        labels = k_means(units, target)
        # Where fewer embeddings differ, clusters stay empty; pyannote then compares with means of nothing.
        present, dense = np.unique(labels, return_inverse=True)
        centroids = np.full((target, embeddings.shape[1]), np.nan)
        centroids[present] = cluster_centroids(embeddings, dense)[0]
        return Speakers(
            labels=labels, centroids=centroids, distinct=False, first_labels=first, features=features, fit=fit
        )

    def _micro_clusters(self, embeddings: NDArray[Any], limit: int) -> tuple[Labels, Matrix, Matrix]:
        """Return the micro-cluster of each embedding (N,), the means of their unit vectors (M, D), and sizes (M,)."""
        units = unit_rows(embeddings)
        if len(units) > limit:
            return micro_clusters(units, limit, "centroid", "cosine")
        return np.arange(len(units)), units, np.ones(len(units))

    def _fit(self, embeddings: NDArray[Any], first: Labels, *, floor: float) -> tuple[Matrix, VbxResult]:
        starts = range(0, len(embeddings), _BLOCK)
        features = np.concatenate([self.plda.project(embeddings[start : start + _BLOCK]) for start in starts])
        fit = vbx(
            features,
            self.plda.phi,
            smoothed(first),
            fa=self.fa,
            fb=self.fb,
            loop_probability=0,
            max_iterations=self.max_iterations,
            floor=floor,
        )
        return features, fit


def weighted_means(embeddings: NDArray[Any], responsibilities: Matrix) -> Matrix:
    """Return the means (K, D) of embeddings (N, D), weighted with each speaker's responsibilities (N, K)."""
    sums = np.zeros((responsibilities.shape[1], embeddings.shape[1]))
    for start in range(0, len(embeddings), _BLOCK):
        part = slice(start, start + _BLOCK)
        sums += responsibilities[part].T @ embeddings[part]
    means: Matrix = sums / responsibilities.sum(axis=0)[:, None]
    return means


def forced(means: Matrix, weights: Matrix, clusters: int) -> Labels:
    """Return labels (M,) of just so many clusters of weighted unit vectors (M, D), M >= clusters."""
    differ = len(np.unique(means, axis=0))
    labels = k_means(means, min(clusters, differ), weights)
    return meet_count(means, labels, SpeakerCount(clusters, clusters))


def k_means(vectors: NDArray[Any], clusters: int, weights: Matrix | None = None) -> Labels:
    """Return labels (N,) by k-means with the settings of pyannote.audio; fewer clusters where fewer vectors differ."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # Vectors that are equal: the caller sees how many clusters there are.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = KMeans(clusters, n_init=3, random_state=42).fit_predict(vectors, sample_weight=weights)
    return np.asarray(labels, np.int64)
