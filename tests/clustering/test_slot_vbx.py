"""Slots by VBx: speakers that are given up, counts by k-means, equal embeddings, and long recordings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from clustering_agreement import agreement, speakers
from hypothesis import given, settings
from hypothesis import strategies as st
from slot_scenes import meeting, plain_plda, scene

from speakerdiar.clustering.slot_vbx import VbxSlots, forced, k_means, weighted_means
from speakerdiar.errors import ConfigError, SpeakerCountError

VBX = VbxSlots(plain_plda())


@pytest.mark.parametrize("exact", [False, True])
def test_the_fit_gives_up_clusters_that_one_speaker_explains(exact: bool) -> None:
    made = meeting(3, 60, noise=0.8)
    found = made.clustered(VBX, exact=exact)
    assert found.found is not None
    assert found.found.first_labels is not None
    assert found.found.fit is not None
    assert found.found.features is not None
    assert len(found.found.features) == len(found.train)
    first = int(found.found.first_labels.max()) + 1
    assert found.found.fit.responsibilities.shape == (len(found.train), first)
    assert len(found.centroids) == 3 < first
    talks = made.who >= 0
    assert agreement(found.labels[talks], made.who[talks]) == 1.0


@pytest.mark.parametrize("exact", [False, True])
def test_another_count_is_made_by_k_means_and_lifts_the_constraint(exact: bool) -> None:
    made = meeting(4, 40)
    talks = made.who >= 0
    assert made.clustered(VBX, 4, exact=exact).centroids.shape == (4, 16)
    for counts, number in (((2,), 2), ((7,), 7), ((None, 6, None), 6), ((None, None, 3), 3)):
        found = made.clustered(VBX, *counts, exact=exact)
        assert len(found.centroids) == number
        assert len(np.unique(found.labels[talks])) == number
    pairs = made.clustered(VBX, 2, exact=exact).labels
    assert max(np.bincount(row[row >= 0]).max() for row in pairs if (row >= 0).any()) > 1


def test_pyannote_refuses_more_speakers_than_long_turns() -> None:
    made = scene([[0, 1], [2, 3]], alone=np.array([[50, 50], [5, 5]]))
    with pytest.raises(SpeakerCountError, match="3 speakers were asked for, but 2 local speakers talk alone"):
        made.clustered(VBX, 3, exact=True)
    assert len(made.clustered(VBX, 3).centroids) == 3


def test_equal_embeddings_are_told_apart_by_position_if_asked() -> None:
    made = scene([[0, 0], [0, 0], [1, 0]], noise=0.0)
    found = made.clustered(VBX, 4)
    assert len(np.unique(found.labels)) == 4
    assert np.isfinite(found.centroids).all()
    # pyannote compares with the mean of nothing, which wins.
    theirs = made.clustered(VBX, 4, exact=True)
    assert np.isnan(theirs.centroids).all(axis=1).sum() == 2
    assert len(np.unique(theirs.labels)) == 1


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), vectors=st.integers(1, 12), differ=st.integers(1, 4), data=st.data())
def test_forced_clusters_are_just_so_many(seed: int, vectors: int, differ: int, data: st.DataObject) -> None:
    draw = np.random.default_rng(seed)
    means = draw.normal(size=(differ, 3))[draw.integers(differ, size=vectors)]
    clusters = data.draw(st.integers(1, vectors))
    labels = forced(means, draw.integers(1, 5, size=vectors).astype(float), clusters)
    assert (np.unique(labels) == np.arange(clusters)).all()


def test_k_means_weighs_vectors() -> None:
    line = np.array([[0.0], [1.0], [5.0], [6.2]])
    assert agreement(k_means(line, 2), [0, 0, 1, 1]) == 1.0
    assert agreement(k_means(line, 3, np.array([1.0, 1.0, 100.0, 100.0])), [0, 0, 1, 2]) == 1.0


def test_weighted_means() -> None:
    draw = np.random.default_rng(0)
    vectors, shares = draw.normal(size=(9000, 3)).astype(np.float32), draw.random((9000, 2))
    expected = [np.average(vectors, axis=0, weights=share) for share in shares.T]
    np.testing.assert_allclose(weighted_means(vectors, shares), expected)


@pytest.mark.parametrize("counts", [(), (3,), (9,)])
def test_long_recordings_go_by_micro_clusters(counts: tuple[int, ...]) -> None:
    vectors, who = speakers(6, 100)
    made = scene(who[:, None], size=32)
    made.embeddings[:, 0] = vectors
    found, whole = (made.clustered(VbxSlots(plain_plda(32), max_exact=limit), *counts) for limit in (100, 5000))
    assert len(found.centroids) == len(whole.centroids) == (counts or (6,))[0]
    if not counts:
        assert agreement(found.labels[:, 0], whole.labels[:, 0]) == agreement(found.labels[:, 0], who) == 1.0


@pytest.mark.parametrize(
    "options",
    [{"threshold": 0.0}, {"fa": -1.0}, {"fb": float("inf")}, {"max_iterations": 0}, {"max_exact": 1}],
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(options))}="):
        VbxSlots(plain_plda(), **options)
