"""Enrolled voices as a value: scores, and who gets which name."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from speakerdiar.errors import InputError
from speakerdiar.voiceprint import Voiceprints, check_name, numbered

SIZE = 3
numbers = st.floats(-1, 1, width=32).map(lambda value: round(value, 3))
vector_rows = arrays(np.float32, st.tuples(st.integers(0, 4), st.just(SIZE)), elements=numbers)
centres = st.none() | arrays(np.float32, SIZE, elements=st.floats(-0.5, 0.5, width=32))


@st.composite
def voices(draw: st.DrawFn) -> Voiceprints:
    """Up to four voices, with a centre or without."""
    rows = draw(vector_rows)
    heard = rows[np.linalg.norm(rows, axis=1) > 0]
    names = ["Ana", "Ben", "Cleo", "Duncan"][: len(heard)]
    return Voiceprints(tuple(names), heard, draw(centres))


def best_total(gain: NDArray[np.float64]) -> float:
    """The greatest sum of gains of all ways to pair rows and columns, by trying each."""
    rows, columns = gain.shape
    padded = np.zeros((rows, columns + rows))
    padded[:, :columns] = np.maximum(gain, 0)
    ways = permutations(range(columns + rows), rows)
    return max(float(sum(padded[row, column] for row, column in enumerate(way))) for way in ways)


@given(voices(), vector_rows, st.floats(-1, 1))
def test_names_go_once_each_to_those_above_the_threshold_at_the_greatest_gain(
    known: Voiceprints, vectors: NDArray[np.float32], threshold: float
) -> None:
    found = known.assigned(vectors, threshold)
    scores = known.scores(vectors)
    names = [name for name, _ in found.values()]
    assert len(set(names)) == len(names)
    for row, (name, score) in found.items():
        assert score == scores[row, known.names.index(name)] >= threshold
        assert vectors[row].any()
    heard = vectors[vectors.any(axis=1)]
    gain = known.scores(heard) - threshold
    assert sum(score - threshold for _, score in found.values()) == pytest.approx(best_total(gain), abs=1e-6)


@given(voices(), vector_rows, st.floats(0.125, 8, width=32))
def test_scores_are_cosines_that_loudness_does_not_change(
    known: Voiceprints, vectors: NDArray[np.float32], factor: float
) -> None:
    scores = known.scores(vectors)
    assert scores.shape == (len(vectors), len(known))
    assert (np.abs(scores) <= 1).all()
    plain = Voiceprints(known.names, known.vectors)
    np.testing.assert_allclose(plain.scores(vectors * factor), plain.scores(vectors), atol=1e-4)


def test_a_voice_scores_1_with_itself_from_any_centre_on() -> None:
    rows = np.array([[1, 0, 0], [0.6, 0.8, 0]], np.float32)
    for centre in (None, np.array([0.5, 0.3, 0.1], np.float32)):
        scores = Voiceprints(("Ana", "Ben"), 5 * rows, centre).scores(rows)
        np.testing.assert_allclose(np.diag(scores), 1, atol=1e-6)
    assert Voiceprints(("Ana", "Ben"), rows).scores(rows)[0, 1] == pytest.approx(0.6)


def test_the_centre_takes_off_what_all_voices_share() -> None:
    rows = np.array([[1, 0.1, 0], [1, 0, 0.1]], np.float32)
    known = Voiceprints(("Ana", "Ben"), rows, np.array([0.995, 0.05, 0.05], np.float32))
    assert Voiceprints(("Ana", "Ben"), rows).scores(rows)[0, 1] > 0.98
    assert known.scores(rows)[0, 1] < -0.9


def test_who_was_not_heard_is_nobody() -> None:
    known = Voiceprints.of({"Ana": [1.0, 0.0], "Ben": [0.0, 1.0]})
    unheard = np.array([[0, 0], [np.nan, 1]], np.float32)
    assert known.scores(unheard).tolist() == [[-1, -1], [-1, -1]]
    assert known.assigned(unheard, -1) == {}


@pytest.mark.parametrize("centre", [None, np.ones(2, np.float32)])
def test_nobody_or_no_voices_give_no_names(centre: NDArray[np.float32] | None) -> None:
    known = Voiceprints(("Ana",), np.array([[1, 0]], np.float32), centre)
    assert known.assigned(np.zeros((0, 0)), 0.5) == {}
    nobody = Voiceprints((), np.zeros((0, 0), np.float32), centre)
    assert len(nobody) == 0
    assert nobody.assigned(np.ones((3, 2)), 0.5) == {}


def test_the_nearest_gets_the_name_and_a_score_at_the_threshold_counts() -> None:
    known = Voiceprints.of({"Ana": [1.0, 0.0]})
    vectors = np.array([[0.8, 0.6], [0.6, 0.8], [1, 0]])
    assert known.assigned(vectors, 0.5) == {2: ("Ana", 1.0)}
    assert list(known.assigned(vectors[:1], 0.8)) == [0]
    assert list(known.assigned(vectors[:1], 0.81)) == []


@pytest.mark.parametrize(
    ("names", "vectors", "said"),
    [
        (("Ana", "Ana"), np.eye(2), "Two voices are called 'Ana'"),
        (("Ana",), np.eye(2), r"shape \(2, 2\) for 1 names"),
        (("Ana",), np.array([[np.inf, 1]]), "finite numbers"),
        (("Ana",), np.zeros((1, 2)), "The vector of 'Ana' is all zeros"),
        (("SPEAKER_07",), np.eye(1), "stand for unknown speakers"),
    ],
)
def test_what_are_no_voices_is_refused(names: tuple[str, ...], vectors: NDArray[np.float32], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Voiceprints(names, vectors)


def test_vectors_of_two_sizes_are_refused_with_the_sizes() -> None:
    with pytest.raises(InputError, match="Ana 2, Ben 3"):
        Voiceprints.of({"Ana": [1, 0], "Ben": [1, 0, 0]})


@pytest.mark.parametrize("name", ["Ana", "Ana María", "話者", "SPEAKER", "SPEAKER_1a", "O'Neill"])
def test_names_that_can_be(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "  ", "a\tb", "a\u2028b", "SPEAKER_00", "PERSON_12", None, 7])
def test_names_that_cannot_be(name: object) -> None:
    with pytest.raises(InputError, match="name="):
        check_name(name)


def test_the_unknown_are_numbered_in_order() -> None:
    assert numbered(["c", "a", "b"], {"a": "Ana"}) == {"a": "Ana", "c": "SPEAKER_00", "b": "SPEAKER_01"}
