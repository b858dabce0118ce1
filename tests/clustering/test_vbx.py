"""VBx: the passes through time against plain matrices, the fit, and the counts it honours."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clustering_agreement import agreement, speakers
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar.clustering.plda import Plda, train_plda
from speakerdiar.clustering.vbx import (
    VbxClusterer,
    among,
    forward_backward,
    large_speakers,
    smoothed,
    strongest_clusters,
    vbx,
)
from speakerdiar.config import SpeakerCount
from speakerdiar.errors import ConfigError, WeightsError


def by_all_paths(
    scores: NDArray[Any], pi: NDArray[Any], loop: float
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Add up every path: log evidence, responsibilities, and the share of turns that begin with each speaker."""
    places, count = scores.shape
    evidence, gamma = 0.0, np.zeros(scores.shape)
    begins = np.zeros(count)
    for path in np.ndindex(*(count,) * places):
        chance, drawn = float(pi[path[0]] * math.exp(scores[0, path[0]])), np.zeros(count)
        drawn[path[0]] = 1
        for place in range(1, places):
            stay = loop * (path[place] == path[place - 1])
            jump = (1 - loop) * pi[path[place]]
            chance *= (stay + jump) * math.exp(scores[place, path[place]])
            drawn[path[place]] += jump / (stay + jump)
        evidence += chance
        gamma[np.arange(places), path] += chance
        begins += chance * drawn
    return math.log(evidence), gamma / evidence, begins / begins.sum()


@given(
    seed=st.integers(0, 10**6),
    places=st.integers(1, 5),
    count=st.integers(1, 3),
    loop=st.sampled_from([0.0, 0.3, 0.9, 0.999]),
)
def test_a_pass_adds_up_all_paths(seed: int, places: int, count: int, loop: float) -> None:
    draw = np.random.default_rng(seed)
    scores, pi = draw.normal(scale=3, size=(places, count)), draw.dirichlet(np.ones(count))
    evidence, gamma, begins = forward_backward(scores, pi, loop)
    expected = by_all_paths(scores, pi, loop)
    assert evidence == pytest.approx(expected[0])
    np.testing.assert_allclose(gamma, expected[1], atol=1e-12)
    np.testing.assert_allclose(begins, expected[2], atol=1e-12)


def test_scores_far_from_0_neither_vanish_nor_overflow() -> None:
    scores = np.array([[0.0, -2000.0], [-2000.0, 0.0]] * 20)
    pi = np.array([0.5, 0.5])
    for loop in (0.0, 0.99):
        evidence, gamma, _ = forward_backward(scores, pi, loop)
        shifted = forward_backward(scores + 1e5, pi, loop)
        assert shifted[0] - evidence == pytest.approx(40 * 1e5)
        np.testing.assert_allclose(gamma, scores == 0)
        np.testing.assert_allclose(shifted[1], gamma)


def test_smoothed_labels() -> None:
    start = smoothed(np.array([0, 2, 1]), math.log(3))
    np.testing.assert_allclose(start, [[0.6, 0.2, 0.2], [0.2, 0.2, 0.6], [0.2, 0.6, 0.2]])


def split_speakers(noise: float = 0.4) -> tuple[NDArray[Any], Plda, NDArray[Any], NDArray[Any]]:
    """Features of 3 speakers, and labels that cut each in 3."""
    plda = train_plda(*speakers(16, 40, noise=noise, seed=3))
    embeddings, who = speakers(16, 40, noise=noise)
    rows = who < 3
    embeddings, who = embeddings[rows], who[rows]
    cut = who + 3 * np.random.default_rng(0).integers(0, 3, len(who))
    return plda.project(embeddings), plda, who, cut


