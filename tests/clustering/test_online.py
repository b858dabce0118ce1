"""Clustering of a stream: known again, held back, merged aloud, and never more memory than agreed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar.clustering.ahc import AhcClusterer
from speakerdiar.clustering.base import ANY_COUNT
from speakerdiar.clustering.online import OnlineClusterer, OnlinePlan
from speakerdiar.config import SpeakerCount
from speakerdiar.errors import ConfigError

WIDTH = 8


def voice(speaker: int, count: int, seed: int = 0, noise: float = 0.05) -> NDArray[np.float32]:
    """Embeddings around a direction of the speaker's own."""
    random = np.random.default_rng([speaker, seed])
    return np.asarray(np.eye(WIDTH)[speaker] + random.normal(0, noise, (count, WIDTH)), dtype=np.float32)


def at_angle(degrees: float, count: int) -> NDArray[np.float32]:
    radians = math.radians(degrees)
    row = np.zeros(WIDTH, np.float32)
    row[:2] = math.cos(radians), math.sin(radians)
    return np.tile(row, (count, 1))


def online(count: SpeakerCount | None = None, **plan: Any) -> OnlineClusterer:
    return OnlineClusterer(AhcClusterer(), count or SpeakerCount(), OnlinePlan(**plan))


def follow(clusterer: OnlineClusterer, vectors: NDArray[np.float32], lot: int = 5) -> list[int]:
    """Push in lots, decide each at once; return all labels, under the names found last."""
    found: list[int] = []
    for start in range(0, len(vectors), lot):
        clusterer.push(vectors[start : start + lot])
        step = clusterer.label()
        clusterer.settle(step.labels)
        found = [step.relabelled.get(label, label) for label in found] + step.labels.tolist()
    return found


def test_voices_keep_their_labels() -> None:
    vectors = np.concatenate([voice(0, 10), voice(1, 10), voice(0, 5, 1), voice(2, 10), voice(1, 5, 1)])
    assert follow(online(), vectors) == [0] * 10 + [1] * 10 + [0] * 5 + [2] * 10 + [1] * 5


def test_a_new_voice_is_held_back_until_there_is_enough_of_it() -> None:
    clusterer = online(opening=3)
    follow(clusterer, voice(0, 10))
    clusterer.push(voice(1, 2))
    assert clusterer.label().labels.tolist() == [0, 0]
    assert clusterer.label(passing=voice(1, 5, 1)).labels.tolist() == [0] * 7  # what passes is no evidence
    clusterer.push(voice(1, 1, 2))
    assert clusterer.label().labels.tolist() == [1, 1, 1]
    assert list(clusterer.speakers) == [0]  # until that is decided
    clusterer.settle([1, 1, 1])
    assert list(clusterer.speakers) == [0, 1]


def test_the_first_voice_needs_no_more_than_a_window() -> None:
    clusterer = online()
    assert clusterer.label(passing=voice(0, 1)).labels.tolist() == [0]
    clusterer.settle([], opened=[0])
    clusterer.push(voice(0, 4, 1))
    assert clusterer.label().labels.tolist() == [0] * 4  # what had passed when it was decided is remembered
    assert len(clusterer) == 5


def bridged(patience: int) -> OnlineClusterer:
    """Two speakers far apart, known as 0 and 1."""
    clusterer = online(patience=patience)
    assert follow(clusterer, np.concatenate([at_angle(0, 10), at_angle(60, 10)])) == [0] * 10 + [1] * 10
    return clusterer


def test_two_who_turn_out_to_be_one_are_relabelled_after_a_while() -> None:
    clusterer = bridged(patience=12)
    told = []
    for _ in range(8):
        clusterer.push(at_angle(30, 5))
        found = clusterer.label()
        told.append(found.relabelled)
        clusterer.settle(found.labels)
    assert [step for step in told if step] == [{1: 0}]
    assert not any(told[:2])
    assert clusterer.speakers == (0,)
    assert set(follow(clusterer, at_angle(60, 5))) == {0}


def test_who_is_silent_is_not_taken_for_another() -> None:
    clusterer = bridged(patience=10)
    clusterer.push(at_angle(30, 9))  # both are one cluster now, but nobody of it goes on to speak
    found = clusterer.label()
    assert not found.relabelled
    clusterer.settle(found.labels)
    assert set(follow(clusterer, voice(5, 100))) == {2}
    assert list(clusterer.speakers) == [0, 1, 2]


def test_a_monologue_swallows_nobody() -> None:
    class Biased(AhcClusterer):
        """Gives up whoever has less than a fifth of all."""

        def fit_predict(
            self, embeddings: Any, count: SpeakerCount = ANY_COUNT, *, known: Any = None
        ) -> NDArray[np.int64]:
            labels = super().fit_predict(embeddings, count, known=known)
            return np.zeros_like(labels) if np.bincount(labels).min() < len(labels) / 5 else labels

    clusterer = OnlineClusterer(Biased(), plan=OnlinePlan(patience=5))
    talk = np.concatenate([at_angle(0, 10), at_angle(60, 10), at_angle(0, 100), at_angle(60, 40)])
    assert follow(clusterer, talk)[:120] == [0] * 10 + [1] * 10 + [0] * 100
    assert list(clusterer.speakers) == [0, 1]


