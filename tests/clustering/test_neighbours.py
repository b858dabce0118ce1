"""Pairs of similar vectors, all of them and searched."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from speakerdiar.clustering import neighbours
from speakerdiar.clustering.affinity import directions
from speakerdiar.clustering.neighbours import Near, near_pairs
from speakerdiar.errors import MissingExtraError


def voices(count: int, people: int = 20, scatter: float = 0.6, seed: int = 0) -> np.ndarray:
    """Vectors of length 1 (count, 32) of people who come in turn."""
    random = np.random.default_rng(seed)
    centres = directions(random.normal(size=(people, 32)))
    return directions(centres[np.arange(count) % people] + scatter / np.sqrt(32) * random.normal(size=(count, 32)))


def found(near: Near) -> set[tuple[int, int]]:
    return {*zip(near.queries.tolist(), near.targets.tolist(), strict=True)}


def all_pairs(targets: np.ndarray, queries: np.ndarray, least: float) -> set[tuple[int, int]]:
    return {(int(q), int(t)) for q, t in np.argwhere(queries @ targets.T >= least)}


def test_all_similar_pairs_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", 3000)  # several blocks
    targets, queries = voices(500), voices(70, seed=1)
    near = near_pairs(targets, queries, 0.2)
    assert all_pairs(targets, queries, 0.2) <= found(near) <= all_pairs(targets, queries, 0.1998)
    assert near.whole
    assert (np.diff(near.queries) >= 0).all()


def test_of_too_many_the_most_similar_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "LINKS", 0)
    monkeypatch.setattr(neighbours, "DEGREE", 5)
    vectors = voices(200)
    near = near_pairs(vectors, vectors, 0.5)
    assert not near.whole
    best = np.argsort(-(vectors @ vectors.T), axis=1)[:, :5]
    assert found(near) == {(row, int(column)) for row in range(200) for column in best[row]}


def test_a_search_finds_nearly_all_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", 100_000)
    vectors = voices(2000, people=200)
    shrunk = 0.95 * vectors[:700]
    near = near_pairs(vectors, shrunk, 0.5, exact_limit=100)
    true = all_pairs(vectors, shrunk, 0.5)
    assert len(found(near) & true) > 0.99 * len(true)
    assert len(found(near) - true) < 0.1 * len(true)  # the lengths of the targets aren't looked at
    assert not near.whole


def test_a_search_finds_the_same_each_time_and_leaves_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    import faiss

    before = faiss.omp_get_max_threads()
    vectors = voices(1500, people=100)
    one, other = (near_pairs(vectors, vectors, 0.5, exact_limit=10) for _ in range(2))
    np.testing.assert_array_equal(one.queries, other.queries)
    np.testing.assert_array_equal(one.targets, other.targets)
    assert faiss.omp_get_max_threads() == before


def test_nothing_is_near_nothing() -> None:
    none = np.zeros((0, 32))
    for targets, queries in ((none, voices(3)), (voices(3), none)):
        near = near_pairs(targets, queries, 0.1)
        assert (len(near.queries), len(near.targets), near.whole) == (0, 0, True)


def test_without_faiss_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    vectors = voices(30)
    assert near_pairs(vectors, vectors, 0.5, exact_limit=30).whole
    with pytest.raises(MissingExtraError, match=r'pip install "speakerdiar\[archive\]"'):
        near_pairs(vectors, vectors, 0.5, exact_limit=29)
