"""Agglomerative clustering: thresholds, least sizes, long recordings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from clustering_agreement import agreement, speakers

from speakerdiar.clustering.ahc import AhcClusterer
from speakerdiar.clustering.linkage import METHODS
from speakerdiar.config import SpeakerCount
from speakerdiar.errors import ConfigError

PLANE = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [-1, 0.05]])


def labels_at(threshold: float, **options: Any) -> list[int]:
    labels: list[int] = AhcClusterer(threshold=threshold, **options).fit_predict(PLANE).tolist()
    return labels


def test_a_threshold_between_distances_decides() -> None:
    assert labels_at(0.001) == [0, 1, 2, 3, 4]
    assert labels_at(0.1) == [0, 0, 1, 1, 2]
    assert labels_at(2.0) == [0, 0, 0, 0, 0]


def test_the_threshold_itself_still_merges() -> None:
    embeddings = np.array([[1.0, 0.0], [0.0, 1.0]])  # cosine distance exactly 1
    assert AhcClusterer(threshold=1.0).fit_predict(embeddings).tolist() == [0, 0]
    assert AhcClusterer(threshold=0.999).fit_predict(embeddings).tolist() == [0, 1]


def test_geometric_methods_measure_between_unit_vectors() -> None:
    # Two directions at right angles, of different lengths: sqrt(2) apart.
    embeddings = np.array([[5.0, 0.0], [0.0, 0.2]])
    assert AhcClusterer(method="centroid", threshold=1.42).fit_predict(embeddings).tolist() == [0, 0]
    assert AhcClusterer(method="centroid", threshold=1.41).fit_predict(embeddings).tolist() == [0, 1]


def test_euclidean_takes_vectors_as_they_are() -> None:
    embeddings = np.array([[1.0, 0.0], [3.0, 0.0], [3.5, 0.0]])
    assert AhcClusterer(metric="euclidean", threshold=1.0).fit_predict(embeddings).tolist() == [0, 1, 1]
    assert AhcClusterer(threshold=0.1).fit_predict(embeddings).tolist() == [0, 0, 0]


def with_a_small_cluster() -> tuple[Any, Any]:
    """Two speakers of 60, and 5 embeddings of a third nearer to the first."""
    embeddings, who = speakers(3, 60)
    third = np.flatnonzero(who == 2)
    keep = np.sort(np.concatenate([np.flatnonzero(who != 2), third[:5]]))
    leaning = embeddings + np.where((who == 2)[:, None], 0.3 * embeddings[who == 0].mean(axis=0), 0)
    return leaning[keep], who[keep]


@pytest.mark.parametrize("least_size", [6, 0.05])
def test_small_clusters_join_the_nearest_large_one(least_size: float) -> None:
    embeddings, who = with_a_small_cluster()
    assert agreement(AhcClusterer().fit_predict(embeddings), who) == 1.0
    labels = AhcClusterer(min_cluster_size=least_size).fit_predict(embeddings)
    assert agreement(labels, np.where(who == 2, 0, who)) == 1.0


@pytest.mark.parametrize("wanted", [3, 4, 20, 125])
def test_a_least_size_yields_to_the_count(wanted: int) -> None:
    embeddings, _ = with_a_small_cluster()
    for count in (SpeakerCount.of(wanted), SpeakerCount.of(least=wanted)):
        assert len(set(AhcClusterer(min_cluster_size=6).fit_predict(embeddings, count))) == wanted


def test_a_least_size_never_asks_for_more_than_a_tenth() -> None:
    clusterer = AhcClusterer(min_cluster_size=12)
    assert [clusterer.least_size(size) for size in (4, 20, 50, 1000)] == [1, 2, 5, 12]
    assert AhcClusterer(min_cluster_size=0.02).least_size(1000) == 20


def test_where_all_clusters_are_small_there_is_one() -> None:
    embeddings = np.eye(40)
    assert set(AhcClusterer(min_cluster_size=4, threshold=0.5).fit_predict(embeddings)) == {0}


@pytest.mark.parametrize("method", sorted(METHODS))
def test_long_recordings_get_the_labels_of_the_exact_algorithm(method: str) -> None:
    embeddings, who = speakers(5, 500, noise=0.3)
    threshold = {"ward": 5.0, "single": 0.15}.get(method, 0.6)
    exact = AhcClusterer(method=method, threshold=threshold).fit_predict(embeddings)
    bounded = AhcClusterer(method=method, threshold=threshold, max_exact=300).fit_predict(embeddings)
    assert agreement(exact, who) == 1.0
    assert agreement(bounded, exact) == 1.0


def test_long_recordings_meet_the_count() -> None:
    embeddings, _ = speakers(3, 500)
    clusterer = AhcClusterer(max_exact=50, min_cluster_size=20)
    for wanted in (1, 2, 3, 4, 9, 120):
        assert len(set(clusterer.fit_predict(embeddings, SpeakerCount.of(wanted)))) == wanted


@pytest.mark.parametrize(
    "options",
    [
        {"method": "upgma"},
        {"metric": "manhattan"},
        {"threshold": -0.1},
        {"threshold": float("nan")},
        {"min_cluster_size": 0},
        {"min_cluster_size": 1.5},
        {"max_exact": 1},
    ],
)
def test_options_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(options))}="):
        AhcClusterer(**options)
