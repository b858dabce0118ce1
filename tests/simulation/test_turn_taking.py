"""Plans keep their promises for any statistics, and have those that were asked for."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.simulation import PlannedTurn, TurnTaking

TALK = TurnTaking(turn_hold=0.2, turn_switch=0.4, interruption=0.25, backchannel=0.15, overlap=0.25)
shares = st.floats(0, 1)
lengths = st.floats(0.05, 5)
statistics = st.builds(
    TurnTaking,
    turn_hold=st.floats(0.05, 1),
    turn_switch=shares,
    interruption=shares,
    backchannel=shares,
    hold_pause=st.floats(0, 2),
    switch_pause=st.floats(0, 2),
    overlap=st.floats(0, 3),
    turn_length=lengths,
    turn_spread=st.floats(0, 1.5),
    backchannel_length=lengths,
    shortest=st.floats(0.05, 0.5),
)


def planned(turns: tuple[PlannedTurn, ...], seconds: float) -> Diarization:
    return Diarization("talk", seconds, tuple(Turn(t.start, t.end, f"{t.speaker}") for t in turns))


@given(statistics, st.integers(1, 8), st.floats(0.5, 60), st.integers(0, 2**32))
def test_turns_lie_inside_and_no_one_overlaps_themselves(
    talk: TurnTaking, speakers: int, seconds: float, seed: int
) -> None:
    plan = talk.plan(speakers, seconds, np.random.default_rng(seed))
    assert list(plan) == sorted(plan, key=lambda turn: turn.start)
    assert all(0 <= turn.start < turn.end <= seconds + 1e-9 for turn in plan)
    assert all(turn.length >= min(talk.shortest, seconds) for turn in plan)
    assert {turn.speaker for turn in plan} <= set(range(speakers))
    for speaker in range(speakers):
        own = [turn for turn in plan if turn.speaker == speaker]
        assert all(after.start >= before.end - 1e-9 for before, after in pairwise(own))


def test_the_seed_decides() -> None:
    plans = [TALK.plan(3, 60, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


def test_what_was_asked_for_is_measured() -> None:
    plan = TALK.plan(2, 40_000, np.random.default_rng(0))
    found = TurnTaking.measured([planned(plan, 40_000)])
    total = found.turn_hold + found.turn_switch + found.interruption + found.backchannel
    # Some back-channels find no room; where one is dropped the other shares grow.
    assert found.turn_hold / total == pytest.approx(TALK.turn_hold, abs=0.02)
    assert found.turn_switch / total == pytest.approx(TALK.turn_switch, abs=0.03)
    assert found.interruption / total == pytest.approx(TALK.interruption, abs=0.03)
    assert found.backchannel / total == pytest.approx(TALK.backchannel, abs=0.03)
    assert found.hold_pause == pytest.approx(TALK.hold_pause, rel=0.05)
    assert found.switch_pause == pytest.approx(TALK.switch_pause, rel=0.05)
    assert found.turn_length == pytest.approx(TALK.turn_length, rel=0.05)
    assert found.turn_spread == pytest.approx(TALK.turn_spread, rel=0.06)
    assert found.overlap == pytest.approx(TALK.overlap, rel=0.1)


@pytest.mark.parametrize("speakers", [2, 3, 5])
def test_speakers_speak_as_much_as_asked(speakers: int) -> None:
    wanted = np.arange(1, speakers + 1) / np.arange(1, speakers + 1).sum()
    spoken = np.zeros(speakers)
    for turn in TALK.plan(speakers, 40_000, np.random.default_rng(0), shares=list(wanted)):
        spoken[turn.speaker] += turn.length
    assert spoken / spoken.sum() == pytest.approx(wanted, abs=0.03)


def test_without_interruptions_and_backchannels_nothing_overlaps() -> None:
    talk = TurnTaking(interruption=0, backchannel=0)
    plan = talk.plan(4, 2_000, np.random.default_rng(0))
    assert not planned(plan, 2_000).overlap
    assert {turn.speaker for turn in plan} == {0, 1, 2, 3}


def test_more_interruptions_overlap_more() -> None:
    rates = []
    for interruption in (0.1, 0.3, 0.9):
        talk = TurnTaking(interruption=interruption, backchannel=0)
        reference = planned(talk.plan(2, 5_000, np.random.default_rng(0)), 5_000)
        rates.append(sum(segment.duration for segment in reference.overlap))
    assert rates == sorted(rates)
    assert rates[-1] > 2 * rates[0] > 0


def test_kinds_of_transition_are_told_apart() -> None:
    turns = [(0, 10, "A"), (2, 3, "B"), (8, 12, "B"), (13, 14, "B"), (16, 18, "A")]
    found = TurnTaking.measured([Diarization("r", 20, tuple(Turn(*turn) for turn in turns))])
    assert (found.backchannel, found.interruption, found.turn_hold, found.turn_switch) == (1, 1, 1, 1)
    assert (found.backchannel_length, found.overlap, found.hold_pause, found.switch_pause) == (1, 2, 1, 2)
    assert found.turn_length == pytest.approx((4 + 1 + 2) / 3)
    assert found.shortest == 1


def test_one_turn_has_no_transitions() -> None:
    with pytest.raises(InputError, match="more turns"):
        TurnTaking.measured([Diarization("r", 2, (Turn(0, 1, "A"),)), Diarization("none", 2)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": -1}, "overlap=-1"),
        ({"turn_length": 0}, "turn_length=0"),
        ({"turn_hold": 0, "turn_switch": 0, "interruption": 0}, "never moves on"),
        ({"hold_pause": float("nan")}, "hold_pause=nan"),
    ],
)
def test_statistics_that_cannot_be(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TurnTaking(**options)


@pytest.mark.parametrize(
    ("speakers", "seconds", "wanted", "message"),
    [
        (0, 10, None, "1 to 8"),
        (9, 10, None, "1 to 8"),
        (2, 0, None, "seconds=0"),
        (2, 10, [1.0], "2 numbers above 0"),
        (2, 10, [1.0, 0.0], "2 numbers above 0"),
    ],
)
def test_plans_that_cannot_be(speakers: int, seconds: float, wanted: list[float] | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TALK.plan(speakers, seconds, np.random.default_rng(0), shares=wanted)
