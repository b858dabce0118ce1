"""How windows are laid over speech, and whose time each one decides."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar.models.diarizers.windows import WindowPlan, Windows

PLAN = WindowPlan()


@st.composite
def stretches(draw: st.DrawFn) -> NDArray[np.float64]:
    """Sorted, disjoint stretches of speech of 0.15 s or more."""
    lengths = draw(st.lists(st.tuples(st.floats(0.05, 5), st.floats(0.15, 20)), min_size=1, max_size=6))
    ends = np.cumsum(np.array(lengths).ravel())
    return ends.reshape(-1, 2)


@given(stretches())
def test_windows_are_dense_of_right_length_and_in_order(regions: NDArray[np.float64]) -> None:
    windows = PLAN.lay(regions)
    lengths = np.diff(windows.spans)[:, 0]
    assert (lengths > PLAN.shortest - 1e-9).all()
    assert (lengths < PLAN.window + 1e-9).all()
    assert set(windows.owners.tolist()) == set(range(len(regions)))
    for owner, (start, end) in enumerate(regions):
        own = windows.spans[windows.owners == owner]
        assert (np.diff(own[:, 0]) <= PLAN.hop + 1e-6).all()
        if len(own) > 1:
            np.testing.assert_allclose([own[0, 0], own[-1, 1]], [start + PLAN.inset, end - PLAN.inset])


@given(stretches(), st.integers(0, 10_000))
def test_turns_cover_the_speech_once(regions: NDArray[np.float64], seed: int) -> None:
    windows = PLAN.lay(regions)
    labels = np.random.default_rng(seed).integers(0, 3, len(windows))
    turns = windows.turns(labels)
    assert sum(turn.duration for turn in turns) == pytest.approx(float(np.diff(regions).sum()))
    assert {turn.speaker for turn in turns} == {str(label) for label in labels}
    for before, after in itertools.pairwise(turns):
        assert before.end <= after.start
        assert before.end < after.start or before.speaker != after.speaker


def test_a_change_lies_half_way_between_the_middles() -> None:
    windows = Windows(np.array([[0.0, 1.6], [0.4, 2.0]]), np.zeros(2, np.int64), np.array([[0.0, 2.0]]))
    turns = windows.turns(np.array([0, 1]), np.array([0.5, 1.0]))
    assert [(turn.start, turn.end, turn.speaker, turn.confidence) for turn in turns] == [
        (0.0, 1.0, "0", 0.5),
        (1.0, 2.0, "1", 1.0),
    ]


def test_a_confidence_is_the_mean_by_time() -> None:
    windows = Windows(np.array([[0.0, 1.0], [2.0, 4.0]]), np.zeros(2, np.int64), np.array([[0.0, 4.0]]))
    [turn] = windows.turns(np.array([0, 0]), np.array([1.0, 0.0]))
    assert turn.confidence == pytest.approx(1.75 / 4)


def test_changes_cost_less_between_stretches() -> None:
    windows = PLAN.lay(np.array([[0.0, 3.0], [5.0, 5.5]]))
    assert windows.change_cost(0.1, 0.05).tolist() == [0.1] * (len(windows) - 1) + [0.05]


def test_no_speech_has_no_windows() -> None:
    windows = PLAN.lay(np.zeros((0, 2)))
    assert len(windows) == 0
    assert windows.turns(np.zeros(0, np.int64)) == ()


def test_halving_stops_at_the_shortest_window() -> None:
    plan = PLAN.halved().halved().halved()
    assert (plan.window, plan.hop) == (PLAN.shortest, PLAN.hop / 8)
