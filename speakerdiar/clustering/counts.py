"""From labels with any number of clusters to labels with a number that was asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.affinity import unit_rows
from speakerdiar.clustering.centroids import cluster_centroids
from speakerdiar.clustering.linkage import labels_after, linkage
from speakerdiar.config import SpeakerCount


def in_order_of_appearance(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Rename labels to 0..K-1 in the order in which they first appear."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.reshape(-1)]


def meet_count(embeddings: NDArray[Any], labels: NDArray[Any], count: SpeakerCount) -> NDArray[np.int64]:
    """Split or merge clusters until their number lies within `count`.

    Embeddings (N, D) need not differ: equal ones are told apart by their position.
    """
    labels = in_order_of_appearance(labels)
    clusters = int(labels.max()) + 1
    if count.most is not None and clusters > count.most:
        return merge_clusters(embeddings, labels, count.most)
    if clusters < count.least:
        return split_clusters(embeddings, labels, count.least)
    return labels


def merge_clusters(embeddings: NDArray[Any], labels: NDArray[np.int64], clusters: int) -> NDArray[np.int64]:
    """Merge the clusters 0..K-1 of embeddings (N, D) down to `clusters`, by average linkage of cosine distances."""
    means, sizes = cluster_centroids(unit_rows(embeddings), labels)
    tree = linkage(means, sizes, "average", "cosine")
    return labels_after(tree, len(means) - clusters)[labels]


def split_clusters(embeddings: NDArray[Any], labels: NDArray[np.int64], clusters: int) -> NDArray[np.int64]:
    """Split clusters of embeddings (N, D) in two, the most scattered one first, until there are `clusters`."""
    vectors = unit_rows(embeddings)
    members = [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]
    scatters = [_scatter(vectors[rows]) for rows in members]
    while len(members) < clusters:
        worst = max(range(len(members)), key=lambda at: (len(members[at]) > 1, scatters[at], len(members[at])))
        stays, goes = _halves(vectors, members[worst])
        members[worst], scatters[worst] = stays, _scatter(vectors[stays])
        members.append(goes)
        scatters.append(_scatter(vectors[goes]))
    split = np.empty(len(labels), np.int64)
    for label, rows in enumerate(members):
        split[rows] = label
    return split


def _scatter(vectors: NDArray[np.float64]) -> float:
    # Rounding would order clusters of identical vectors by chance.
    scatter = float(((vectors - vectors.mean(axis=0)) ** 2).sum())
    return scatter if scatter > 1e-12 * len(vectors) else 0.0


def _halves(vectors: NDArray[np.float64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows between the two that lie far apart; identical ones by position."""
    points = vectors[rows]
    one = points[_farthest(points, points.mean(axis=0))]
    other = points[_farthest(points, one)]
    nearer = ((points - one) ** 2).sum(axis=1) <= ((points - other) ** 2).sum(axis=1)
    if _scatter(points) == 0.0 or nearer.all():
        nearer = np.arange(len(rows)) < (len(rows) + 1) // 2
    return rows[nearer], rows[~nearer]


def _farthest(points: NDArray[np.float64], origin: NDArray[np.float64]) -> int:
    return int(((points - origin) ** 2).sum(axis=1).argmax())
