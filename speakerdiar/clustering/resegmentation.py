"""A second look at labels in the order of time: every embedding to the nearest mean, at a price for each change."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.affinity import directions
from speakerdiar.clustering.centroids import cluster_centroids
from speakerdiar.clustering.counts import in_order_of_appearance


def resegment(
    embeddings: NDArray[Any], labels: NDArray[np.int64], change_cost: NDArray[Any], *, rounds: int = 2
) -> NDArray[np.int64]:
    """Assign embeddings to the clusters' means anew, so that few changes of speaker remain.

    Each round computes the means of the clusters and takes the sequence of labels with the greatest sum of cosine
    similarities less the costs of changes (Viterbi's algorithm). A round that would empty a cluster isn't done.

    Args:
        embeddings: (N, D), in order of time.
        labels: (N,) 0..K-1, every one used.
        change_cost: (N,) price, in cosine similarity, of another label than the one before; that of the first is 0.
        rounds: how often.

    Returns:
        (N,) labels 0..K-1 in order of first appearance; K stays the same.
    """
    if len(labels) == 0 or labels.max() == 0:
        return labels
    vectors = directions(embeddings)
    clusters = int(labels.max()) + 1
    for _ in range(rounds):
        centroids, _ = cluster_centroids(vectors, labels)
        path = best_path(vectors @ directions(centroids).T, change_cost)
        if len(np.unique(path)) < clusters or np.array_equal(path, labels):
            break
        labels = path
    return in_order_of_appearance(labels)


def best_path(scores: NDArray[np.float64], change_cost: NDArray[Any]) -> NDArray[np.int64]:
    """Return the labels with the greatest sum of scores less costs of changes (Viterbi 1967): (N,).

    Args:
        scores: (N, K), what each label is worth at each place.
        change_cost: (N,) price of a label that differs from the one before.
    """
    total = scores[0].copy()
    previous = np.zeros(scores.shape, dtype=np.int64)
    stay = np.arange(scores.shape[1])
    for place in range(1, len(scores)):
        best = int(total.argmax())
        changed = total[best] - change_cost[place]
        moves = changed > total
        previous[place] = np.where(moves, best, stay)
        total = np.where(moves, changed, total) + scores[place]
    path = np.zeros(len(scores), dtype=np.int64)
    path[-1] = total.argmax()
    for place in range(len(scores) - 1, 0, -1):
        path[place - 1] = previous[place, path[place]]
    return path
