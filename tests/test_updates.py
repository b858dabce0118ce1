"""Updates of a live diarization: what they accept, and what they come to."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import InputError
from speakerdiar.updates import SampleChunk, StreamEvent, StreamingUpdate, joined


def test_turns_of_an_update_are_sorted_and_kept_as_they_are() -> None:
    turns = [Turn(2, 3, "A"), Turn(1, 4, "B")]
    names = {"C": "A"}
    update = StreamingUpdate(5, turns, turns, 4, names, [])  # type: ignore[arg-type]
    names["C"] = "B"
    assert update.final == update.tentative == (Turn(1, 4, "B"), Turn(2, 3, "A"))
    assert update.relabelled == {"C": "A"}
    assert (update.time, update.final_until, update.events) == (5.0, 4.0, ())


def test_an_update_becomes_plain_values() -> None:
    update = StreamingUpdate(
        5.0,
        (Turn(0, 1, "A", 0.5),),
        (Turn(2, 3, "B"),),
        2.0,
        {"C": "A"},
        (StreamEvent("gap", 1.0, 0.5, "lost"),),
    )
    assert json.loads(json.dumps(update.to_json())) == {
        "time": 5.0,
        "final": [{"start": 0.0, "end": 1.0, "speaker": "A", "confidence": 0.5}],
        "tentative": [{"start": 2.0, "end": 3.0, "speaker": "B"}],
        "final_until": 2.0,
        "relabelled": {"C": "A"},
        "events": [{"kind": "gap", "time": 1.0, "seconds": 0.5, "message": "lost"}],
    }


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "soon", None])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda value: StreamingUpdate(value), "time"),
        (lambda value: StreamingUpdate(1.0, final_until=value), "final_until"),
        (lambda value: StreamEvent("gap", value, 0.0, ""), "time"),
        (lambda value: StreamEvent("gap", 0.0, value, ""), "seconds"),
        (lambda value: SampleChunk(np.zeros(1), lost=value), "lost"),
    ],
)
def test_what_is_no_length_of_time_is_refused(make: Any, name: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"{name}={value!r}: give seconds"):
        make(value)


def test_an_unknown_kind_of_event_is_refused() -> None:
    with pytest.raises(InputError, match="kind='pause': give one of gap, overrun, relabelled"):
        StreamEvent("pause", 0.0, 0.0, "")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "samples", [[0.0, 0.5], torch.tensor([0.0, 0.5]), torch.tensor([0.0, 0.5]).bfloat16(), np.array([0.0, 0.5])]
)
def test_samples_of_a_chunk_become_an_array(samples: Any) -> None:
    chunk = SampleChunk(samples, 1, 1)  # type: ignore[arg-type]
    np.testing.assert_array_equal(chunk.samples, [0.0, 0.5])
    assert (chunk.lost, chunk.overrun) == (1.0, True)


def test_samples_of_three_dimensions_are_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(1, 2, 3\)"):
        SampleChunk(np.zeros((1, 2, 3)))


def test_joined_gathers_the_final_turns_under_their_last_names() -> None:
    updates = [
        StreamingUpdate(2.0, (Turn(0, 1, "SPEAKER_00"),), (Turn(1, 2, "SPEAKER_01"),)),
        StreamingUpdate(4.0, (Turn(1, 3, "SPEAKER_01"), Turn(3, 4, "SPEAKER_02"))),
        StreamingUpdate(6.0, (Turn(4, 5, "SPEAKER_02"),), relabelled={"SPEAKER_01": "SPEAKER_00"}),
    ]
    assert joined(updates, "talk") == Diarization(
        "talk",
        6.0,
        (Turn(0, 1, "SPEAKER_00"), Turn(1, 3, "SPEAKER_00"), Turn(3, 4, "SPEAKER_01"), Turn(4, 5, "SPEAKER_01")),
    )


def test_joined_keeps_the_clock_of_a_part() -> None:
    part = joined([StreamingUpdate(1.1 + 0.7, (Turn(1.2, 1.8, "SPEAKER_00"),))], offset=1.1)
    assert (part.offset, part.duration, part.recording_id) == (1.1, 0.7, "stream")


def test_nothing_joined_is_nothing() -> None:
    assert joined([], offset=3.0) == Diarization("stream", 0.0, (), 3.0)
