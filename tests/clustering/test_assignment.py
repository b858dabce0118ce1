"""From scores to the clusters of slots: different ones in a window, as many as there are, and none lost."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar.clustering.assignment import (
    assigned_clusters,
    distinct_clusters,
    kept_alive,
    similarities,
    usable_slots,
    without_gaps,
)


def best_total(scores: NDArray[np.float64]) -> float:
    """The greatest total score of different clusters for rows of scores, by trying all."""
    if len(scores) > scores.shape[1]:
        scores = scores.T
    ways = permutations(range(scores.shape[1]), len(scores))
    return max(float(scores[range(len(scores)), list(way)].sum()) for way in ways)


@given(
    seed=st.integers(0, 10**6),
    windows=st.integers(0, 4),
    slots=st.integers(1, 4),
    clusters=st.integers(1, 5),
    levels=st.sampled_from([2, 1000]),
)
def test_distinct_clusters_have_the_greatest_total(
    seed: int, windows: int, slots: int, clusters: int, levels: int
) -> None:
    draw = np.random.default_rng(seed)
    scores = draw.integers(levels, size=(windows, slots, clusters)) / levels
    takes_part = draw.random((windows, slots)) < 0.7
    labels = distinct_clusters(scores, takes_part)
    assert (labels[~takes_part] == -1).all()
    for window in range(windows):
        given_to = np.flatnonzero(labels[window] >= 0)
        assert len(given_to) == min(clusters, takes_part[window].sum())
        assert len(set(labels[window, given_to])) == len(given_to)
        if len(given_to):
            total = scores[window, given_to, labels[window, given_to]].sum()
            assert np.isclose(total, best_total(scores[window, takes_part[window]]))


def test_slots_beyond_the_clusters_share_the_nearest_one() -> None:
    scores = np.array([[[0.9, 0.1], [0.8, 0.7], [0.6, 0.3]]])
    everyone = np.ones((1, 3), bool)
    assert distinct_clusters(scores, everyone).tolist() == [[0, 1, -1]]
    assert assigned_clusters(scores, everyone, distinct=True).tolist() == [[0, 1, 0]]
    assert assigned_clusters(scores, everyone, distinct=False).tolist() == [[0, 0, 0]]
    assert assigned_clusters(scores, np.array([[False, True, True]]), distinct=True).tolist() == [[-1, 1, 0]]


def test_similarities_of_slots() -> None:
    draw = np.random.default_rng(0)
    embeddings, centroids = draw.normal(size=(5000, 2, 4)).astype(np.float16), draw.normal(size=(3, 4))
    embeddings[4, 1], embeddings[6, 0, 2] = 0, np.nan
    scores = similarities(embeddings, centroids)
    empty = np.isnan(scores).all(axis=2)
    assert np.argwhere(empty).tolist() == [[4, 1], [6, 0]]
    assert (usable_slots(embeddings) == ~empty).all()
    one, other = embeddings[4999, 1].astype(float), centroids[2]
    assert np.isclose(scores[4999, 1, 2], 1 + one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_infinite_embeddings_are_of_no_use() -> None:
    assert usable_slots(np.array([[[np.inf, 1.0], [1.0, 2.0]]])).tolist() == [[False, True]]


def test_slots_without_an_embedding_take_the_likeliest_free_cluster() -> None:
    scores = np.array([[[1.2, 0.0, 0.9], [np.nan, np.nan, np.nan]]])
    shares = np.array([0.5, 0.2, 0.3])
    filled = without_gaps(scores, shares)
    assert (filled[0, 0] == scores[0, 0]).all()
    assert (filled[0, 1] < 0).all()
    everyone = np.ones((1, 2), bool)
    assert assigned_clusters(filled, everyone, distinct=True).tolist() == [[0, 2]]
    assert assigned_clusters(filled, everyone, distinct=False).tolist() == [[0, 0]]
    assert (without_gaps(scores[:, :1], shares) == scores[:, :1]).all()


@given(seed=st.integers(0, 10**6), windows=st.integers(1, 6), clusters=st.integers(1, 4))
def test_no_cluster_that_is_asked_for_gets_lost(seed: int, windows: int, clusters: int) -> None:
    draw = np.random.default_rng(seed)
    train = np.argwhere(np.ones((windows, 4), bool))
    train_labels = np.concatenate([np.arange(clusters), draw.integers(clusters, size=len(train) - clusters)])
    labels = draw.integers(-1, clusters, size=(windows, 4))
    labels[tuple(train.T)] = np.maximum(labels[tuple(train.T)], 0)
    least = int(draw.integers(1, clusters + 1))
    kept = kept_alive(labels, train, train_labels, least)
    assert len(np.unique(kept)) >= least
    moved = (kept != labels)[tuple(train.T)]
    assert (kept[tuple(train.T)][moved] == train_labels[moved]).all()
    if len(np.unique(labels)) >= least:
        assert not moved.any()
