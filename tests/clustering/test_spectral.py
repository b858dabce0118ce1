"""Spectral clustering."""

from __future__ import annotations

import numpy as np
import pytest
from clustering_agreement import agreement, speakers

from speakerdiar.clustering.affinity import REFINEMENTS
from speakerdiar.clustering.spectral import SpectralClusterer
from speakerdiar.config import SpeakerCount
from speakerdiar.errors import ConfigError


@pytest.mark.parametrize("count", [1, 2, 3, 6])
@pytest.mark.parametrize("noise", [0.4, 1.0])
def test_speakers_are_counted(count: int, noise: float) -> None:
    embeddings, who = speakers(count, 80, noise=noise)
    labels = SpectralClusterer().fit_predict(embeddings)
    assert len(set(labels)) == count
    assert agreement(labels, who) > 0.99


def test_the_whole_chain_of_refinements() -> None:
    embeddings, who = speakers(3, 60)
    chain = SpectralClusterer(refinements=tuple(REFINEMENTS))
    assert agreement(chain.fit_predict(embeddings, SpeakerCount.of(3)), who) > 0.9


def test_long_recordings_get_the_labels_of_the_exact_algorithm() -> None:
    embeddings, who = speakers(4, 300)
    assert agreement(SpectralClusterer().fit_predict(embeddings), who) == 1.0
    bounded = SpectralClusterer(max_exact=200)
    assert agreement(bounded.fit_predict(embeddings), who) == 1.0
    assert len(set(bounded.fit_predict(embeddings, SpeakerCount.of(300)))) == 300


def test_components_merge_by_their_affinity() -> None:
    voices = np.eye(4)
    voices[3, 0] = 2.0  # the fourth leans to the first
    embeddings = voices[np.arange(200) % 4] + 0.02 * np.random.default_rng(0).normal(size=(200, 4))
    labels = SpectralClusterer().fit_predict(embeddings, SpeakerCount.of(3))
    assert agreement(labels, np.arange(200) % 4 % 3) == 1.0


def test_options_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'symmetrize'"):
        SpectralClusterer(refinements=("symmetrise",))
    with pytest.raises(ConfigError, match="kmeans_trials=0"):
        SpectralClusterer(kmeans_trials=0)
