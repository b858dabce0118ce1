"""Means of clusters, and the cluster whose mean is nearest."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.affinity import unit_rows


def cluster_centroids(
    vectors: NDArray[Any], labels: NDArray[np.int64], weights: NDArray[Any] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weighted mean (K, D) and the total weight (K,) of the vectors (N, D) with each label 0..K-1."""
    import scipy.sparse

    weights = np.ones(len(vectors)) if weights is None else np.asarray(weights, np.float64)
    columns = np.arange(len(vectors))
    membership = scipy.sparse.csr_array((weights, (labels, columns)), shape=(int(labels.max()) + 1, len(vectors)))
    totals = np.asarray(membership.sum(axis=1), np.float64)
    sums = membership @ vectors.astype(np.float64, copy=False)
    return sums / totals[:, None], totals


def nearest_centroid(vectors: NDArray[Any], centroids: NDArray[Any]) -> NDArray[np.int64]:
    """Return for each vector (N, D) the index of the centroid (K, D) at the greatest cosine similarity."""
    units = unit_rows(np.concatenate([vectors, centroids]))
    similarities = units[: len(vectors)] @ units[len(vectors) :].T
    return np.asarray(similarities.argmax(axis=1), np.int64)
