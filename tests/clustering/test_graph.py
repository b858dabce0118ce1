"""Spectra of graphs, against numpy's of the whole matrix."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from clustering_agreement import speakers

from speakerdiar.clustering import graph as module
from speakerdiar.clustering.affinity import cosine_affinity, nearest_columns, neighbour_graph
from speakerdiar.clustering.graph import Graph


def neighbours(count: int, each: int, kept: int, *, noise: float, normalized: bool) -> Graph:
    embeddings, _ = speakers(count, each, noise=noise)
    return Graph(neighbour_graph(nearest_columns(cosine_affinity(embeddings), kept), kept), normalized=normalized)


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize(("kept", "noise"), [(8, 0.2), (30, 2.5)])
def test_iterating_finds_what_the_whole_spectrum_holds(kept: int, noise: float, normalized: bool) -> None:
    graph = neighbours(3, 120, kept, noise=noise, normalized=normalized)
    values, vectors = np.linalg.eigh(graph.laplacian.toarray())
    assert len(values) > max(module.DENSE, 7 * module.DENSE_PER_VALUE)
    assert graph.parts == (values < 1e-9).sum()
    np.testing.assert_allclose(graph.smallest_eigenvalues(7), values[:7], atol=1e-5)
    np.testing.assert_allclose(graph.largest_eigenvalue, values[-1], rtol=1e-5)
    count = 3 if noise < 1 else 1 + int(np.diff(values)[:7].argmax())
    found = graph.embedding(count)
    np.testing.assert_allclose(found @ found.T, vectors[:, :count] @ vectors[:, :count].T, atol=2e-4)


def test_small_graphs() -> None:
    links = np.array([[9.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 2], [0, 0, 2, 0]])
    graph = Graph(scipy.sparse.csr_array(links))
    assert graph.parts == 2
    assert graph.part_of.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(graph.smallest_eigenvalues(9), [0, 0, 2, 4], atol=1e-12)
    assert graph.largest_eigenvalue == pytest.approx(4)


def test_a_graph_without_links() -> None:
    graph = Graph(scipy.sparse.csr_array(np.eye(300)))
    assert graph.parts == 300
    assert graph.largest_eigenvalue == 0
    np.testing.assert_array_equal(graph.smallest_eigenvalues(4), np.zeros(4))
