"""Dendrograms of weighted clusters, against scipy's of all members."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.cluster.hierarchy
from clustering_agreement import agreement
from scipy.spatial.distance import pdist, squareform

from speakerdiar.clustering.affinity import unit_rows
from speakerdiar.clustering.linkage import METHODS, labels_after, labels_of, linkage, merged_within, weighted_linkage

POINTS = np.random.default_rng(0).normal(size=(60, 5))


@pytest.mark.parametrize("method", sorted(METHODS))
def test_equal_weights_give_scipys_dendrogram(method: str) -> None:
    expected = scipy.cluster.hierarchy.linkage(POINTS, method)
    tree = weighted_linkage(squareform(pdist(POINTS)), np.ones(60), method)
    np.testing.assert_allclose(tree[:, 2], expected[:, 2], rtol=1e-9)
    np.testing.assert_array_equal(tree[:, [0, 1, 3]], expected[:, [0, 1, 3]])


@pytest.mark.parametrize(
    ("method", "metric"),
    [
        ("average", "cosine"),
        ("centroid", "cosine"),
        ("ward", "cosine"),
        ("centroid", "euclidean"),
        ("ward", "euclidean"),
    ],
)
def test_means_and_weights_stand_for_their_members(method: str, metric: str) -> None:
    vectors = unit_rows(POINTS) if metric == "cosine" else POINTS
    whole = linkage(vectors, np.ones(60), method, metric)
    first = labels_after(whole, 30)
    # A cut by merges isn't a prefix of subtrees for centroid linkage; what is left merges on all the same.
    weights = np.bincount(first).astype(float)
    means = np.stack([vectors[first == label].mean(axis=0) for label in range(30)])
    rest = linkage(means, weights, method, metric)
    np.testing.assert_allclose(rest[:, 2], whole[30:, 2], rtol=1e-9)
    for left in (2, 5, 10):
        assert agreement(labels_after(rest, 30 - left)[first], labels_after(whole, 60 - left)) == 1.0


@pytest.mark.parametrize("method", ["average", "complete", "single", "weighted"])
def test_cosine_distances(method: str) -> None:
    expected = scipy.cluster.hierarchy.linkage(POINTS, method, "cosine")
    np.testing.assert_allclose(linkage(unit_rows(POINTS), np.ones(60), method, "cosine")[:, 2], expected[:, 2])


@pytest.mark.parametrize("method", ["centroid", "average"])
@pytest.mark.parametrize("threshold", [0.5, 1.5, 2.0, 9.0])
def test_a_cut_by_distance_is_scipys(method: str, threshold: float) -> None:
    tree = scipy.cluster.hierarchy.linkage(POINTS, method)
    expected = scipy.cluster.hierarchy.fcluster(tree, threshold, "distance")
    assert agreement(labels_of(tree, merged_within(tree, threshold)), expected) == 1.0


def test_one_cluster_has_an_empty_dendrogram() -> None:
    tree = linkage(POINTS[:1], np.ones(1), "average", "cosine")
    assert tree.shape == (0, 4)
    assert labels_after(tree, 0).tolist() == [0]
