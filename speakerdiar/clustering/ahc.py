"""Agglomerative hierarchical clustering: merge the two nearest clusters until a threshold or a number is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.affinity import unit_rows
from speakerdiar.clustering.base import ClustererMixin
from speakerdiar.clustering.centroids import cluster_centroids, nearest_centroid
from speakerdiar.clustering.counts import in_order_of_appearance
from speakerdiar.clustering.linkage import METHODS, Tree, labels_after, labels_of, linkage, merged_within
from speakerdiar.clustering.micro import micro_clusters
from speakerdiar.config import SpeakerCount, is_count
from speakerdiar.errors import ConfigError
from speakerdiar.ranges import Range

SMALL_SHARE = 0.1
"""A least size given as a number asks for this share of the embeddings at most, so that short recordings work."""


@dataclass(frozen=True, kw_only=True)
class AhcClusterer(ClustererMixin):
    """Merges the two nearest clusters until they lie further apart than a threshold.

    The dendrogram is cut at the threshold. Where that leaves a number of clusters (of `min_cluster_size` or more) that
    wasn't asked for, it is cut at the merge nearest to the threshold that leaves a right one. Members of clusters below
    that size then join the nearest large cluster, as in pyannote.audio 3.1 (`AgglomerativeClustering`).
    """

    TUNABLE: ClassVar[Mapping[str, Range]] = {
        "threshold": Range(0.1, 1.2),
        "min_cluster_size": Range(0.005, 0.1, log=True),
    }

    method: str = "average"
    """Distance between clusters: average, complete, single, weighted, or centroid, median, ward (between means)."""
    metric: str = "cosine"
    """`cosine`: direction only (centroid, median and ward then measure Euclidean distance between unit vectors);
    `euclidean`: the vectors as they are."""
    threshold: float = 0.4
    """Clusters further apart than this aren't merged, unless fewer speakers are asked for."""
    min_cluster_size: int | float = 1
    """Smaller clusters are dissolved. A whole number counts embeddings, but never more than a tenth of them; a
    fraction below 1 is a share of the embeddings."""
    max_exact: int = 6000
    """Above this many embeddings, near ones are joined in weighted micro-clusters first, this many at most."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f"method={self.method!r}: give one of {', '.join(sorted(METHODS))}.")
        if self.metric not in ("cosine", "euclidean"):
            raise ConfigError(f"metric={self.metric!r}: give cosine or euclidean.")
        if not self.threshold >= 0:
            raise ConfigError(f"threshold={self.threshold!r}: give a distance, 0 or more.")
        if not (is_count(self.min_cluster_size, least=1) or 0 < self.min_cluster_size < 1):
            raise ConfigError(
                f"min_cluster_size={self.min_cluster_size!r}: give a whole number, 1 or more, or a share below 1."
            )
        if not is_count(self.max_exact, least=2):
            raise ConfigError(f"max_exact={self.max_exact!r}: give a whole number, 2 or more.")

    def least_size(self, embeddings: int) -> int:
        """Return the number of embeddings below which a cluster is dissolved, among `embeddings` in all."""
        if self.min_cluster_size < 1:
            return max(1, round(self.min_cluster_size * embeddings))
        return min(int(self.min_cluster_size), max(1, round(SMALL_SHARE * embeddings)))

    def _cluster(self, embeddings: NDArray[Any], count: SpeakerCount) -> NDArray[np.int64]:
        vectors = unit_rows(embeddings) if self.metric == "cosine" else embeddings.astype(np.float64)
        micro = np.arange(len(vectors))
        means, weights = vectors, np.ones(len(vectors))
        if len(vectors) > self.max_exact:
            micro, means, weights = micro_clusters(vectors, max(self.max_exact, count.least), self.method, self.metric)
        tree = linkage(means, weights, self.method, self.metric)
        least_size = self.least_size(len(vectors))
        labels, least_size = cut(tree, weights, self.threshold, least_size, count)
        return dissolve_small(means, weights, labels, least_size)[micro]


def cut(
    tree: Tree, weights: NDArray[np.float64], threshold: float, least_size: int, count: SpeakerCount
) -> tuple[NDArray[np.int64], int]:
    """Cut a dendrogram at a threshold, or near it where the number of large clusters isn't one that was asked for.

    Args:
        tree: the dendrogram of M leaves.
        weights: (M,) embeddings in each leaf.
        threshold: distance up to which clusters merge.
        least_size: embeddings from which on a cluster is large.
        count: the allowed numbers of large clusters.

    Returns:
        Labels of the leaves (M,), and the least size for which there are enough large clusters: `least_size`, or less.
    """
    labels = in_order_of_appearance(labels_of(tree, merged_within(tree, threshold)))
    large = max(1, int((np.bincount(labels, weights) >= least_size).sum()))
    target = count.clip(large)
    if target == large:
        return labels, least_size
    while least_size > 1:
        merges = _nearest_cut(tree, weights, threshold, least_size, target)
        if merges is not None:
            return in_order_of_appearance(labels_after(tree, merges)), least_size
        least_size //= 2
    # Without a least size, each number of clusters follows one certain merge.
    return in_order_of_appearance(labels_after(tree, max(0, len(weights) - target))), 1


def _nearest_cut(
    tree: Tree, weights: NDArray[np.float64], threshold: float, least_size: int, target: int
) -> int | None:
    """Return after how many merges there are `target` large clusters, nearest to the threshold; None for never."""
    sizes = np.concatenate([weights, tree[:, 3]])
    is_large = (sizes >= least_size).astype(np.int64)
    children = tree[:, :2].astype(np.int64)
    gained = is_large[len(weights) :] - is_large[children[:, 0]] - is_large[children[:, 1]]
    large = is_large[: len(weights)].sum() + np.cumsum(gained)
    right = np.flatnonzero((large == target) & (tree[:, 3] >= least_size))
    if not len(right):
        return None
    return int(right[np.abs(tree[right, 2] - threshold).argmin()]) + 1


def dissolve_small(
    vectors: NDArray[Any], weights: NDArray[np.float64], labels: NDArray[np.int64], least_size: float
) -> NDArray[np.int64]:
    """Move the members of clusters lighter than `least_size` to the large cluster whose mean is nearest by cosine.

    Args:
        vectors: (M, D).
        weights: (M,) embeddings that each vector stands for.
        labels: (M,) 0..K-1.
        least_size: embeddings below which a cluster is dissolved. Where all are below, all become one.
    """
    centroids, sizes = cluster_centroids(vectors, labels, weights)
    large = np.flatnonzero(sizes >= least_size)
    if len(large) == 0:
        return np.zeros_like(labels)
    joins = nearest_centroid(centroids, centroids[large])
    joins[large] = np.arange(len(large))
    return joins[labels]
