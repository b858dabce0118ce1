"""Dendrograms: which clusters merge, in which order, and what is left when merging stops.

A dendrogram is scipy's matrix Z: row i merges nodes Z[i, 0] and Z[i, 1] at distance Z[i, 2] into node M + i, which
weighs Z[i, 3]. The leaves may be clusters already, with weights: Lance and Williams' update (1967) needs nothing
else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Tree = NDArray[np.float64]

GEOMETRIC = frozenset({"centroid", "median", "ward"})
"""Methods that measure between means, in Euclidean distance."""
METHODS = frozenset({"average", "complete", "single", "weighted"}) | GEOMETRIC

_BLOCK = 512  # rows at a time, so that temporary arrays stay small


def linkage(means: NDArray[np.float64], weights: NDArray[np.float64], method: str, metric: str) -> Tree:
    """Return the dendrogram of M clusters, given by their means (M, D) and weights (M,).

    With the metric "cosine" the means are those of unit vectors: then average linkage, and centroid and Ward linkage
    with any metric, merge exactly as if all vectors were there; the other methods take the mean for the cluster.
    """
    import scipy.cluster.hierarchy

    if len(means) < 2:
        return np.zeros((0, 4))
    if (weights != 1).any():
        return weighted_linkage(_distances(means, weights, method, metric), weights, method)
    tree: Tree = scipy.cluster.hierarchy.linkage(_condensed(means, method, metric), method)
    return tree


def _condensed(vectors: NDArray[np.float64], method: str, metric: str) -> NDArray[np.float64]:
    """Return the distances of every two of N vectors as scipy wants them: (N * (N - 1) / 2,)."""
    if metric == "euclidean":
        import scipy.spatial.distance

        condensed: NDArray[np.float64] = scipy.spatial.distance.pdist(vectors)
        return condensed
    size = len(vectors)
    condensed = np.empty(size * (size - 1) // 2)
    filled = 0
    for start in range(0, size, _BLOCK):
        for row, similarities in enumerate(vectors[start : start + _BLOCK] @ vectors[start:].T):
            tail = similarities[row + 1 :]
            np.subtract(1, tail, out=condensed[filled : filled + len(tail)])
            filled += len(tail)
    np.maximum(condensed, 0, out=condensed)
    if method in GEOMETRIC:  # |a - b|² = 2 (1 - cos) for unit vectors
        condensed *= 2
        np.sqrt(condensed, out=condensed)
    return condensed


def _distances(
    means: NDArray[np.float64], weights: NDArray[np.float64], method: str, metric: str
) -> NDArray[np.float64]:
    """Return the distances (M, M) of every two clusters."""
    if metric == "cosine" and method not in GEOMETRIC:
        if method != "average":
            norms = np.linalg.norm(means, axis=1, keepdims=True)
            means = means / np.where(norms == 0, 1, norms)
        distances = means @ means.T
        np.subtract(1, distances, out=distances)
        return np.maximum(distances, 0, out=distances)
    squares = (means**2).sum(axis=1)
    distances = means @ means.T
    distances *= -2
    distances += squares[:, None]
    distances += squares
    if method == "ward":
        # 2 a b / (a + b), row by row to spare a matrix.
        for row, weight in zip(distances, weights, strict=True):
            row *= 2 * weight * weights / (weight + weights)
    return np.sqrt(np.maximum(distances, 0, out=distances), out=distances)


def weighted_linkage(distances: NDArray[np.float64], weights: NDArray[np.float64], method: str) -> Tree:
    """Return the dendrogram of M weighted clusters from their distances (M, M), which are overwritten.

    Every cluster keeps its nearest neighbour. A merge leaves those that pointed at what was merged with a distance that
    can only be too small, and they are renewed when their turn comes (Müllner, arXiv:1109.2378, "generic linkage").
    """
    size = len(distances)
    if method in GEOMETRIC:
        distances **= 2
    np.fill_diagonal(distances, np.inf)
    weights, names, tree = weights.astype(np.float64), np.arange(size), np.zeros((size - 1, 4))
    nearest = distances.argmin(axis=1)
    reach = distances[np.arange(size), nearest]
    stale = np.zeros(size, bool)
    for step in range(size - 1):
        gone = int(reach.argmin())
        while stale[gone]:
            nearest[gone] = distances[gone].argmin()
            reach[gone] = distances[gone, nearest[gone]]
            stale[gone] = False
            gone = int(reach.argmin())
        kept = int(nearest[gone])
        height = float(reach[gone])
        merged = _lance_williams(
            distances[gone], distances[kept], height, weights, float(weights[gone]), float(weights[kept]), method
        )
        merged[[gone, kept]] = np.inf
        weights[kept] += weights[gone]
        tree[step] = (*sorted((names[gone], names[kept])), height, weights[kept])
        names[kept] = size + step
        distances[gone] = distances[:, gone] = np.inf
        distances[kept] = distances[:, kept] = merged
        reach[gone] = np.inf
        stale |= (nearest == gone) | (nearest == kept)
        closer = merged < reach
        nearest[closer], reach[closer], stale[closer] = kept, merged[closer], False
        nearest[kept] = merged.argmin()
        reach[kept], stale[kept] = merged[nearest[kept]], False
    if method in GEOMETRIC:
        tree[:, 2] = np.sqrt(np.maximum(tree[:, 2], 0))
    return tree


def _lance_williams(
    to_one: NDArray[np.float64],
    to_other: NDArray[np.float64],
    between: float,
    weights: NDArray[np.float64],
    a: float,
    b: float,
    method: str,
) -> NDArray[np.float64]:
    """Return the distances of all clusters (M,) to the union of two that weigh a and b; squared if geometric."""
    if method == "single":
        return np.minimum(to_one, to_other)
    if method == "complete":
        return np.maximum(to_one, to_other)
    if method == "weighted":
        return (to_one + to_other) / 2
    if method == "median":
        return (to_one + to_other) / 2 - between / 4
    if method == "ward":
        return ((a + weights) * to_one + (b + weights) * to_other - weights * between) / (a + b + weights)
    average = (a * to_one + b * to_other) / (a + b)
    return average - a * b * between / (a + b) ** 2 if method == "centroid" else average


def labels_after(tree: Tree, merges: int) -> NDArray[np.int64]:
    """Return the labels (M,) of the leaves when only the first `merges` merges happen."""
    return labels_of(tree, np.arange(len(tree)) < merges)


def labels_of(tree: Tree, happens: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the labels (M,) of the leaves when only the marked merges happen; those below them must be marked too."""
    import scipy.sparse
    from scipy.sparse.csgraph import connected_components

    leaves = len(tree) + 1
    merges = np.flatnonzero(happens)
    children = tree[merges, :2].astype(np.int64).ravel()
    parents = np.repeat(leaves + merges, 2)
    nodes = leaves + len(tree)
    links = scipy.sparse.coo_array((np.ones(len(children)), (children, parents)), shape=(nodes, nodes))
    return np.asarray(connected_components(links, directed=False)[1][:leaves], np.int64)


def merged_within(tree: Tree, threshold: float) -> NDArray[np.bool_]:
    """Mark the merges that happen at or below `threshold`, and so does every merge below them.

    Centroid and median linkage may merge at a smaller distance than the merge before.
    """
    leaves = len(tree) + 1
    highest = np.full(leaves + len(tree), -np.inf)
    for merge, (one, other, height, _) in enumerate(tree):
        highest[leaves + merge] = max(height, highest[int(one)], highest[int(other)])
    return np.asarray(highest[leaves:] <= threshold)
