"""Slots by agglomerative clustering, as in pyannote.audio 3.1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.ahc import AhcClusterer
from speakerdiar.clustering.base import Labels
from speakerdiar.clustering.linkage import GEOMETRIC, Tree
from speakerdiar.clustering.slot_any import within
from speakerdiar.clustering.slots import SlotClusterer, Speakers, of_labels
from speakerdiar.config import SpeakerCount
from speakerdiar.ranges import Range

MOST_EXACT = 5000
"""Above this many embeddings, near ones are joined in micro-clusters first: time and memory grow with its square."""


@dataclass(frozen=True, kw_only=True)
class AhcSlots(SlotClusterer):
    """Clusters slots bottom up, as pyannote.audio's `AgglomerativeClustering`; defaults are its pipeline 3.1's."""

    TUNABLE: ClassVar[Mapping[str, Range]] = {
        "threshold": Range(0.2, 1.4),
        "min_cluster_size": Range(1, 40, log=True, whole=True),
    }

    threshold: float = 0.7045654963945799
    """Clusters further apart than this aren't merged: between unit vectors, Euclidean for centroid, median and ward,
    else cosine distance."""
    min_cluster_size: int = 12
    """Clusters of fewer embeddings, but never more than a tenth of all, join the nearest large one."""
    method: str = "centroid"
    """Distance between clusters, see `AhcClusterer`."""
    constrained: bool = False
    max_exact: int = MOST_EXACT
    """Above this many embeddings, near ones are joined in weighted micro-clusters first, this many at most."""
    _clusterer: AhcClusterer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        clusterer = AhcClusterer(
            method=self.method,
            threshold=self.threshold,
            min_cluster_size=self.min_cluster_size,
            max_exact=self.max_exact,
        )
        object.__setattr__(self, "_clusterer", clusterer)

    def _find(self, embeddings: NDArray[Any], count: SpeakerCount) -> Speakers:
        return of_labels(embeddings, self._clusterer.fit_predict(embeddings, count))

    def _find_like_pyannote(self, embeddings: NDArray[Any], count: SpeakerCount) -> Speakers:
        count = within(count, len(embeddings))
        if count.most == 1:
            return of_labels(embeddings, np.zeros(len(embeddings)), scored=False)
        vectors = embeddings
        if self.method in GEOMETRIC:
            vectors = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        labels = pyannote_labels(vectors, self.method, self.threshold, self._clusterer.least_size(len(vectors)), count)
        return of_labels(embeddings, labels)


def pyannote_labels(
    vectors: NDArray[Any], method: str, threshold: float, least_size: int, count: SpeakerCount
) -> Labels:
    """Cut a dendrogram as pyannote.audio does, also where it misses the count.

    Args:
        vectors: (N, D), N >= 2; of length 1 for centroid, median and ward.
        method: of linkage.
        threshold: distance at which the dendrogram is cut.
        least_size: embeddings from which on a cluster is large.
        count: large clusters that are wanted.
    """
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import cdist

    tree = linkage(vectors, method, "euclidean" if method in GEOMETRIC else "cosine")
    labels, large = _cut(tree, threshold, least_size)
    target = count.clip(len(large))
    if target != len(large):
        labels, large = _nearest_cut(tree, threshold, least_size, target)
    if len(large) == 0:
        return np.zeros_like(labels)
    means = of_labels(vectors, labels).centroids
    joins = large[cdist(means[large], means, "cosine").argmin(axis=0)]
    joins[large] = large
    return np.asarray(np.unique(joins[labels], return_inverse=True)[1], np.int64)


def _cut(tree: Tree, distance: float, least_size: int) -> tuple[Labels, NDArray[np.int64]]:
    """Return labels 0..K-1, in scipy's order, of a dendrogram cut at a distance, and the labels of large clusters."""
    from scipy.cluster.hierarchy import fcluster

    labels = np.asarray(fcluster(tree, distance, "distance"), np.int64) - 1
    return labels, np.flatnonzero(np.bincount(labels) >= least_size)


def _nearest_cut(tree: Tree, threshold: float, least_size: int, target: int) -> tuple[Labels, NDArray[np.int64]]:
    """Cut where the number of large clusters is nearest to the target, trying merges from the threshold outwards.

    A cut goes by the number of the merge then, which rises also where distances don't.
    """
    ranked = tree.copy()
    ranked[:, 2] = np.arange(len(tree))
    best, closest = len(tree), abs(1 - target)
    for merge in np.argsort(np.abs(tree[:, 2] - threshold)):
        if tree[merge, 3] < least_size:
            continue
        off = abs(len(_cut(ranked, merge, least_size)[1]) - target)
        if off < closest:
            best, closest = int(merge), off
        if off == 0:
            break
    return _cut(ranked, best, least_size)
