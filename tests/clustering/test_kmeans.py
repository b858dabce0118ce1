"""k-means, and the draws behind it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from clustering_agreement import agreement, speakers

from speakerdiar.clustering.draws import Draws
from speakerdiar.clustering.kmeans import kmeans


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_draws_are_pytorchs(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    draws = Draws(seed)
    assert draws.below(1000) == int(torch.randint(0, 1000, (1,), generator=generator))
    np.testing.assert_array_equal(draws.uniform(30), torch.rand(30, generator=generator).numpy())
    for shape in [(1, 32), (10, 32), (7, 5), (16,), (3, 11)]:
        expected = torch.randn(shape, generator=generator).numpy()
        np.testing.assert_allclose(draws.normal(*shape), expected, atol=2e-6)


def test_few_normal_draws() -> None:
    values = np.concatenate([Draws(seed).normal(12) for seed in range(500)])
    assert abs(values.mean()) < 0.05
    assert values.std() == pytest.approx(1, abs=0.05)


def test_blobs_are_found() -> None:
    points, who = speakers(5, 40, size=8)
    assert agreement(kmeans(points, 5, trials=3), who) == 1.0


def test_it_is_the_same_on_every_run() -> None:
    points = np.random.default_rng(0).normal(size=(200, 3))
    np.testing.assert_array_equal(kmeans(points, 6, seed=3), kmeans(points, 6, seed=3))


def test_more_trials_scatter_no_more() -> None:
    points = np.random.default_rng(0).normal(size=(200, 3))

    def scatter(trials: int) -> float:
        labels = kmeans(points, 6, trials=trials)
        return float(sum(((points[labels == k] - points[labels == k].mean(axis=0)) ** 2).sum() for k in range(6)))

    assert scatter(8) <= scatter(1)


def test_fewer_different_points_than_clusters() -> None:
    points = np.array([[0.0], [0.0], [1.0]])
    assert len(set(kmeans(points, 3))) == 2
    assert kmeans(np.zeros((4, 2)), 2).tolist() == [0, 0, 0, 0]
