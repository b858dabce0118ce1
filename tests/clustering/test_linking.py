"""Who is who across recordings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar.clustering import neighbours
from speakerdiar.clustering.affinity import directions
from speakerdiar.clustering.linking import Persons, link, means_of
from speakerdiar.errors import ConfigError

SIZE = 8


def scene(
    seed: int, count: int, people: int, recordings: int, scatter: float
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Vectors (count, SIZE), recordings, seconds, and who they are, at random; a recording may have a person twice."""
    random = np.random.default_rng(seed)
    who = random.integers(0, people, count)
    centres = directions(random.normal(size=(people, SIZE)))
    vectors = centres[who] + scatter / np.sqrt(SIZE) * random.normal(size=(count, SIZE))
    return vectors, random.integers(0, recordings, count), random.uniform(0, 30, count), who


scenes = st.builds(
    scene,
    st.integers(0, 10**6),
    st.integers(1, 24),
    st.integers(1, 8),
    st.integers(1, 20),
    st.floats(0.1, 2.0),
)


def alike(one: Any, other: Any) -> bool:
    """Whether two labelings are equal up to names."""
    return len({*zip(one, other, strict=True)}) == len(set(one)) == len(set(other))


def one_by_one(vectors: Any, recordings: Any, weights: Any, threshold: float) -> list[int]:
    """Merge the two most similar clusters, one after the other, as the words say."""
    units = directions(np.asarray(vectors, float))
    clusters = [[row] for row in range(len(units))]
    cosines, seconds = units @ units.T, np.asarray(weights)
    while True:
        best, found = threshold, None
        for at, one in enumerate(clusters):
            for place, other in enumerate(clusters[:at]):
                if {*recordings[one]}.isdisjoint(recordings[other]):
                    average = seconds[one] @ cosines[np.ix_(one, other)] @ seconds[other]
                    average /= seconds[one].sum() * seconds[other].sum()
                    if average >= best:
                        best, found = average, (place, at)
        if found is None:
            return [next(k for k, cluster in enumerate(clusters) if row in cluster) for row in range(len(units))]
        clusters[found[0]] += clusters.pop(found[1])


@given(scenes, st.floats(0.2, 0.95))
def test_it_is_average_linkage_under_the_rule(drawn: Any, threshold: float) -> None:
    vectors, recordings, weights, _ = drawn
    weights = weights + 0.1
    labels = link(vectors, recordings, weights, threshold=threshold, least_weight=0)
    assert alike(labels, one_by_one(vectors, recordings, weights, threshold))


@given(scenes, st.floats(0.05, 0.95), st.sampled_from([0, 1000]))
def test_nobody_is_twice_in_a_recording(drawn: Any, threshold: float, exact_limit: int) -> None:
    vectors, recordings, weights, _ = drawn
    labels = link(vectors, recordings, weights, threshold=threshold, exact_limit=exact_limit)
    assert len({*zip(recordings, labels, strict=True)}) == len(labels)
    first = list(dict.fromkeys(labels.tolist()))
    assert first == list(range(len(first)))


@given(scenes, st.floats(0.2, 0.95), st.randoms(use_true_random=False))
def test_order_changes_only_the_labels(drawn: Any, threshold: float, random: Any) -> None:
    vectors, recordings, weights, _ = drawn
    order = list(range(len(vectors)))
    random.shuffle(order)
    labels = link(vectors, recordings, weights, threshold=threshold)
    shuffled = link(vectors[order], recordings[order], weights[order], threshold=threshold)
    assert alike(shuffled, labels[order])


@given(scenes)
def test_at_threshold_one_everyone_is_alone(drawn: Any) -> None:
    vectors, recordings, weights, _ = drawn
    assert link(vectors, recordings, weights, threshold=1).tolist() == list(range(len(vectors)))


def test_a_search_agrees_on_well_separated_people() -> None:
    random = np.random.default_rng(3)
    centres = directions(random.normal(size=(100, 64)))
    who = random.permutation(np.arange(700) % 100)
    vectors = centres[who] + 0.3 / 8 * random.normal(size=(700, 64))
    recordings, weights = np.arange(700), random.uniform(5, 30, 700)
    exact = link(vectors, recordings, weights, threshold=0.6)
    assert alike(exact, who)
    searched = link(vectors, recordings, weights, threshold=0.6, exact_limit=50)
    np.testing.assert_array_equal(searched, exact)


def test_a_person_of_more_parts_than_neighbours_are_kept_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "LINKS", 0)
    monkeypatch.setattr(neighbours, "DEGREE", 4)
    random = np.random.default_rng(4)
    centres = directions(random.normal(size=(4, 64)))
    # Each person on two microphones, so that nearest neighbours are always of the same one.
    microphones = np.repeat(directions(random.normal(size=(2, 64))), 2, axis=0)[np.arange(400) % 4]
    who = np.arange(400) % 2
    vectors = centres[who] + 0.4 * microphones + 0.01 * random.normal(size=(400, 64))
    labels = link(vectors, np.arange(400), np.full(400, 10.0), threshold=0.7)
    assert alike(labels, who)


