"""Labels with the right number of clusters."""

from __future__ import annotations

import numpy as np
from clustering_agreement import agreement, speakers

from speakerdiar.clustering.centroids import cluster_centroids, nearest_centroid
from speakerdiar.clustering.counts import in_order_of_appearance, meet_count
from speakerdiar.config import SpeakerCount


def test_labels_are_renamed_as_they_appear() -> None:
    assert in_order_of_appearance(np.array([7, -1, 7, 3, -1])).tolist() == [0, 1, 0, 2, 1]


def test_merging_joins_what_belongs_together() -> None:
    embeddings, who = speakers(3, 30)
    finer = who * 2 + np.arange(90) % 2
    assert agreement(meet_count(embeddings, finer, SpeakerCount.of(most=3)), who) == 1.0


def test_splitting_parts_what_lies_apart() -> None:
    embeddings, who = speakers(3, 30)
    coarser = np.where(who == 2, 1, who)
    assert agreement(meet_count(embeddings, coarser, SpeakerCount.of(least=3)), who) == 1.0


def test_a_right_number_stays() -> None:
    embeddings, who = speakers(3, 30)
    np.testing.assert_array_equal(meet_count(embeddings, who, SpeakerCount.of(least=2, most=3)), who)


def test_centroids_are_weighted_means() -> None:
    vectors = np.array([[0.0, 0.0], [4.0, 0.0], [1.0, 1.0]])
    centroids, weights = cluster_centroids(vectors, np.array([0, 0, 1]), np.array([3.0, 1.0, 2.0]))
    np.testing.assert_array_equal(centroids, [[1, 0], [1, 1]])
    np.testing.assert_array_equal(weights, [4, 2])


def test_the_nearest_centroid_is_that_at_the_smallest_angle() -> None:
    centroids = np.array([[1.0, 0.0], [0.0, 100.0]])
    assert nearest_centroid(np.array([[5.0, 4.0], [0.1, 0.2], [0.0, 0.0]]), centroids).tolist() == [0, 1, 0]
