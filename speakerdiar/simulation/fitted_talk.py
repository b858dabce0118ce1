"""Parameters of turn taking with which plans come out as real talk is.

What is measured on real turns can't be put into a plan as it is: where a turn is too short for a back-channel or for
what an interruption shares, there is less overlap than was asked for. So plans are drawn and measured in turn, and what
is missing is asked for, too.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.simulation.turn_taking import KINDS, MOST_SPEAKERS, TurnTaking

ROUNDS = 6
PLANS, PLAN_TURNS = 8, 200
"""Drawn in each round: so many plans, each as long as so many mean turns."""
FITTED = (*KINDS, "hold_pause", "switch_pause", "overlap", "turn_length", "backchannel_length")
MOST_STEP = 2.0
"""Factor by which a parameter changes at most in a round."""


def proportioned(talk: TurnTaking) -> TurnTaking:
    """Return the same statistics with shares whose sum is 1."""
    total = sum(getattr(talk, kind) for kind in KINDS)
    return replace(talk, **{kind: getattr(talk, kind) / total for kind in KINDS})


def fitted(references: Iterable[Diarization]) -> TurnTaking:
    """Return the parameters with which plans have the statistics of real turns; the same turns give the same ones.

    Raises:
        InputError: no recording has two turns one after the other.
    """
    listed = list(references)
    real = talk = proportioned(TurnTaking.measured(listed))
    speakers = round(statistics.median(min(max(len(one.speakers), 1), MOST_SPEAKERS) for one in listed))
    for _ in range(ROUNDS):
        found = proportioned(TurnTaking.measured(_planned(talk, speakers)))
        talk = proportioned(replace(talk, **{name: _nearer(name, talk, real, found) for name in FITTED}))
    return talk


def _planned(talk: TurnTaking, speakers: int) -> Sequence[Diarization]:
    seconds = PLAN_TURNS * (talk.turn_length + max(talk.hold_pause, talk.switch_pause))
    plans = (talk.plan(speakers, seconds, np.random.default_rng([0, index])) for index in range(PLANS))
    return [
        Diarization(str(index), seconds, tuple(Turn(turn.start, turn.end, str(turn.speaker)) for turn in plan))
        for index, plan in enumerate(plans)
    ]


def _nearer(name: str, talk: TurnTaking, real: TurnTaking, found: TurnTaking) -> float:
    """Return a parameter changed by the factor that is still missing."""
    wanted, got = getattr(real, name), getattr(found, name)
    step = wanted / got if got > 0 else MOST_STEP
    return float(getattr(talk, name) * min(max(step, 1 / MOST_STEP), MOST_STEP))