@pytest.mark.parametrize("loop", [0.0, 0.8])
def test_the_fit_merges_what_one_speaker_explains(loop: float) -> None:
    features, plda, who, cut = split_speakers()
    found = vbx(features, plda.phi, smoothed(cut), fa=0.2, fb=3.0, loop_probability=loop)
    assert agreement(found.responsibilities.argmax(axis=1), who) == 1.0
    assert found.responsibilities.shape == (120, 9)
    assert (found.priors > 0).sum() == 3
    np.testing.assert_allclose(found.responsibilities.sum(axis=1), 1)
    assert found.priors.sum() == pytest.approx(1)
    assert not found.responsibilities[:, found.priors == 0].any()


def test_a_floor_of_priors_keeps_every_speaker() -> None:
    features, plda, _, cut = split_speakers()
    options: dict[str, Any] = {"fa": 0.2, "fb": 3.0, "loop_probability": 0.0, "max_iterations": 8}
    kept = vbx(features, plda.phi, smoothed(cut), floor=0.01, **options)
    # One iteration more by hand: from these responsibilities, and priors raised by the floor.
    gamma = kept.responsibilities
    inverse = 1 / (1 + 0.2 / 3 * gamma.sum(axis=0)[:, None] * plda.phi)
    alpha = 0.2 / 3 * inverse * (gamma.T @ (features * np.sqrt(plda.phi)))
    scores = 0.2 * (features * np.sqrt(plda.phi) @ alpha.T - 0.5 * (inverse + alpha**2) @ plda.phi)
    likely = np.exp(scores - scores.max(axis=1, keepdims=True)) * (kept.priors + 0.01)
    again = vbx(features, plda.phi, gamma, floor=0.01, priors=kept.priors, **options | {"max_iterations": 1})
    np.testing.assert_allclose(again.responsibilities, likely / likely.sum(axis=1, keepdims=True))
    assert (again.priors > 0).all()
    assert (vbx(features, plda.phi, smoothed(cut), **options).priors == 0).any()


@pytest.mark.parametrize("loop", [0.0, 0.8])
def test_the_bound_grows(loop: float) -> None:
    features, plda, _, cut = split_speakers(noise=1.0)
    found = vbx(features, plda.phi, smoothed(cut), fa=0.2, fb=3.0, loop_probability=loop, tolerance=1e-9)
    assert len(found.elbos) > 3
    # Speakers that are given up take next to nothing with them.
    assert (np.diff(found.elbos) > -1e-3).all()


def test_the_number_of_iterations_is_limited() -> None:
    features, plda, _, cut = split_speakers()
    start = smoothed(cut)
    options: dict[str, Any] = {"fa": 0.2, "fb": 3.0, "loop_probability": 0.8}
    assert len(vbx(features, plda.phi, start, max_iterations=2, **options).elbos) == 2
    assert len(vbx(features, plda.phi, start, tolerance=math.inf, **options).elbos) == 2


def test_priors_to_start_from_decide_where_features_say_nothing() -> None:
    start = np.full((4, 2), 0.5)
    found = vbx(
        np.zeros((4, 3)),
        np.ones(3),
        start,
        fa=1,
        fb=1,
        loop_probability=0,
        max_iterations=1,
        priors=np.array([0.9, 0.1]),
    )
    np.testing.assert_allclose(found.priors, [0.9, 0.1])


def embedded() -> tuple[NDArray[Any], NDArray[np.int64], Plda]:
    """Four speakers so noisy that the first clusters are many, and a PLDA of others."""
    others, who = speakers(16, 60, noise=0.7, seed=7, size=16)
    plda = train_plda(others, who)
    embeddings, who = speakers(4, 60, noise=0.7, size=16)
    return embeddings, who, plda


def test_speakers_are_found_among_many_first_clusters() -> None:
    embeddings, who, plda = embedded()
    assert agreement(VbxClusterer(plda=plda).fit_predict(embeddings), who) == 1.0


