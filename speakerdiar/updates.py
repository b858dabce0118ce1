"""What live diarization gives and takes: updates, their events, and chunks of samples.

An update says what is new since the last one. Final turns are given once and never change; tentative turns are those
that may still change, all of them, anew in every update.

>>> from speakerdiar.updates import StreamingUpdate, joined
>>> from speakerdiar.annotation import Turn
>>> first = StreamingUpdate(time=2.0, tentative=(Turn(0.5, 2.0, "SPEAKER_00"),), final_until=1.0)
>>> last = StreamingUpdate(time=3.0, final=(Turn(0.5, 2.5, "SPEAKER_00"),), final_until=3.0)
>>> [(turn.start, turn.end) for turn in joined([first, last])]
[(0.5, 2.5)]
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import InputError
from speakerdiar.recording import as_array

EventKind: TypeAlias = Literal["gap", "overrun", "relabelled"]


@dataclass(frozen=True)
class StreamEvent:
    """Something that happened in a live stream and that its turns alone don't tell.

    Attributes:
        kind: "gap" (audio is missing; silence stands in for it), "overrun" (the source was read too slowly) or
            "relabelled" (a speaker was found to be another one).
        time: where it happened, in seconds on the clock of the turns.
        seconds: how long it lasted; 0 for what has no length.
        message: the event in words.
    """

    kind: EventKind
    time: float
    seconds: float
    message: str

    def __post_init__(self) -> None:
        if self.kind not in get_args(EventKind):
            raise InputError(f"kind={self.kind!r}: give one of {', '.join(get_args(EventKind))}.")
        _set_seconds(self, "time")
        _set_seconds(self, "seconds")

    def to_json(self) -> dict[str, Any]:
        """The event as plain Python values."""
        return {"kind": self.kind, "time": self.time, "seconds": self.seconds, "message": self.message}


@dataclass(frozen=True)
class StreamingUpdate:
    """What is new in a live diarization.

    All times are seconds on one clock. That of a live stream begins with it at 0; a part of a recording keeps the
    recording's own clock.

    Attributes:
        time: how far the audio has been heard; never goes back.
        final: complete turns that this update settles, sorted. They never change, and each is given once.
        tentative: all turns that may still change, sorted; they take the place of those of the update before.
        final_until: until when it is settled who speaks when; never goes back. The final turns so far and the tentative
            ones, cut off here, stay as they are: a tentative turn may begin earlier, and only its end is open.
        relabelled: speakers that were found to be another one. From now on, and for the turns of earlier updates, read
            the key as the value. The turns of this update have their new names already.
        events: what else happened.
    """

    time: float
    final: tuple[Turn, ...] = ()
    tentative: tuple[Turn, ...] = ()
    final_until: float = 0.0
    relabelled: Mapping[str, str] = field(default_factory=dict)
    events: tuple[StreamEvent, ...] = ()

    def __post_init__(self) -> None:
        _set_seconds(self, "time")
        _set_seconds(self, "final_until")
        object.__setattr__(self, "final", tuple(sorted(self.final)))
        object.__setattr__(self, "tentative", tuple(sorted(self.tentative)))
        object.__setattr__(self, "relabelled", dict(self.relabelled))
        object.__setattr__(self, "events", tuple(self.events))

    def to_json(self) -> dict[str, Any]:
        """The update as plain Python values; turns have the shape that they have in `Diarization.to_json`."""
        return {
            "time": self.time,
            "final": [_turn_entry(turn) for turn in self.final],
            "tentative": [_turn_entry(turn) for turn in self.tentative],
            "final_until": self.final_until,
            "relabelled": dict(self.relabelled),
            "events": [event.to_json() for event in self.events],
        }


@dataclass(frozen=True, eq=False)
class SampleChunk:
    """What a live source yields where bare samples don't tell all. Two objects are equal only if they are the same.

    Attributes:
        samples: (n,) or (n, channels); float in [-1, 1], or integers, which count by their range. n may be 0.
        lost: seconds of audio that are missing in front of the samples.
        overrun: whether the source was read too slowly and dropped something; `lost` says how much, where it knows.
    """

    samples: np.ndarray
    lost: float = 0.0
    overrun: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", as_array(self.samples))
        _set_seconds(self, "lost")
        object.__setattr__(self, "overrun", bool(self.overrun))


def joined(updates: Iterable[StreamingUpdate], recording_id: str = "stream", offset: float = 0.0) -> Diarization:
    """Return the diarization that a stream's updates come to: all final turns, under the names found last.

    Names are given by first appearance, as everywhere: where speakers were relabelled, those behind them move up.

    Args:
        updates: all updates of one stream, in order, the one of `finish` included.
        recording_id: id of the result.
        offset: where the stream's clock begins, in seconds; the offset of a recording that was read in part.
    """
    turns: list[Turn] = []
    time = offset
    for update in updates:
        if update.relabelled:
            turns = [replace(turn, speaker=update.relabelled.get(turn.speaker, turn.speaker)) for turn in turns]
        turns.extend(update.final)
        time = max(time, update.time)
    # Taking the offset off again leaves an error in the last bits of a float; the nanosecond is finer than any sample.
    duration = round(time - offset, 9) if offset else time
    return Diarization(recording_id, duration, tuple(turns), offset).renamed()


def _turn_entry(turn: Turn) -> dict[str, Any]:
    entry: dict[str, Any] = {"start": turn.start, "end": turn.end, "speaker": turn.speaker}
    if turn.confidence is not None:
        entry["confidence"] = turn.confidence
    return entry


def _set_seconds(value: object, name: str) -> None:
    """Make a field a float, and refuse what is no length of time."""
    seconds = getattr(value, name)
    try:
        number = float(seconds)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise InputError(f"{name}={seconds!r}: give seconds, 0 or more.")
    object.__setattr__(value, name, number)
