"""The template's promises, for every clusterer."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from clustering_agreement import agreement, speakers
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from speakerdiar.clustering import CLUSTERERS, ClustererMixin, make_clusterer
from speakerdiar.config import SpeakerCount
from speakerdiar.errors import ConfigError, SpeakerCountError, UnknownOptionError

every_clusterer = pytest.mark.parametrize("name", CLUSTERERS)


def is_in_order(labels: NDArray[np.int64]) -> bool:
    return bool(np.array_equal(np.unique(labels), np.unique(np.maximum.accumulate(labels)))) and labels[0] == 0


@every_clusterer
def test_speakers_far_apart_are_told_apart(name: str) -> None:
    embeddings, who = speakers(4, 60)
    labels = make_clusterer(name).fit_predict(embeddings)
    assert labels.dtype == np.int64
    assert agreement(labels, who) == 1.0
    assert is_in_order(labels)


@every_clusterer
@pytest.mark.parametrize("wanted", [1, 2, 3, 5, 7])
def test_the_exact_count_is_met(name: str, wanted: int) -> None:
    embeddings, _ = speakers(4, 30)
    labels = make_clusterer(name).fit_predict(embeddings, SpeakerCount.of(wanted))
    assert set(labels) == set(range(wanted))


@every_clusterer
def test_the_least_and_the_most_are_met(name: str) -> None:
    embeddings, _ = speakers(4, 30)
    clusterer = make_clusterer(name)
    assert len(set(clusterer.fit_predict(embeddings, SpeakerCount.of(most=3)))) == 3
    assert len(set(clusterer.fit_predict(embeddings, SpeakerCount.of(least=6)))) == 6
    assert len(set(clusterer.fit_predict(embeddings, SpeakerCount.of(least=2, most=6)))) == 4


@every_clusterer
@pytest.mark.parametrize("size", [2, 3, 7, 40, 300])
@pytest.mark.parametrize("value", [1.0, 0.0])
def test_identical_embeddings_still_give_the_count(name: str, size: int, value: float) -> None:
    embeddings = np.full((size, 8), value)
    clusterer = make_clusterer(name)
    assert len(set(clusterer.fit_predict(embeddings))) == 1
    for wanted in (2, size):
        assert len(set(clusterer.fit_predict(embeddings, SpeakerCount.of(wanted)))) == wanted


@every_clusterer
def test_zero_vectors_among_others(name: str) -> None:
    embeddings, who = speakers(2, 60)
    embeddings[::20] = 0
    labels = make_clusterer(name).fit_predict(embeddings, SpeakerCount.of(most=3))
    heard = np.arange(len(who)) % 20 != 0
    assert agreement(labels[heard], who[heard]) == 1.0


@every_clusterer
def test_one_speaker_is_one_cluster(name: str) -> None:
    embeddings, _ = speakers(1, 200, noise=0.5)
    assert len(set(make_clusterer(name).fit_predict(embeddings))) == 1


@every_clusterer
def test_none_and_one(name: str) -> None:
    clusterer = make_clusterer(name)
    assert clusterer.fit_predict(np.zeros((0, 8))).tolist() == []
    assert clusterer.fit_predict([]).tolist() == []
    assert clusterer.fit_predict(np.ones((1, 8))).tolist() == [0]


@every_clusterer
def test_nothing_is_kept_between_calls(name: str) -> None:
    clusterer = make_clusterer(name)
    first, second = speakers(3, 40)[0], speakers(5, 30, seed=1)[0]
    before = first.copy()
    alone = clusterer.fit_predict(first)
    clusterer.fit_predict(second, SpeakerCount.of(2))
    np.testing.assert_array_equal(clusterer.fit_predict(first), alone)
    np.testing.assert_array_equal(first, before)


@every_clusterer
def test_global_random_state_neither_matters_nor_changes(name: str) -> None:
    embeddings, _ = speakers(3, 12, noise=1.0)
    np.random.seed(1)
    one = make_clusterer(name).fit_predict(embeddings)
    drawn = np.random.random()
    np.random.seed(1)
    assert np.random.random() == drawn
    np.testing.assert_array_equal(make_clusterer(name).fit_predict(embeddings), one)


@every_clusterer
def test_more_speakers_than_embeddings_are_refused(name: str) -> None:
    with pytest.raises(SpeakerCountError, match=r"3 speakers were asked for, but .* only 2"):
        make_clusterer(name).fit_predict(np.ones((2, 4)), SpeakerCount.of(3))
    with pytest.raises(SpeakerCountError, match="only 1"):
        make_clusterer(name).fit_predict(np.ones((1, 4)), SpeakerCount.of(least=2))


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        (np.ones(4), r"shape \(4,\)"),
        (np.ones((2, 3, 4)), "give a matrix"),
        (np.array([[1.0, 2.0], [np.nan, 1.0]]), "embedding 1 has values that aren't finite"),
        (np.array([[np.inf, 2.0], [0.0, 1.0]]), "embedding 0"),
        (np.ones((3, 2), np.complex128), "give real numbers"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused(embeddings: NDArray[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_clusterer("ahc").fit_predict(embeddings)


@every_clusterer
@settings(max_examples=25, deadline=None)
@given(
    embeddings=hnp.arrays(
        np.float64, st.tuples(st.integers(2, 24), st.integers(1, 4)), elements=st.sampled_from([0.0, 1.0, -1.0, 0.3])
    ),
    data=st.data(),
)
def test_any_possible_count_is_met(name: str, embeddings: NDArray[np.float64], data: st.DataObject) -> None:
    least = data.draw(st.integers(1, len(embeddings)))
    most = data.draw(st.none() | st.integers(least, len(embeddings) + 2))
    labels = make_clusterer(name).fit_predict(embeddings, SpeakerCount(least, most))
    found = len(set(labels))
    assert labels.shape == (len(embeddings),)
    assert least <= found <= (most or len(embeddings))
    assert is_in_order(labels)
    assert set(labels) == set(range(found))


@every_clusterer
def test_scale_and_type_do_not_matter(name: str) -> None:
    embeddings, _ = speakers(3, 50)
    labels = make_clusterer(name).fit_predict(embeddings)
    for other in (embeddings.astype(np.float32), embeddings * 30, embeddings.astype(np.float16)):
        assert agreement(make_clusterer(name).fit_predict(other), labels) == 1.0


class OddAndEven(ClustererMixin):
    def _cluster(self, embeddings: NDArray[Any], count: SpeakerCount) -> NDArray[np.int64]:
        return np.arange(len(embeddings)) % 2 + 5


def test_a_hook_that_ignores_the_count_is_put_right() -> None:
    embeddings, _ = speakers(2, 20)
    assert OddAndEven().fit_predict(embeddings)[:4].tolist() == [0, 1, 0, 1]
    assert len(set(OddAndEven().fit_predict(embeddings, SpeakerCount.of(5)))) == 5
    assert len(set(OddAndEven().fit_predict(embeddings, SpeakerCount.of(1)))) == 1


def test_make_clusterer() -> None:
    made = make_clusterer("ahc", threshold=0.2)
    assert make_clusterer(made) is made
    with pytest.raises(ConfigError, match="Did you mean 'nmesc'"):
        make_clusterer("nmsec")
    with pytest.raises(ConfigError, match="made already: give threshold"):
        make_clusterer(made, threshold=0.3)
    with pytest.raises(UnknownOptionError, match="Did you mean 'threshold'"):
        make_clusterer("ahc", treshold=0.3)
    with pytest.raises(ConfigError, match="None: there is none"):
        make_clusterer(None)  # type: ignore[arg-type]


def test_importing_the_table_is_light() -> None:
    code = "import sys, speakerdiar.clustering; print([m for m in ('torch', 'scipy', 'sklearn') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
