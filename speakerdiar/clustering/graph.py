"""Spectra of graphs: how many parts a graph has, and the eigenvectors that show them.

A graph is a symmetric sparse matrix (N, N) of link strengths. Its Laplacian is L = D - W, with D the diagonal of the
row sums; normalized, D^-1/2 L D^-1/2 (von Luxburg, "A tutorial on spectral clustering", 2007). As many eigenvalues
are zero as the graph has components, and these components are known exactly, so the iteration that looks for further
small eigenvalues is kept away from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.draws import Draws

DENSE = 200
"""Up to this many nodes the whole spectrum is computed at once. Above, libraries use threads for it, which is slower
than iterating, and by far where cores are busy."""
DENSE_PER_VALUE = 3
"""So it is up to this many nodes for each eigenvalue that is wanted: the iteration needs room for its basis."""
TOLERANCE = 1e-4
"""Of the iteration. An eigenvector's error goes with it, an eigenvalue's with its square."""


@dataclass(frozen=True)
class Graph:
    """A weighted graph without loops, and its spectrum."""

    links: Any
    """(N, N), sparse and symmetric, none below 0. What stands on the diagonal is left out."""
    normalized: bool = False
    """Use the normalized Laplacian."""

    @cached_property
    def _components(self) -> tuple[int, NDArray[np.int64]]:
        from scipy.sparse.csgraph import connected_components

        parts, labels = connected_components(self.links, directed=False)
        return int(parts), np.asarray(labels, np.int64)

    @property
    def parts(self) -> int:
        """The number of connected components."""
        return self._components[0]

    @property
    def part_of(self) -> NDArray[np.int64]:
        """The component (N,) of each node."""
        return self._components[1]

    @cached_property
    def laplacian(self) -> Any:
        """The Laplacian (N, N), sparse."""
        import scipy.sparse

        diagonal = scipy.sparse.diags_array(self.links.diagonal())
        links = self.links - diagonal
        degrees = np.asarray(links.sum(axis=1)).ravel()
        laplacian = scipy.sparse.diags_array(degrees) - links
        if not self.normalized:
            return laplacian.tocsr()
        scale = scipy.sparse.diags_array(1 / np.sqrt(np.where(degrees == 0, 1, degrees)))
        return (scale @ laplacian @ scale).tocsr()

    @cached_property
    def largest_eigenvalue(self) -> float:
        """The largest eigenvalue of the Laplacian."""
        if not self.laplacian.diagonal().any():
            return 0.0
        if self._is_small(1) or "_spectrum" in self.__dict__:
            return float(self._spectrum[-1])
        return float(self._iterate(self.laplacian, 1, "LA")[-1])

    @cached_property
    def _spectrum(self) -> NDArray[np.float64]:
        spectrum: NDArray[np.float64] = np.linalg.eigvalsh(self.laplacian.toarray())
        return spectrum

    def smallest_eigenvalues(self, count: int) -> NDArray[np.float64]:
        """Return the `count` smallest eigenvalues (fewer where there are fewer), in rising order."""
        count = min(count, self.laplacian.shape[0])
        zeros = np.zeros(min(self.parts, count))
        more = count - len(zeros)
        if more == 0:
            return zeros
        whole = self._is_small(more)
        further = self._spectrum[self.parts : count] if whole else self._iterate(self._lifted, more, "SA")
        return np.concatenate([zeros, np.maximum(further, 0)])

    def embedding(self, count: int) -> NDArray[np.float64]:
        """Return (N, count): the eigenvectors of the smallest eigenvalues; those of zero span the components."""
        size = self.laplacian.shape[0]
        if self._is_small(count - self.parts):
            import scipy.linalg

            vectors: NDArray[np.float64] = scipy.linalg.eigh(
                self.laplacian.toarray(), subset_by_index=(0, min(count, size) - 1)
            )[1]
            return vectors
        null = self._null_space()[:, :count]
        if count <= self.parts:
            return null
        further = self._iterate(self._lifted, count - self.parts, "SA", vectors=True)
        return np.concatenate([null, further], axis=1)

    def _null_space(self) -> NDArray[np.float64]:
        """Return (N, parts): an orthonormal base of the Laplacian's null space."""
        base = np.zeros((len(self.part_of), self.parts))
        base[np.arange(len(base)), self.part_of] = self._null_weights
        return base

    @cached_property
    def _null_weights(self) -> NDArray[np.float64]:
        degrees = np.ones(len(self.part_of))
        if self.normalized:
            links = np.asarray(self.links.sum(axis=1)).ravel() - self.links.diagonal()
            degrees = np.where(links == 0, 1, links)
        return np.sqrt(degrees / np.bincount(self.part_of, degrees)[self.part_of])

    @property
    def _lifted(self) -> Any:
        """The Laplacian with its zero eigenvalues lifted above all others."""
        from scipy.sparse.linalg import LinearOperator

        laplacian, weights, parts = self.laplacian, self._null_weights, self.part_of
        lift = 2 * float(laplacian.diagonal().max()) + 1

        def multiply(vector: NDArray[np.float64]) -> NDArray[np.float64]:
            vector = vector.ravel()
            shares = np.bincount(parts, weights * vector)
            product: NDArray[np.float64] = laplacian @ vector + lift * weights * shares[parts]
            return product

        return LinearOperator(laplacian.shape, matvec=multiply, dtype=np.float64)

    def _is_small(self, count: int) -> bool:
        """Whether `count` eigenvalues are found quicker, or only, by computing all."""
        return len(self.part_of) <= max(DENSE, DENSE_PER_VALUE * count)

    def _iterate(self, matrix: Any, count: int, end: str, *, vectors: bool = False) -> NDArray[np.float64]:
        """Return `count` eigenvalues at one end of the spectrum, in rising order, or their vectors (N, count)."""
        from scipy.sparse.linalg import eigsh

        size = matrix.shape[0]
        start = Draws(0).normal(size).astype(np.float64)
        basis = max(2 * count + 1, 40)
        found = eigsh(matrix, count, which=end, v0=start, tol=TOLERANCE, ncv=basis, return_eigenvectors=vectors)
        if not vectors:
            return np.sort(found)
        ordered: NDArray[np.float64] = found[1][:, np.argsort(found[0])]
        return ordered