@pytest.mark.parametrize("wanted", [2, 3, 4, 5, 9, 240])
def test_the_count_is_met(wanted: int) -> None:
    embeddings, who, plda = embedded()
    labels = VbxClusterer(plda=plda).fit_predict(embeddings, SpeakerCount.of(wanted))
    assert set(labels) == set(range(wanted))
    if wanted == 3:  # whole speakers stay together, as far as there are any
        kept = [speaker for speaker in range(4) if len(set(labels[who == speaker])) == 1]
        assert len(kept) >= 3


def test_a_speaker_of_few_embeddings_is_given_up() -> None:
    embeddings, who, plda = embedded()
    rows = np.concatenate([np.flatnonzero(who < 3), np.flatnonzero(who == 3)[:6]])
    assert len(set(VbxClusterer(plda=plda, min_cluster_size=4).fit_predict(embeddings[rows]))) == 4
    labels = VbxClusterer(plda=plda, min_cluster_size=8).fit_predict(embeddings[rows])
    assert agreement(labels[:180], who[rows][:180]) == 1.0
    assert set(labels) == {0, 1, 2}


def test_the_least_size() -> None:
    assert VbxClusterer().least_size(1000) == 20
    assert VbxClusterer().least_size(100) == 3
    assert VbxClusterer().least_size(20) == 2
    assert VbxClusterer(min_cluster_size=1).least_size(1000) == 1
    assert VbxClusterer(min_cluster_size=50).least_size(1000) == 50


def test_large_speakers_come_by_their_priors() -> None:
    draw = np.random.default_rng(0)
    found = vbx(
        draw.normal(size=(40, 2)) + 8 * np.repeat(np.eye(2), [10, 30], axis=0),
        np.array([9.0, 9.0]),
        smoothed(np.repeat([0, 1], [10, 30])),
        fa=1,
        fb=1,
        loop_probability=0,
    )
    assert large_speakers(found, 1).tolist() == [1, 0]
    assert large_speakers(found, 20).tolist() == [1]
    assert large_speakers(found, 35).tolist() == [1]  # never none
    assert among(found, np.array([1])).tolist() == [0] * 40


def test_the_smallest_first_clusters_join_the_nearest() -> None:
    embeddings = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1], [0, 1], [1, 0.1], [0.1, 1]])
    labels = np.array([0, 0, 1, 1, 1, 2, 3])
    assert strongest_clusters(embeddings, labels, 2).tolist() == [1, 1, 0, 0, 0, 1, 0]
    assert strongest_clusters(embeddings, labels, 4) is labels


def test_many_embeddings_start_from_micro_clusters() -> None:
    embeddings, who, plda = embedded()
    labels = VbxClusterer(plda=plda, max_exact=60).fit_predict(embeddings)
    assert agreement(labels, who) > 0.95


def test_a_plda_may_come_from_a_file(tmp_path: Path) -> None:
    embeddings, _, plda = embedded()
    plda.save(tmp_path / "plda.npz")
    made = VbxClusterer(plda=tmp_path / "plda.npz")
    np.testing.assert_array_equal(made.fit_predict(embeddings), VbxClusterer(plda=plda).fit_predict(embeddings))
    with pytest.raises(WeightsError, match="absent"):
        VbxClusterer(plda=str(tmp_path / "absent.npz"))
    with pytest.raises(ConfigError, match="trained for 16 dimensions"):
        made.fit_predict(np.ones((5, 4)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fa": 0}, "fa=0"),
        ({"fb": math.inf}, "fb=inf"),
        ({"fb": math.nan}, "fb=nan"),
        ({"loop_probability": 1.0}, "loop_probability=1.0"),
        ({"loop_probability": -0.1}, "loop_probability=-0.1"),
        ({"max_iterations": 0}, "max_iterations=0"),
        ({"threshold": -1}, "threshold=-1"),
        ({"min_cluster_size": 0}, "min_cluster_size=0"),
        ({"max_exact": 1}, "max_exact=1"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VbxClusterer(**options)
