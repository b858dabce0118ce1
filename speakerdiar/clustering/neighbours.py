"""Which of very many vectors are similar to given ones: all pairs up to some size, a graph to search beyond it.

The graph is a hierarchical navigable small world (Malkov and Yashunin, arXiv:1603.09320): looking one vector up takes
time that grows with the logarithm of their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.affinity import directions
from speakerdiar.errors import MissingExtraError

EXACT_LIMIT = 40_000
"""So many queries against so many targets, or as many pairs of other counts, are all looked at."""
LINKS, DEGREE = 4_000_000, 32
"""Neighbours kept for all queries together, which bounds memory, and the least kept for one of them."""

_BLOCK = 2**23  # similarities at a time: 32 MB
_SLACK = 1e-4  # single precision errs by less
_BUILD, _SEARCH = 80, 128  # candidates looked at for a vector when the graph is built, and when it is searched


@dataclass(frozen=True, eq=False)
class Near:
    """Pairs of a query and a target that are similar.

    Attributes:
        queries: (P,) rows of the queries, ascending.
        targets: (P,) rows of the targets.
        whole: whether these are all such pairs; else some may be missing.
    """

    queries: NDArray[np.int64]
    targets: NDArray[np.int64]
    whole: bool


def near_pairs(
    targets: NDArray[np.float64], queries: NDArray[np.float64], least: float, *, exact_limit: int = EXACT_LIMIT
) -> Near:
    """Return the pairs of a query and a target whose inner product is `least` or more.

    Where a query has more of them than memory allows (`LINKS`, `DEGREE`), its most similar ones are kept. Rounding may
    bring a few pairs that are slightly less similar.

    Args:
        targets: (M, D), of length 1 at most.
        queries: (Q, D), of length 1 at most.
        least: the least inner product.
        exact_limit: more than exact_limit² pairs aren't looked at one by one, but searched approximately, by direction.

    Raises:
        MissingExtraError: that needs faiss, which isn't installed.
    """
    if not len(targets) or not len(queries):
        return Near(np.zeros(0, np.int64), np.zeros(0, np.int64), True)
    most = min(len(targets), max(DEGREE, LINKS // len(queries)))
    if len(targets) * len(queries) <= exact_limit**2:
        return _exact(targets.astype(np.float32), queries.astype(np.float32), least - _SLACK, most)
    return _searched(targets, queries, least - _SLACK, most)


def _exact(targets: NDArray[np.float32], queries: NDArray[np.float32], least: float, most: int) -> Near:
    rows, columns, whole = [], [], True
    size = max(1, _BLOCK // len(targets))
    for start in range(0, len(queries), size):
        similarities = queries[start : start + size] @ targets.T
        near = similarities >= least
        for row in np.flatnonzero(near.sum(axis=1) > most):
            whole = False
            near[row, np.argpartition(similarities[row], -most)[:-most]] = False
        block, found = np.nonzero(near)
        rows.append(start + block)
        columns.append(found)
    return Near(np.concatenate(rows), np.concatenate(columns), whole)


def _searched(targets: NDArray[np.float64], queries: NDArray[np.float64], least: float, most: int) -> Near:
    directed = directions(queries.astype(np.float32))
    lengths = np.linalg.norm(queries, axis=1)
    index = _index(directions(targets.astype(np.float32)), max(_SEARCH, 2 * most))
    rows, columns = [], []
    size = max(1, _BLOCK // most)
    for start in range(0, len(queries), size):
        cosines, found = index.search(directed[start : start + size], most)
        # Lengths are at most 1, so what has too small a cosine has too small a product.
        near = (cosines * lengths[start : start + size, None] >= least) & (found >= 0)
        block, place = np.nonzero(near)
        rows.append(start + block)
        columns.append(found[block, place])
    return Near(np.concatenate(rows), np.concatenate(columns).astype(np.int64), False)


def _index(vectors: NDArray[np.float32], candidates: int) -> Any:
    """Return a graph to search, the same each time for the same vectors."""
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError("faiss-cpu", "archive", f"Linking {len(vectors)} voices") from error
    index = faiss.IndexHNSWFlat(vectors.shape[1], DEGREE, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = _BUILD
    index.hnsw.efSearch = candidates
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # several would add vectors in an order of their own each time
    try:
        index.add(vectors)
    finally:
        faiss.omp_set_num_threads(threads)
    return index
