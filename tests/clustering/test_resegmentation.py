"""A second look at labels in the order of time."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.clustering.resegmentation import best_path, resegment


@given(st.integers(1, 6), st.integers(1, 3), st.integers(0, 10_000))
def test_no_path_is_worth_more(places: int, labels: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    scores, cost = random.normal(size=(places, labels)), random.uniform(0, 1, size=places)

    def worth(path: tuple[int, ...]) -> float:
        changes = sum(cost[at] for at in range(1, places) if path[at] != path[at - 1])
        return float(sum(scores[at, label] for at, label in enumerate(path)) - changes)

    best = max(worth(path) for path in itertools.product(range(labels), repeat=places))
    assert np.isclose(worth(tuple(best_path(scores, cost).tolist())), best)


def test_a_stray_label_joins_its_neighbours_and_a_real_change_stays() -> None:
    voices = np.eye(2)[[0, 0, 0, 0, 1, 1, 1, 1]] + 0.01
    voices[2] = [0.55, 0.6]  # between the two
    labels = np.array([0, 0, 1, 0, 1, 1, 1, 1])
    found = resegment(voices, labels, np.full(8, 0.1))
    assert found.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_no_cluster_is_emptied() -> None:
    voices = np.array([[1.0, 0.0], [0.9, 0.1], [1.0, 0.05], [0.95, 0.0]])
    labels = np.array([0, 1, 0, 0])
    assert resegment(voices, labels, np.full(4, 5.0)).tolist() == labels.tolist()


def test_silent_windows_and_means_of_nothing_are_no_error() -> None:
    voices = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    found = resegment(voices, np.array([0, 0, 0, 1, 1]), np.full(5, 0.1))
    assert len(found) == 5
    assert set(found.tolist()) == {0, 1}


def test_one_cluster_and_none_stay() -> None:
    assert resegment(np.ones((3, 2)), np.zeros(3, np.int64), np.zeros(3)).tolist() == [0, 0, 0]
    assert resegment(np.ones((0, 2)), np.zeros(0, np.int64), np.zeros(0)).tolist() == []