def test_many_copies_of_a_voice_are_one_person() -> None:
    copies = np.tile(np.arange(1.0, 9.0), (200, 1))
    assert not link(copies, np.arange(200), np.full(200, 9.0), threshold=0.99).any()
    two = link(copies[:4], [0, 0, 1, 1], np.full(4, 9.0), threshold=0.99)
    assert sorted(two[:2]) == sorted(two[2:]) == [0, 1]


def test_short_speech_joins_but_never_decides() -> None:
    angles = np.radians([0, 50, 24, 27])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # The third would make the first two one person, as the similarity to either is great enough.
    assert link(vectors[:3], [0, 1, 2], [9, 9, 9], threshold=0.75).tolist() == [0, 0, 0]
    assert link(vectors[:3], [0, 1, 2], [9, 9, 1], threshold=0.75).tolist() == [0, 1, 0]
    # Two of one recording don't join one person: the more similar one does, and the other finds another.
    assert link(vectors, [0, 1, 2, 2], [9, 9, 1, 1], threshold=0.75).tolist() == [0, 1, 0, 1]
    assert link(vectors[2:], [0, 1], [1, 1], threshold=0.75).tolist() == [0, 1]


def test_the_unheard_stay_alone() -> None:
    vectors = np.array([[1, 0], [0, 0], [0, 0], [np.nan, 1], [1, 0.1]])
    assert link(vectors, np.arange(5), np.full(5, 9), threshold=0.1).tolist() == [0, 1, 2, 3, 0]
    assert link(np.zeros((0, 4)), [], [], threshold=0.5).tolist() == []


def test_known_persons_keep_their_labels_and_take_in_new_speakers() -> None:
    vectors, recordings, weights, _ = scene(7, 60, 5, 60, 0.3)
    recordings, weights = np.arange(60), weights + 3
    before = link(vectors[:40], recordings[:40], weights[:40], threshold=0.6)
    count = int(before.max()) + 1
    known = means_of(vectors[:40], weights[:40], before, count)
    after = link(vectors[40:], recordings[40:], weights[40:], threshold=0.6, known=known)
    together = link(vectors, recordings, weights, threshold=0.6)
    assert (after < count).mean() > 0.8
    np.testing.assert_array_equal(np.concatenate([before, after]), together)
    # What is known in two steps is what is known in one.
    most = int(together.max()) + 1
    steps = means_of(vectors[40:], weights[40:], after, most, known=known)
    at_once = means_of(vectors, weights, together, most)
    np.testing.assert_allclose(steps.means, at_once.means, atol=1e-12)
    np.testing.assert_allclose(steps.weights, at_once.weights)


def test_known_persons_never_merge() -> None:
    known = Persons(np.array([[1.0, 0], [0.99, 0.14]]), np.array([9.0, 9.0]))
    assert link([[1, 0.07]], [0], [9], threshold=0.5, known=known)[0] in (0, 1)
    assert link([[1, 0.0], [0.99, 0.14]], [0, 1], [9, 9], threshold=0.9, known=known).tolist() == [0, 1]
    assert link([[0, 1.0]], [0], [9], threshold=0.9, known=known).tolist() == [2]


def test_what_is_certain_stays_and_counts() -> None:
    nobody = Persons(np.zeros((1, 2)), np.zeros(1))
    vectors, seconds = np.array([[1, 0], [0, 1], [0.1, 1], [1, 0.1], [1, -0.1]]), np.full(5, 9)
    labels = link(vectors, [0, 1, 2, 3, 0], seconds, threshold=0.9, known=nobody, fixed=[0, -1, -1, -1, -1])
    # The last would be the first's, but is of the same recording.
    assert labels.tolist() == [0, 1, 1, 0, 2]
    moved = link(vectors, [0, 1, 2, 3, 0], seconds, threshold=0.6, known=nobody, fixed=[0, 0, -1, -1, -1])
    assert moved[:2].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"threshold": 1.5}, "threshold=1.5"),
        ({"threshold": float("nan")}, "threshold=nan"),
        ({"vectors": [1, 2]}, r"vectors of shape \(2,\)"),
        ({"weights": [1.0]}, r"weights of shape \(1,\) for 2"),
        ({"weights": [1.0, np.nan]}, "weights: give finite"),
        ({"weights": [1.0, -1]}, "weights: give finite"),
        ({"recordings": [0.5, 1]}, "recordings of type float64"),
        ({"recordings": [-1, 1]}, "0 or more"),
        ({"known": Persons(np.zeros((1, 3)), np.ones(1))}, "3 dimensions"),
        ({"fixed": [0, -1]}, "fixed=0: there are 0 known"),
        ({"fixed": [0, 0], "recordings": [1, 1], "known": Persons(np.eye(2), np.ones(2))}, "two speakers of one"),
    ],
)
def test_what_does_not_fit_is_refused(changed: dict[str, Any], said: str) -> None:
    arguments: dict[str, Any] = {"vectors": np.eye(2), "recordings": [0, 1], "weights": [9, 9], "threshold": 0.5}
    with pytest.raises(ConfigError, match=said):
        link(**(arguments | changed))
