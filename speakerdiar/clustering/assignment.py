"""From clusters' centroids back to the local speakers (slots) of every window: who is nearest, and who is left."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Labels = NDArray[np.int64]
Mask = NDArray[np.bool_]

_BLOCK = 2048  # windows at a time, so that temporary arrays stay small


def usable_slots(embeddings: NDArray[Any]) -> Mask:
    """Mark the slots (W, S) whose embedding, of (W, S, D), is a direction: finite, and not all zero."""
    usable = np.zeros(embeddings.shape[:2], bool)
    for start in range(0, len(embeddings), _BLOCK):
        block = np.asarray(embeddings[start : start + _BLOCK])
        usable[start : start + _BLOCK] = np.isfinite(block).all(axis=2) & (block != 0).any(axis=2)
    return usable


def similarities(embeddings: NDArray[Any], centroids: NDArray[np.float64]) -> Scores:
    """Return 2 - cosine distance of every slot's embedding (W, S, D) to every centroid (K, D): (W, S, K).

    NaN where either has no direction. The embeddings may lie on disk: they are read block by block.
    """
    from scipy.spatial.distance import cdist

    windows, slots, size = embeddings.shape
    scores = np.empty((windows, slots, len(centroids)))
    for start in range(0, windows, _BLOCK):
        block = np.asarray(embeddings[start : start + _BLOCK], np.float64)
        distances = cdist(block.reshape(-1, size), centroids, "cosine")
        scores[start : start + _BLOCK] = 2 - distances.reshape(len(block), slots, -1)
    return scores


def without_gaps(scores: Scores, shares: NDArray[np.float64]) -> Scores:
    """Replace NaN in scores (W, S, K) from 0 to 2 by less than any of these: the likelier a cluster, the more.

    A slot without an embedding then takes the cluster that talks most of those that are free.

    Args:
        scores: see `similarities`.
        shares: (K,) share of all speech that each cluster has, 0 to 1.
    """
    missing = np.isnan(scores)
    return np.where(missing, shares - 2, scores) if missing.any() else scores


def distinct_clusters(scores: Scores, takes_part: Mask) -> Labels:
    """Give the slots of a window different clusters, with the greatest total score (Hungarian method).

    Args:
        scores: (W, S, K), finite.
        takes_part: (W, S) slots that get a cluster.

    Returns:
        (W, S) clusters; -1 for slots that take no part, and for those beyond K in a window.
    """
    from scipy.optimize import linear_sum_assignment

    labels = np.full(takes_part.shape, -1, np.int64)
    parts = takes_part.sum(axis=1)
    single = takes_part & (parts == 1)[:, None]
    labels[single] = scores[single].argmax(axis=1)
    for window in np.flatnonzero(parts > 1):
        slots = np.flatnonzero(takes_part[window])
        rows, clusters = linear_sum_assignment(scores[window, slots], maximize=True)
        labels[window, slots[rows]] = clusters
    return labels


def nearest_clusters(scores: Scores, takes_part: Mask) -> Labels:
    """Return the cluster of the greatest of scores (W, S, K), finite, for each slot; -1 for those not in (W, S)."""
    return np.where(takes_part, scores.argmax(axis=2), -1)


def assigned_clusters(scores: Scores, takes_part: Mask, *, distinct: bool) -> Labels:
    """Give every slot that takes part a cluster: different ones within a window as far as there are any, if asked.

    Slots beyond the number of clusters get the nearest one, though another slot of the window has it too.

    Args:
        scores: (W, S, K), finite.
        takes_part: (W, S).
        distinct: whether the slots of a window are different people.
    """
    nearest = nearest_clusters(scores, takes_part)
    if not distinct:
        return nearest
    labels = distinct_clusters(scores, takes_part)
    return np.where(labels < 0, nearest, labels)


def kept_alive(labels: Labels, train: NDArray[np.int64], train_labels: Labels, least: int) -> Labels:
    """Return labels (W, S) of which at least `least` differ.

    Where assignment left clusters without a slot, their own embeddings go back to them, and so on.

    Args:
        labels: (W, S), -1 for nobody.
        train: (N, 2) window and slot of the embeddings that were clustered.
        train_labels: (N,) their clusters 0..K-1, of which none is empty; K >= least.
        least: clusters that must be left.
    """
    labels = labels.copy()
    clusters = int(train_labels.max(initial=-1)) + 1
    while True:
        lost = np.setdiff1d(np.arange(clusters), labels)
        if clusters - len(lost) >= least:
            return labels
        back = np.isin(train_labels, lost)
        labels[train[back, 0], train[back, 1]] = train_labels[back]
