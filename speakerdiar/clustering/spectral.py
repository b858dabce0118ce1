"""Spectral clustering: group the nodes of a similarity graph by its Laplacian's smallest eigenvectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.affinity import REFINEMENTS, Affinity, cosine_affinity, unit_rows
from speakerdiar.clustering.base import ClustererMixin
from speakerdiar.clustering.graph import Graph
from speakerdiar.clustering.kmeans import kmeans
from speakerdiar.clustering.linkage import labels_after, weighted_linkage
from speakerdiar.clustering.micro import micro_clusters
from speakerdiar.config import SpeakerCount, is_count
from speakerdiar.errors import ConfigError, closest


@dataclass(frozen=True, kw_only=True)
class SpectralClusterer(ClustererMixin):
    """Keeps each embedding's strongest similarities and counts speakers by the largest eigengap.

    Steps: cosine affinity, refinements, normalized Laplacian, its smallest eigenvalues, the largest gap among them,
    k-means on the eigenvectors' rows scaled to length 1 (Ng, Jordan and Weiss, "On spectral clustering", NIPS 2001;
    refinements of Wang et al., arXiv:1710.10468).
    """

    refinements: tuple[str, ...] = ("crop_diagonal", "row_threshold", "symmetrize")
    """What is done to the affinity matrix, in order (`speakerdiar.clustering.affinity.REFINEMENTS`)."""
    max_num_speakers: int = 10
    """Most speakers to look for where the call names no maximum."""
    kmeans_trials: int = 3
    """Starts of k-means; the one with the least scatter counts."""
    max_exact: int = 4000
    """Above this many embeddings, near ones are joined in micro-clusters first, this many at most."""

    def __post_init__(self) -> None:
        for name in self.refinements:
            if name not in REFINEMENTS:
                hint = closest(name, REFINEMENTS)
                raise ConfigError(f"refinement {name!r}: there is none.{hint} Refinements: {', '.join(REFINEMENTS)}.")
        for name in ("max_num_speakers", "kmeans_trials", "max_exact"):
            if not is_count(getattr(self, name), least=1):
                raise ConfigError(f"{name}={getattr(self, name)!r}: give a whole number, 1 or more.")

    def _cluster(self, embeddings: NDArray[Any], count: SpeakerCount) -> NDArray[np.int64]:
        micro = np.arange(len(embeddings))
        if len(embeddings) > self.max_exact:
            vectors = unit_rows(embeddings)
            limit = max(self.max_exact, count.least, 2)
            micro, embeddings, _ = micro_clusters(vectors, limit, "average", "cosine")
        affinity = cosine_affinity(embeddings)
        refined = affinity
        for name in self.refinements:
            refined = REFINEMENTS[name](refined)
        graph = _graph(refined)
        speakers = min(self._count_speakers(graph, count), len(affinity))
        return group_nodes(graph, affinity, speakers, trials=self.kmeans_trials, unit_length=True)[micro]

    def _count_speakers(self, graph: Graph, count: SpeakerCount) -> int:
        if count.exact is not None:
            return count.exact
        most = max(self.max_num_speakers, count.least) if count.most is None else count.most
        gaps = np.diff(graph.smallest_eigenvalues(most + 1))
        if graph.parts > most or not len(gaps):
            return count.clip(graph.parts)
        return count.least + int(gaps[count.least - 1 :].argmax()) if len(gaps) >= count.least else count.least


def group_nodes(
    graph: Graph, affinity: Affinity, clusters: int, *, trials: int = 1, unit_length: bool = False
) -> NDArray[np.int64]:
    """Group the nodes of a graph in `clusters` by k-means on its spectral embedding.

    A graph that falls apart in more components than there may be clusters says nothing about which components belong
    together. Then the affinities (N, N) between components do, by average linkage.

    Returns:
        (N,) labels; fewer than `clusters` where fewer nodes differ.
    """
    if clusters == 1:
        return np.zeros(len(affinity), np.int64)
    if graph.parts >= clusters:
        return _merge_parts(graph.part_of, affinity, clusters)
    points = graph.embedding(clusters)
    return kmeans(unit_rows(points) if unit_length else points, clusters, trials=trials)


def _merge_parts(part_of: NDArray[np.int64], affinity: Affinity, clusters: int) -> NDArray[np.int64]:
    import scipy.sparse

    sizes = np.bincount(part_of).astype(np.float64)
    ones = np.ones(len(part_of), np.float32)
    membership = scipy.sparse.csr_array((ones, (part_of, np.arange(len(part_of)))), shape=(len(sizes), len(part_of)))
    sums = membership @ (membership @ affinity).T
    means = sums.astype(np.float64) / sizes[:, None] / sizes
    means = (means + means.T) / 2
    tree = weighted_linkage(means.max() - means, sizes, "average")
    return labels_after(tree, len(sizes) - clusters)[part_of]


def _graph(affinity: Affinity) -> Graph:
    import scipy.sparse

    links = scipy.sparse.csr_array(affinity).astype(np.float64)
    return Graph((links + links.T) / 2, normalized=True)
