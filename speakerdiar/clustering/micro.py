"""Long recordings: many embeddings to few weighted micro-clusters, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.centroids import cluster_centroids
from speakerdiar.clustering.counts import in_order_of_appearance
from speakerdiar.clustering.linkage import labels_after, linkage

CHUNK = 1000
"""Embeddings, neighbours in time, that are clustered at once."""
MOST_REDUCTION = 10
"""In one pass, a chunk keeps at least one cluster for this many members."""


def micro_clusters(
    vectors: NDArray[Any], limit: int, method: str, metric: str
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Join the nearest of N vectors until at most `limit` clusters are left.

    The lowest merges of a dendrogram join vectors that lie close, and what lies close in a recording mostly lies
    close in time. So these merges are done within chunks of consecutive vectors, each cut to the same share of its
    members, in as many passes as it takes. Memory grows with N, not with its square.

    Args:
        vectors: (N, D); with the metric "cosine" of length 1.
        limit: the most clusters that may be left, at least 2.
        method: linkage within a chunk.
        metric: `cosine` or `euclidean`.

    Returns:
        The micro-cluster of each vector (N,), the micro-clusters' means (M, D), and their sizes (M,).
    """
    labels, means, weights = np.arange(len(vectors)), vectors, np.ones(len(vectors))
    while len(means) > limit:
        share = max(limit / len(means), 1 / MOST_REDUCTION)
        joined = _one_pass(means, weights, share, method, metric)
        means, weights = cluster_centroids(means, joined, weights)
        labels = joined[labels]
    return labels, means, weights


def _one_pass(
    means: NDArray[np.float64], weights: NDArray[np.float64], share: float, method: str, metric: str
) -> NDArray[np.int64]:
    joined = np.empty(len(means), np.int64)
    clusters = 0
    for start in range(0, len(means), CHUNK):
        members = slice(start, start + CHUNK)
        tree = linkage(means[members], weights[members], method, metric)
        size = len(tree) + 1
        keep = max(1, int(size * share))
        joined[members] = clusters + in_order_of_appearance(labels_after(tree, size - keep))
        clusters += keep
    return joined