def test_the_end_of_a_stream_has_no_time_to_wait() -> None:
    clusterer = bridged(patience=10_000)
    assert set(follow(clusterer, at_angle(30, 40))) <= {0, 1}
    assert list(clusterer.speakers) == [0, 1]
    clusterer.push(at_angle(30, 1))
    found = clusterer.label(last=True)
    assert found.relabelled == {1: 0}
    assert set(found.labels.tolist()) == {0}


@pytest.mark.parametrize("most", [1, 2, 3])
def test_never_more_speakers_than_asked_for(most: int) -> None:
    clusterer = online(SpeakerCount(1, most))
    labels = follow(clusterer, np.concatenate([voice(who, 10) for who in (0, 1, 2, 3, 1, 0)]))
    assert len(set(labels)) == len(clusterer.speakers) == most


def test_where_no_bound_is_asked_for_the_plan_has_one_that_merges_nobody() -> None:
    clusterer = online(speakers=3)
    labels = follow(clusterer, np.concatenate([voice(who, 30) for who in (0, 1, 2, 3)]))
    assert labels[:90] == [0] * 30 + [1] * 30 + [2] * 30
    assert set(labels[90:]) <= {0, 1, 2}


def test_a_lower_bound_is_asked_for_once_there_is_enough() -> None:
    alike = np.concatenate([at_angle(0, 20), at_angle(20, 10), at_angle(0, 10), at_angle(20, 10)])
    assert set(follow(online(), alike)) == {0}
    labels = follow(online(SpeakerCount(2, None), settling=20), alike)
    assert set(labels[:35]) == {0}
    assert labels[40:] == [1] * 10


def test_an_hour_of_another_voice_makes_nobody_forgotten() -> None:
    clusterer = online(recent=50, each=10)
    assert set(follow(clusterer, voice(0, 20), 10)) == {0}
    hour = np.concatenate([voice(1, 450, seed) for seed in range(20)])  # 9000 windows, 0.4 s apart
    assert set(follow(clusterer, hour, 30)) == {1}
    assert len(clusterer) == 50 + 2 * 10
    assert follow(clusterer, voice(0, 5, 9)) == [0] * 5


lots = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 5), st.integers(0, 3), st.floats(0, 1)), min_size=1, max_size=12
)


@settings(max_examples=40)
@given(lots=lots, most=st.integers(1, 4), noise=st.sampled_from([0.0, 0.05, 0.4]))
def test_memory_and_speakers_are_bounded(lots: list[tuple[int, int, int, float]], most: int, noise: float) -> None:
    clusterer = online(SpeakerCount(1, most), recent=10, each=3, patience=4)
    undecided, known = 0, set[int]()
    for seed, (count, who, passing, share) in enumerate(lots):
        clusterer.push(voice(who, count, seed, noise))
        found = clusterer.label(voice(who, passing, seed + 100, noise))
        undecided += count
        assert len(found.labels) == len(found.likeness) == undecided + passing
        assert all(later > earlier and later in known for later, earlier in found.relabelled.items())
        decide = round(share * undecided)
        clusterer.settle(found.labels[:decide])
        undecided -= decide
        known = set(clusterer.speakers)
        assert len(known) <= most
        assert set(found.labels[:decide].tolist()) <= known
        assert len(clusterer) <= 10 + 3 * most + undecided


def test_silence_is_like_nothing_and_breaks_nothing() -> None:
    clusterer = online()
    follow(clusterer, voice(0, 5))
    clusterer.push(np.zeros((2, WIDTH)))
    found = clusterer.label()
    assert found.labels.tolist() == [0, 0]
    assert found.likeness.tolist() == [0, 0]
    assert OnlineClusterer(AhcClusterer()).label().labels.tolist() == []


@pytest.mark.parametrize("vectors", [np.ones(3), np.full((2, WIDTH), np.nan), np.ones((2, WIDTH + 1))])
def test_embeddings_that_cannot_be_used(vectors: NDArray[np.float64]) -> None:
    clusterer = online()
    clusterer.push(voice(0, 3))
    with pytest.raises(ConfigError, match="embedding"):
        clusterer.push(vectors)


def test_only_what_was_labelled_can_be_settled() -> None:
    clusterer = online(SpeakerCount(1, 1))
    clusterer.push(voice(0, 2))
    with pytest.raises(ConfigError, match="only 2"):
        clusterer.settle([0, 0, 0])
    with pytest.raises(ConfigError, match="last round"):
        clusterer.settle([0, 1])


@pytest.mark.parametrize("option", [{"recent": 0}, {"each": 1.5}, {"claim": 0}, {"change_cost": -1}, {"opening": True}])
def test_plans_that_cannot_be_used(option: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(option))):
        OnlinePlan(**option)


def test_an_exact_number_is_an_upper_bound() -> None:
    vectors = np.concatenate([at_angle(0, 30), at_angle(20, 30)])
    assert set(follow(online(SpeakerCount.of(2), settling=5), vectors)) == {0}
    assert set(follow(online(SpeakerCount.of(2)), np.concatenate([voice(who, 10) for who in range(2)]))) == {0, 1}


def test_two_who_are_one_make_room_for_a_third() -> None:
    clusterer = OnlineClusterer(AhcClusterer(), SpeakerCount(1, 2), OnlinePlan(patience=60))
    assert set(follow(clusterer, np.concatenate([at_angle(0, 10), at_angle(60, 10)]))) == {0, 1}
    assert set(follow(clusterer, at_angle(30, 40))) <= {0, 1}
    clusterer.push(voice(5, 4))
    found = clusterer.label()
    assert found.relabelled == {1: 0}
    assert set(found.labels.tolist()) == {2}
