"""Similarity matrices and their refinements, one function each.

A refinement takes a square affinity matrix and returns a new one. The chain of Wang et al., "Speaker diarization with
LSTM" (ICASSP 2018, arXiv:1710.10468), section 3.3, is crop_diagonal, gaussian_blur, row_threshold, symmetrize, diffuse,
row_max_normalize.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Affinity = NDArray[np.floating[Any]]

_BLOCK = 512  # rows at a time, so that temporary arrays stay small


def unit_rows(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Scale every row of (N, D) to length 1.

    Zero vectors have no direction. They get one of their own, at right angles to all others, as a further column: so
    they equal one another and nothing else.
    """
    vectors = vectors.astype(np.float64)
    # The largest value first, so that squares neither overflow nor vanish.
    vectors /= _or_one(np.abs(vectors).max(axis=1, initial=0.0))[:, None]
    norms = np.linalg.norm(vectors, axis=1)
    vectors /= _or_one(norms)[:, None]
    zero = norms == 0
    return np.column_stack([vectors, zero]) if zero.any() else vectors


def directions(vectors: NDArray[Any]) -> NDArray[Any]:
    """Scale every row of floats (N, D) to length 1; zero vectors stay, and are like nothing."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[Any] = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return scaled


def cosine_affinity(vectors: NDArray[Any]) -> Affinity:
    """Return (1 + cosine similarity) / 2, between 0 and 1, for every two rows of (N, D); float32 (N, N)."""
    units = unit_rows(vectors).astype(np.float32)
    affinity = units @ units.T
    affinity += 1
    affinity /= 2
    return np.clip(affinity, 0, 1, out=affinity)


def crop_diagonal(affinity: Affinity) -> Affinity:
    """Set each diagonal value to the greatest other value of its row."""
    cropped = affinity.copy()
    np.fill_diagonal(cropped, -np.inf)
    greatest = cropped.max(axis=1)
    np.fill_diagonal(cropped, np.where(np.isfinite(greatest), greatest, affinity.diagonal()))
    return cropped


def gaussian_blur(affinity: Affinity, sigma: float = 1.0) -> Affinity:
    """Smooth along both axes, which stand for time, with a Gaussian of `sigma` embeddings."""
    from scipy.ndimage import gaussian_filter

    blurred: Affinity = gaussian_filter(affinity, sigma)
    return blurred


def row_threshold(affinity: Affinity, keep: float = 0.05, floor: float = 0.0) -> Affinity:
    """Multiply by `floor` what lies below the (1 - keep) quantile of its row."""
    kept = max(2, round(keep * len(affinity)))
    if kept >= len(affinity):
        return affinity.copy()
    bounds = np.partition(affinity, len(affinity) - kept, axis=1)[:, -kept]
    return np.where(affinity >= bounds[:, None], affinity, affinity * np.asarray(floor, affinity.dtype))


def symmetrize(affinity: Affinity) -> Affinity:
    """Take the greater of each value and its mirror image."""
    return np.maximum(affinity, affinity.T)


def diffuse(affinity: Affinity) -> Affinity:
    """Return A Aᵀ: two embeddings are alike when they are like the same others."""
    diffused: Affinity = affinity @ affinity.T
    return diffused


def row_max_normalize(affinity: Affinity) -> Affinity:
    """Divide each row by its greatest value."""
    normalized: Affinity = affinity / _or_one(affinity.max(axis=1))[:, None]
    return normalized


REFINEMENTS: dict[str, Callable[[Affinity], Affinity]] = {
    function.__name__: function
    for function in (crop_diagonal, gaussian_blur, row_threshold, symmetrize, diffuse, row_max_normalize)
}
"""Refinements by name."""


def nearest_columns(affinity: Affinity, count: int) -> NDArray[np.int32]:
    """Return the columns (N, count) of the greatest values of each row, greatest first; of equal ones the first."""
    count = min(count, len(affinity))
    nearest = np.empty((len(affinity), count), np.int32)
    for start in range(0, len(affinity), _BLOCK):
        rows = affinity[start : start + _BLOCK]
        nearest[start : start + _BLOCK] = _top(rows, count)
    return nearest


def _top(rows: Affinity, count: int) -> NDArray[np.intp]:
    if 4 * count >= rows.shape[1]:
        return np.argsort(-rows, axis=1, kind="stable")[:, :count]
    found = np.sort(np.argpartition(rows, -count, axis=1)[:, -count:], axis=1)
    order = np.argsort(-np.take_along_axis(rows, found, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)


def neighbour_graph(nearest: NDArray[np.int32], neighbours: int) -> Any:
    """Return the symmetric graph (sparse (N, N)) of each row's first `neighbours` columns of `nearest`.

    A link counts 1 where it is mutual and 1/2 where it isn't, as in NME-SC (arXiv:2003.02405, eq. 4).
    """
    import scipy.sparse

    size = len(nearest)
    columns = nearest[:, :neighbours]
    rows = np.repeat(np.arange(size, dtype=np.int32), columns.shape[1])
    links = scipy.sparse.csr_array((np.full(columns.size, 0.5), (rows, columns.ravel())), shape=(size, size))
    return links + links.T.tocsr()


def _or_one(values: NDArray[Any]) -> NDArray[Any]:
    return np.where(values == 0, 1, values)
