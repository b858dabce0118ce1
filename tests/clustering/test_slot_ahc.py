"""Slots by agglomerative clustering: pyannote's walk along the dendrogram, options, and long recordings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from clustering_agreement import agreement, speakers
from slot_scenes import meeting, scene

from speakerdiar.clustering.slot_ahc import AhcSlots, pyannote_labels
from speakerdiar.config import SpeakerCount
from speakerdiar.errors import ConfigError


def groups(*sizes: int, noise: float = 0.05) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Unit vectors around as many axes as there are sizes."""
    axes = np.repeat(np.eye(12)[: len(sizes)], sizes, axis=0)
    vectors = axes + noise * np.random.default_rng(0).normal(size=axes.shape)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def sizes_of(vectors: Any, *counts: int | None, threshold: float = 0.7, least_size: int = 4) -> list[int]:
    labels = pyannote_labels(vectors, "centroid", threshold, least_size, SpeakerCount.of(*counts))
    return sorted(np.bincount(labels).tolist())


def test_small_clusters_join_large_ones() -> None:
    assert sizes_of(groups(10, 8, 6)) == [6, 8, 10]
    assert sum(sizes_of(groups(10, 8, 3))) == 21
    assert len(sizes_of(groups(10, 8, 3))) == 2
    assert sizes_of(groups(3, 3, 3), threshold=0.3) == [9]


def test_the_count_moves_the_cut() -> None:
    vectors = groups(10, 8, 6)
    assert len(sizes_of(vectors, 2)) == 2
    assert len(sizes_of(vectors, 1)) == 1
    assert len(sizes_of(vectors, None, None, 2)) == 2
    assert len(sizes_of(vectors, 3, threshold=2.0)) == 3
    assert len(sizes_of(vectors, None, 2, None, threshold=2.0)) == 2


def test_the_least_size_may_put_a_count_out_of_reach() -> None:
    vectors = groups(10, 8, 6)
    assert len(sizes_of(vectors, 7)) == 3
    made = scene(np.repeat(np.arange(3), 20)[:, None])
    assert len(made.clustered(AhcSlots(), 12, exact=True).centroids) < 12
    assert len(made.clustered(AhcSlots(), 12).centroids) == 12


@pytest.mark.parametrize("method", ["average", "complete", "single", "weighted", "centroid", "median", "ward"])
@pytest.mark.parametrize("exact", [False, True])
def test_every_method_tells_voices_apart(method: str, exact: bool) -> None:
    made = meeting(4, 40)
    found = made.clustered(AhcSlots(method=method, threshold=3.0 if method == "ward" else 0.7), exact=exact)
    talks = made.who >= 0
    assert agreement(found.labels[talks], made.who[talks]) == 1.0


def test_slots_of_a_window_may_be_one_speaker_unless_constrained() -> None:
    made = scene([[0, 0], [1, 1], [0, 1]] * 10)
    assert AhcSlots().constrained is False
    free, apart = made.clustered(AhcSlots()), made.clustered(AhcSlots(constrained=True))
    assert agreement(free.labels.ravel(), made.who.ravel()) == 1.0
    assert (apart.labels[:, 0] != apart.labels[:, 1]).all()


@pytest.mark.parametrize("counts", [(), (3,), (9,)])
def test_long_recordings_go_by_micro_clusters(counts: tuple[int, ...]) -> None:
    vectors, who = speakers(6, 100)
    made = scene(who[:, None], size=32)
    made.embeddings[:, 0] = vectors
    found, whole = (made.clustered(AhcSlots(max_exact=limit), *counts) for limit in (100, 5000))
    assert len(found.centroids) == len(whole.centroids) == (counts or (6,))[0]
    if counts != (9,):
        assert agreement(found.labels[:, 0], whole.labels[:, 0]) == 1.0


@pytest.mark.parametrize(
    "options", [{"method": "mean"}, {"threshold": -1.0}, {"min_cluster_size": 0}, {"max_exact": 1}]
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(options))}="):
        AhcSlots(**options)
