"""Which clusters known voices claim, and what they do for a fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from clustering_agreement import agreement, speakers

from speakerdiar.clustering.ahc import AhcClusterer
from speakerdiar.clustering.known_voices import claimed
from speakerdiar.clustering.plda import train_plda
from speakerdiar.clustering.vbx import Enrolment, VbxClusterer, smoothed, vbx
from speakerdiar.config import SpeakerCount
from speakerdiar.errors import ConfigError


def test_clusters_near_one_voice_are_joined() -> None:
    embeddings = np.array([[1.0, 0, 0], [0, 1, 0], [0.9, 0.1, 0], [0, 0, 1]])
    labels, voices = claimed(embeddings, np.arange(4), np.array([[2.0, 0, 0], [0, 0, -1]]), np.zeros(3), 0.8)
    assert labels.tolist() == [0, 1, 0, 2]
    assert voices.tolist() == [[2, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_the_centre_is_no_likeness() -> None:
    shared = np.array([10.0, 0, 0])
    embeddings = shared + np.array([[0, 1.0, 0], [0, 0, 1]])
    known = shared + np.array([[0, 1.0, 0]])
    unit = shared / 10
    assert claimed(embeddings, np.arange(2), known, np.zeros(3), 0.9)[0].tolist() == [0, 0]
    assert claimed(embeddings, np.arange(2), known, unit, 0.9)[0].tolist() == [0, 1]


def test_silent_windows_are_nobodys_voice() -> None:
    """Windows without sound have vectors of zeros."""
    embeddings = np.array([[1.0, 0, 0], [0, 0, 0], [0, 1, 0]])
    labels, voices = claimed(embeddings, np.arange(3), np.array([[1.0, 0, 0]]), np.array([0.1, 0.1, 0.1]), -0.9)
    assert labels.tolist() == [0, 1, 0]
    assert not voices[1].any()
    plda = train_plda(*speakers(16, 40, size=16, seed=2))
    talk, _ = speakers(3, 30, size=16)
    talk[10:20] = 0
    assert len(VbxClusterer(plda=plda).fit_predict(talk, known=talk[:1])) == 90


def test_without_known_voices_nothing_is_joined() -> None:
    embeddings, labels = np.eye(3), np.array([1, 0, 2])
    joined, voices = claimed(embeddings, labels, np.zeros((0, 3)), np.zeros(3), 0.5)
    assert joined.tolist() == labels.tolist()
    assert not voices.any()


def test_what_is_known_counts_as_features_whose_speaker_is_certain() -> None:
    """A fit with enrolled features is one on more features, as far as the others go, without an order of time."""
    draw = np.random.default_rng(0)
    phi = np.array([4.0, 2.0])
    features = draw.normal(size=(30, 2)) + np.repeat([[3.0, 0], [-3, 0]], 15, axis=0)
    extra = np.array([[3.5, 0.5]] * 4)
    options: dict[str, Any] = {"fa": 0.3, "fb": 1.0, "loop_probability": 0.0, "max_iterations": 1}
    start = smoothed(np.repeat([0, 1], 15))
    enrolled = Enrolment(np.array([4.0, 0.0]), np.stack([extra.sum(axis=0) * np.sqrt(phi), np.zeros(2)]))
    found = vbx(features, phi, start, enrolled=enrolled, **options)
    certain = np.concatenate([start, np.tile([1.0, 0.0], (4, 1))])
    expected = vbx(np.concatenate([features, extra]), phi, certain, **options)
    np.testing.assert_allclose(found.responsibilities, expected.responsibilities[:30])


@pytest.mark.parametrize("loop", [0.0, 0.8])
def test_the_bound_grows_with_known_voices(loop: float) -> None:
    """It stays a bound where the expected means aren't 0, or the fit would end too early."""
    plda = train_plda(*speakers(16, 40, noise=1.0, seed=3))
    embeddings, who = speakers(16, 40, noise=1.0)
    rows = who < 3
    features, who = plda.project(embeddings[rows]), who[rows]
    start = smoothed(who + 3 * np.random.default_rng(0).integers(0, 3, len(who)))
    voice = plda.project(embeddings[rows][:4]).sum(axis=0) * np.sqrt(plda.phi)
    counts, sums = np.zeros(9), np.zeros((9, features.shape[1]))
    counts[0], sums[0] = 40.0, 10 * voice
    enrolled = Enrolment(counts, sums)
    options: dict[str, Any] = {"fa": 0.2, "fb": 3.0, "loop_probability": loop, "tolerance": 1e-9}
    found = vbx(features, plda.phi, start, enrolled=enrolled, **options)
    assert len(found.elbos) > 3
    assert (np.diff(found.elbos) > -1e-3).all()


def test_a_known_voice_brings_together_what_was_split() -> None:
    """One person in two rooms: their embeddings fall apart, and the voice, heard in both, lies between them."""
    others, who_else = speakers(16, 60, noise=0.5, seed=7, size=16)
    plda = train_plda(others, who_else)
    embeddings, who = speakers(3, 60, noise=0.3, size=16)
    directions, _ = np.linalg.qr(np.concatenate([embeddings[who == 0][:1], embeddings[60:64], np.eye(16)]).T)
    in_the_other_room = (who == 0) & (np.arange(180) % 60 < 30)
    embeddings[in_the_other_room] += 1.2 * directions[:, 5]
    voice = embeddings[who == 0].mean(axis=0, keepdims=True)
    clusterer = VbxClusterer(plda=plda, fb=0.5)
    apart, together = clusterer.fit_predict(embeddings), clusterer.fit_predict(embeddings, known=voice)
    assert len(set(apart[who == 0])) == 2
    assert agreement(together, who) > agreement(apart, who)


def test_counts_are_met_with_known_voices_too() -> None:
    embeddings, _ = speakers(4, 30, size=16)
    plda = train_plda(*speakers(16, 40, size=16, seed=2))
    known = embeddings[:20:10]
    for wanted in (1, 2, 5):
        labels = VbxClusterer(plda=plda).fit_predict(embeddings, SpeakerCount.of(wanted), known=known)
        assert set(labels) == set(range(wanted))


def test_other_clusterers_leave_known_voices_aside() -> None:
    embeddings, _ = speakers(3, 20)
    ahc = AhcClusterer(threshold=0.5)
    np.testing.assert_array_equal(ahc.fit_predict(embeddings), ahc.fit_predict(embeddings, known=embeddings[:2]))


def test_voices_that_are_no_numbers_are_refused() -> None:
    embeddings, _ = speakers(3, 20)
    with pytest.raises(ConfigError, match="finite"):
        VbxClusterer().fit_predict(embeddings, known=np.full((1, 32), np.nan))
