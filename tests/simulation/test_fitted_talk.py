"""Plans with fitted parameters measure what the references do, which those with measured ones don't."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import InputError
from speakerdiar.formats import rttm
from speakerdiar.simulation import TurnTaking
from speakerdiar.simulation.fitted_talk import fitted, proportioned
from speakerdiar.simulation.turn_taking import KINDS

# Meetings: overlap far longer than many turns are.
MEETING = TurnTaking(
    0.11, 0.24, 0.21, 0.44, hold_pause=2.4, switch_pause=1.2, overlap=1.8, turn_length=6, turn_spread=1.2,
    backchannel_length=1.3, shortest=0.1,
)  # fmt: skip


def planned(talk: TurnTaking, seed: int, speakers: int = 4) -> list[Diarization]:
    plans = [talk.plan(speakers, 1200, np.random.default_rng([seed, index])) for index in range(6)]
    return [
        Diarization(str(index), 1200, tuple(Turn(turn.start, turn.end, str(turn.speaker)) for turn in plan))
        for index, plan in enumerate(plans)
    ]


def overlap(recordings: list[Diarization]) -> float:
    """Share of the speech."""
    shared, speech = (
        sum(part.duration for one in recordings for part in getattr(one, kind)) for kind in ("overlap", "speech")
    )
    return float(shared / speech)


def test_plans_measure_what_the_references_do() -> None:
    references = planned(MEETING, 1)
    real = proportioned(TurnTaking.measured(references))
    talk = fitted(references)
    found = planned(talk, 2)
    assert overlap(planned(real, 2)) < 0.75 * overlap(references), "what is measured gives too little overlap"
    assert overlap(found) == pytest.approx(overlap(references), rel=0.15)
    again = proportioned(TurnTaking.measured(found))
    for name in ("hold_pause", "switch_pause", "overlap", "turn_length", "backchannel_length"):
        assert getattr(again, name) == pytest.approx(getattr(real, name), rel=0.25), name
    for kind in KINDS:
        assert getattr(again, kind) == pytest.approx(getattr(real, kind), abs=0.05), kind


def test_the_same_turns_give_the_same_parameters() -> None:
    references = planned(TurnTaking(), 3)[:1]
    one, same = fitted(references), fitted(references)
    assert one == same
    assert sum(getattr(one, kind) for kind in KINDS) == pytest.approx(1)


def test_what_never_happens_stays_away() -> None:
    talk = fitted(planned(TurnTaking(interruption=0, backchannel=0), 4)[:1])
    assert (talk.interruption, talk.backchannel, talk.overlap) == (0, 0, 0)
    alone = fitted(planned(TurnTaking(), 5, speakers=1)[:1])
    assert (alone.turn_hold, alone.turn_switch) == (1, 0)


def test_turns_of_minutes_are_fitted_too() -> None:
    turns = (Turn(0, 1000, "a"), Turn(1001, 2400, "b"), Turn(2402, 3600, "a"))
    assert fitted([Diarization("talk", 3600, turns)]).turn_length == pytest.approx(1298, rel=0.3)


def test_references_without_any_sequence_measure_nothing() -> None:
    with pytest.raises(InputError, match="No reference has two turns"):
        fitted([])


def test_meetings_of_real_people(shared: Path) -> None:
    references = [rttm.load(path)[0] for path in sorted((shared / "rttm/ami").glob("*.rttm"))[::20]]
    talk = fitted(references)
    assert overlap(planned(talk, 6)) == pytest.approx(overlap(references), rel=0.2)
    assert all(value >= 0 for value in asdict(talk).values())
