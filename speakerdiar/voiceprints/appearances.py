"""Who appears where in many recordings, for people and programs."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from speakerdiar.annotation import Diarization

COLUMNS = ("person", "recordings", "seconds", "turns", "first", "last", "together with")
SHOWN, PARTNERS = 50, 3
"""Of a table: persons at most, and how many of those they are heard with."""


@dataclass(frozen=True)
class Appearance:
    """Someone's part in many recordings.

    Attributes:
        person: their name.
        recordings: ids of the recordings that they speak in, in order.
        seconds: how long they speak in all.
        turns: how often.
        first: start of their first turn in the first of the recordings, in seconds.
        last: end of their last turn in the last of the recordings, in seconds.
        together: the others who speak in these recordings, and in how many of them; who is heard most comes first.
    """

    person: str
    recordings: tuple[str, ...]
    seconds: float
    turns: int
    first: float
    last: float
    together: tuple[tuple[str, int], ...]

    def to_json(self) -> dict[str, Any]:
        """The part as plain values."""
        return {
            "person": self.person,
            "seconds": round(self.seconds, 3),
            "turns": self.turns,
            "first": {"recording_id": self.recordings[0], "start": self.first},
            "last": {"recording_id": self.recordings[-1], "end": self.last},
            "recordings": list(self.recordings),
            "together": dict(self.together),
        }

    def row(self, partners: int | None = None) -> list[str]:
        """The part as text, a cell for each of the COLUMNS; of those heard with them, `partners` at most."""
        others = [f"{name} ({count})" for name, count in self.together[:partners]]
        more = len(self.together) - len(others)
        first, last = f"{self.recordings[0]} {self.first:.1f}", f"{self.recordings[-1]} {self.last:.1f}"
        counts = [str(len(self.recordings)), f"{self.seconds:.1f}", str(self.turns)]
        return [self.person, *counts, first, last, ", ".join([*others, *([f"{more} more"] if more else [])])]


@dataclass(frozen=True)
class WhoIsWhere:
    """Everyone who speaks in some recordings.

    Attributes:
        recordings: how many there are.
        people: who speaks, those of most recordings first, then those heard longest.
    """

    recordings: int
    people: tuple[Appearance, ...]

    @classmethod
    def of(cls, results: Iterable[Diarization]) -> WhoIsWhere:
        """Collect them from recordings whose speakers have the same names throughout."""
        listed = sorted(results, key=lambda result: result.recording_id)
        heard: dict[str, list[Diarization]] = {}
        together: dict[str, Counter[str]] = {}
        for result in listed:
            for name in result.speakers:
                heard.setdefault(name, []).append(result)
                together.setdefault(name, Counter())
            for one, other in combinations(result.speakers, 2):
                together[one][other] += 1
                together[other][one] += 1
        people = [_appearance(name, own, together[name]) for name, own in heard.items()]
        people.sort(key=lambda person: (-len(person.recordings), -person.seconds, person.person))
        return cls(len(listed), tuple(people))

    def to_json(self) -> dict[str, Any]:
        """Return all as plain values."""
        return {"version": 1, "recordings": self.recordings, "people": [person.to_json() for person in self.people]}

    def to_csv(self) -> str:
        """Return all as CSV (RFC 4180) with a header line, a line a person."""
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(COLUMNS)
        table.writerows(person.row() for person in self.people)
        return text.getvalue()

    def to_table(self) -> str:
        """Return the first `SHOWN` as plain text with aligned columns."""
        rows = [list(COLUMNS), *(person.row(PARTNERS) for person in self.people[:SHOWN])]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        again = sum(len(person.recordings) > 1 for person in self.people)
        left = len(self.people) - SHOWN
        return "\n".join(
            [
                *lines,
                *([f"and {left} more"] if left > 0 else []),
                "",
                f"{len(self.people)} persons in {self.recordings} recordings, {again} of them in more than one.",
            ]
        )


def _appearance(name: str, results: list[Diarization], together: Counter[str]) -> Appearance:
    turns = [[turn for turn in result if turn.speaker == name] for result in results]
    return Appearance(
        person=name,
        recordings=tuple(result.recording_id for result in results),
        seconds=sum(result.durations()[name] for result in results),
        turns=sum(map(len, turns)),
        first=turns[0][0].start,
        last=max(turn.end for turn in turns[-1]),
        together=tuple(sorted(together.items(), key=lambda item: (-item[1], item[0]))),
    )
