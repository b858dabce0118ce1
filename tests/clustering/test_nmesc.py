"""NME-SC beyond what NeMo's labels show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from clustering_agreement import agreement, speakers

from speakerdiar.clustering.nme import NmeSearch, cosine_scores, min_max_scaled
from speakerdiar.clustering.nmesc import NmescClusterer
from speakerdiar.clustering.scales import nearest_windows
from speakerdiar.config import SpeakerCount
from speakerdiar.errors import ConfigError, SpeakerCountError


def test_the_whole_search_and_every_nth_embedding_agree() -> None:
    embeddings, who = speakers(4, 200, noise=0.8)
    for options in ({}, {"nme_mat_size": None, "sparse_search_volume": 5}, {"nme_mat_size": 100}):
        assert agreement(NmescClusterer(**options).fit_predict(embeddings), who) == 1.0


def test_long_recordings_go_in_chunks() -> None:
    embeddings, who = speakers(4, 120)
    clusterer = NmescClusterer(embeddings_per_chunk=160, chunk_cluster_count=20)
    assert agreement(clusterer.fit_predict(embeddings), who) == 1.0
    for wanted in (1, 2, 6, 70):
        assert len(set(clusterer.fit_predict(embeddings, SpeakerCount.of(wanted)))) == wanted


@pytest.mark.parametrize("most", [2, 3])
def test_a_maximum_below_the_true_number_is_reached(most: int) -> None:
    for noise in (0.3, 1.0):
        embeddings, _ = speakers(5, 60, noise=noise)
        assert len(set(NmescClusterer().fit_predict(embeddings, SpeakerCount.of(most=most)))) == most


def test_short_recordings_keep_to_the_maximum() -> None:
    embeddings, _ = speakers(6, 5, noise=0.1)
    assert len(set(NmescClusterer().fit_predict(embeddings, SpeakerCount.of(least=2, most=3)))) in (2, 3)


def test_scores_of_equal_embeddings_are_numbers() -> None:
    assert not min_max_scaled(np.full((4, 4), 0.5, np.float32)).any()
    assert np.isfinite(min_max_scaled(cosine_scores(np.zeros((4, 3))))).all()


def test_the_majority_counts() -> None:
    embeddings, _ = speakers(3, 60)
    affinity = min_max_scaled(cosine_scores(embeddings))
    search = NmeSearch(8, majority=True)
    counts = [candidate.speakers for candidate in search.candidates(affinity)]
    assert search.run(affinity)[0] == max(set(counts), key=lambda count: (counts.count(count), -count))


def scales() -> tuple[list[Any], list[Any], Any]:
    """Windows of 1 s every 0.5 s under windows of 1.5 s every 1 s; two speakers in turns of 5 s."""
    base, who = speakers(2, 60)
    coarse = base.reshape(60, 2, -1).mean(axis=1)
    starts = np.arange(120) * 0.5
    return [coarse, base], [np.stack([starts[::2], starts[::2] + 1.5], 1), np.stack([starts, starts + 1], 1)], who


def test_several_scales() -> None:
    embeddings, times, who = scales()
    clusterer = NmescClusterer()
    assert agreement(clusterer.fit_predict_scales(embeddings, times), who) == 1.0
    assert agreement(clusterer.fit_predict_scales(embeddings, times, [0.5, 1.0]), who) == 1.0
    assert len(set(clusterer.fit_predict_scales(embeddings, times, count=SpeakerCount.of(3)))) == 3
    assert set(clusterer.fit_predict_scales(embeddings, times, count=SpeakerCount.of(1))) == {0}


def test_scales_that_do_not_fit_together() -> None:
    embeddings, times, _ = scales()
    with pytest.raises(ConfigError, match="2 scales, 1 lists of times"):
        NmescClusterer().fit_predict_scales(embeddings, times[:1])
    with pytest.raises(ConfigError, match="0 scales"):
        NmescClusterer().fit_predict_scales([], [])
    with pytest.raises(ConfigError, match="give a start and an end for each"):
        NmescClusterer().fit_predict_scales(embeddings, times[::-1])
    with pytest.raises(SpeakerCountError):
        NmescClusterer().fit_predict_scales(embeddings, times, count=SpeakerCount.of(121))


def test_the_first_of_two_equally_near_windows() -> None:
    times = np.array([[0.0, 2.0], [2.0, 4.0], [2.0, 4.0]])
    base = np.array([[0.0, 1.0], [1.0, 3.0], [2.6, 3.6], [8.0, 9.0]])
    assert nearest_windows(times, base).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "options",
    [
        {"max_num_speakers": 0},
        {"max_rp_threshold": 0.0},
        {"max_rp_threshold": 1.1},
        {"fixed_thres": -1.0},
        {"sparse_search_volume": 1},
        {"nme_mat_size": 0},
        {"enhanced_count_thres": -1},
        {"kmeans_random_trials": 0},
    ],
)
def test_options_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(options))}="):
        NmescClusterer(**options)
