"""Micro-clusters: few, pure, and weighted rightly."""

from __future__ import annotations

import numpy as np
from clustering_agreement import speakers

from speakerdiar.clustering.affinity import unit_rows
from speakerdiar.clustering.micro import micro_clusters


def test_they_are_few_and_pure_and_know_their_members() -> None:
    embeddings, who = speakers(6, 600)
    vectors = unit_rows(embeddings)
    labels, means, weights = micro_clusters(vectors, 200, "average", "cosine")
    assert len(means) <= 200
    np.testing.assert_array_equal(np.bincount(labels), weights)
    for label in range(len(means)):
        assert len(set(who[labels == label])) == 1
        np.testing.assert_allclose(means[label], vectors[labels == label].mean(axis=0), atol=1e-12)


def test_it_takes_more_than_one_pass_where_the_limit_is_low() -> None:
    embeddings, who = speakers(2, 1500)
    labels, means, weights = micro_clusters(unit_rows(embeddings), 2, "average", "cosine")
    assert len(means) == 2
    assert weights.sum() == 3000
    assert labels.shape == who.shape


def test_what_is_few_already_stays_as_it_is() -> None:
    vectors = unit_rows(speakers(2, 10)[0])
    labels, means, weights = micro_clusters(vectors, 20, "average", "cosine")
    assert labels.tolist() == list(range(20))
    np.testing.assert_array_equal(means, vectors)
    assert set(weights) == {1}
