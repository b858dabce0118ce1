"""k-means with k-means++ seeding, the same on every run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.draws import Draws

CANDIDATES = 30
"""Candidates for each further centre, of which the best is taken."""
TOLERANCE = 1e-4
"""The iteration ends when the square of the sum of all centres' steps is below this."""


def kmeans(
    points: NDArray[Any], clusters: int, *, seed: int = 0, trials: int = 1, iterations: int = 15
) -> NDArray[np.int64]:
    """Group points (N, D) around `clusters` centres; return labels (N,).

    Args:
        points: (N, D).
        clusters: number of centres, 1..N. Fewer clusters come back where fewer points differ.
        seed: of the first trial; each further one takes the next number.
        trials: the one with the least scatter counts.
        iterations: of Lloyd's algorithm at most.

    Source: Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding" (SODA 2007), with the best of
    several candidates as in scikit-learn.
    """
    runs = [_one_trial(points, clusters, seed + trial, iterations) for trial in range(trials)]
    return min(runs, key=lambda run: run[0])[1]


def _one_trial(points: NDArray[Any], clusters: int, seed: int, iterations: int) -> tuple[float, NDArray[np.int64]]:
    centres = plus_plus(points, clusters, seed)
    for _ in range(iterations):
        distances = _squared_distances(points, centres)
        labels = distances.argmin(axis=1)
        moved = _means(points, labels, distances.min(axis=1), clusters)
        step = np.linalg.norm(moved - centres, axis=1).sum() ** 2
        centres = moved
        if step < TOLERANCE:
            break
    return float(distances.min(axis=1).sum()), labels.astype(np.int64)


def plus_plus(points: NDArray[Any], clusters: int, seed: int) -> NDArray[np.float64]:
    """Choose `clusters` of the points (N, D) as first centres, far from one another."""
    draws = Draws(seed)
    chosen = [draws.below(len(points))]
    nearest = _squared_distances(points, points[chosen]).ravel()
    for _ in range(clusters - 1):
        aims = draws.uniform(CANDIDATES) * nearest.sum()
        candidates = np.searchsorted(np.cumsum(nearest), aims).clip(max=len(points) - 1)
        remaining = np.minimum(nearest, _squared_distances(points, points[candidates]).T)
        best = int(remaining.sum(axis=1).argmin())
        chosen.append(int(candidates[best]))
        nearest = remaining[best]
    return points[chosen].astype(np.float64)


def _means(
    points: NDArray[Any], labels: NDArray[np.intp], distances: NDArray[np.float64], clusters: int
) -> NDArray[np.float64]:
    """Return each cluster's mean; an empty one moves to the point that is worst served."""
    sums = np.stack([np.bincount(labels, column, clusters) for column in points.T], axis=1)
    sizes = np.bincount(labels, minlength=clusters)
    means: NDArray[np.float64] = sums / np.maximum(sizes, 1)[:, None]
    for empty in np.flatnonzero(sizes == 0):
        worst = int(distances.argmax())
        means[empty] = points[worst]
        distances[worst] = 0
    return means


def _squared_distances(points: NDArray[Any], centres: NDArray[Any]) -> NDArray[np.float64]:
    """Return (N, K)."""
    from scipy.spatial.distance import cdist

    squared: NDArray[np.float64] = cdist(points, centres, "sqeuclidean")
    return squared
