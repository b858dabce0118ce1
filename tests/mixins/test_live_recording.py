"""What a session makes of the steps that a model gives."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import FRAME
from fakes_streaming import Told

from speakerdiar.annotation import Turn
from speakerdiar.errors import InputError, ModelError
from speakerdiar.mixins import StreamStep
from speakerdiar.updates import StreamEvent

STEP = np.zeros(FRAME, np.float32)


def test_a_turn_that_ends_later_than_the_audio_waits_for_it() -> None:
    session = Told(StreamStep((Turn(0.0, 0.25, "SPEAKER_00"),), (), 0.3)).stream()
    first, second, third = (session.push(STEP) for _ in range(3))
    assert (first.final, first.tentative, first.final_until) == ((), (Turn(0.0, 0.1, "SPEAKER_00"),), 0.1)
    assert (second.final, second.tentative) == ((), (Turn(0.0, 0.2, "SPEAKER_00"),))
    assert (third.final, third.tentative, third.final_until) == ((Turn(0.0, 0.25, "SPEAKER_00"),), (), 0.3)


def test_turns_are_cut_off_where_the_audio_ends() -> None:
    turns = (Turn(0.05, 0.25, "SPEAKER_00"), Turn(0.1, 0.2, "SPEAKER_01"), Turn(-0.5, 0.05, "SPEAKER_02"))
    session = Told(StreamStep(turns)).stream()
    assert session.push(STEP).final == (Turn(0.0, 0.05, "SPEAKER_02"),)
    last = session.finish()
    assert last.final == (Turn(0.05, 0.1, "SPEAKER_00"),)
    assert (last.tentative, last.time, last.final_until) == ((), 0.1, 0.1)


def test_what_was_settled_stays_settled() -> None:
    session = Told(StreamStep(final_until=0.1), StreamStep(final_until=0.05)).stream()
    assert [session.push(STEP).final_until for _ in range(2)] == [0.1, 0.1]


def test_steps_of_one_push_come_to_one_update() -> None:
    session = Told(
        StreamStep((Turn(0.0, 0.1, "SPEAKER_00"),), (Turn(0.05, 0.1, "SPEAKER_01"),), 0.1),
        StreamStep((Turn(0.05, 0.2, "SPEAKER_01"),), (), 0.2),
    ).stream()
    update = session.push(np.tile(STEP, 2))
    assert update.final == (Turn(0.0, 0.1, "SPEAKER_00"), Turn(0.05, 0.2, "SPEAKER_01"))
    assert (update.tentative, update.final_until) == ((), 0.2)


def test_new_names_are_announced_and_reach_turns_that_were_not_given_yet() -> None:
    session = Told(
        StreamStep((Turn(0.0, 0.1, "SPEAKER_02"), Turn(0.0, 0.25, "SPEAKER_01"))),
        StreamStep((), (), 0.1, {"SPEAKER_02": "SPEAKER_01"}),
        StreamStep((), (), 0.1, {"SPEAKER_01": "SPEAKER_00"}),
    ).stream()
    update = session.push(np.tile(STEP, 3))
    assert update.final == (Turn(0.0, 0.1, "SPEAKER_00"), Turn(0.0, 0.25, "SPEAKER_00"))
    assert update.relabelled == {"SPEAKER_02": "SPEAKER_00", "SPEAKER_01": "SPEAKER_00"}
    assert [(event.kind, event.message) for event in update.events] == [
        ("relabelled", "SPEAKER_02 is SPEAKER_01: one and the same speaker."),
        ("relabelled", "SPEAKER_01 is SPEAKER_00: one and the same speaker."),
    ]
    after = session.push(STEP)
    assert (after.relabelled, after.events) == ({}, ())


def test_a_gap_and_an_overrun_are_told_once() -> None:
    session = Told().stream()
    session.push(STEP)
    update = session.push(STEP, lost=0.5, overrun=True)
    assert update.time == pytest.approx(0.7)
    assert update.events == (
        StreamEvent("gap", 0.1, 0.5, "0.500 s of audio are missing at 0.100 s: silence stands in for them."),
        StreamEvent("overrun", 0.1, 0.0, "The source was read too slowly and dropped audio at 0.100 s."),
    )
    assert session.push(STEP).events == ()


def test_a_last_step_that_leaves_something_open_is_an_error() -> None:
    session = Told(last=StreamStep((), (Turn(0.0, 0.1, "SPEAKER_00"),))).stream()
    session.push(STEP)
    with pytest.raises(ModelError, match=r"Told\._stream_step left 1 turns tentative in the last step"):
        session.finish()
    with pytest.raises(InputError, match=r"broke off .* reset\(\)"):
        session.push(STEP)


def test_a_model_that_needs_nothing_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"Told\._stream_need returned 0"):
        Told(need=0).stream().push(STEP)
