"""Praat TextGrid in its long form: one interval tier a speaker; an interval with text is a turn, one without is not.

Times are written to the microsecond; a turn shorter than half of one isn't written. The intervals of a tier can't
overlap: turns of one speaker that do are joined. A TextGrid holds where the recording begins and ends, but not its id,
and no confidences.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import FormatError, InputError
from speakerdiar.formats import files, times

# As Praat reads: text in quotes, free-standing numbers and flags count; all else is decoration.
_TOKEN = re.compile(
    r'"(?P<text>(?:[^"]|"")*)"|(?<!\S)(?:(?P<number>[-+]?\.?\d\S*)|<(?P<flag>exists|absent)>)(?!\S)|(?<!\S)!.*'
)


def dumps(diarization: Diarization) -> str:
    """Return the turns as a TextGrid; its span is the diarization's, widened where turns stick out."""
    spoken: dict[str, list[Turn]] = {}
    for turn in diarization:
        spoken.setdefault(turn.speaker, []).append(turn)
    tiers = {name: list(_joined(turns)) for name, turns in spoken.items()}
    spans = [span for tier in tiers.values() for span in tier]
    first = min([times.micros(diarization.offset), *(start for start, _ in spans)])
    last = max([times.micros(diarization.offset) + times.micros(diarization.duration), *(end for _, end in spans)])
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", *_span(first, last)]
    head += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    body = [line for index, name in enumerate(tiers, start=1) for line in _tier(index, name, tiers[name], first, last)]
    return "\n".join([*head, *body, ""])


def loads(text: str, *, recording_id: str = "", path: object = None) -> Diarization:
    """Return the turns of a TextGrid, long or short form; point tiers are passed over.

    Raises:
        FormatError: with path and line number: not a TextGrid, cut short, or an interval that doesn't end after
            its start.
    """
    tokens = _Tokens(text, path)
    if tokens.string() != "ooTextFile" or tokens.string() != "TextGrid":
        raise FormatError('doesn\'t begin with "ooTextFile" and "TextGrid": is it a TextGrid?', path=path, line=1)
    start, end = tokens.number(), tokens.number()
    tiers = tokens.count() if tokens.flag() else 0
    turns = [turn for _ in range(tiers) for turn in _tier_turns(tokens)]
    return Diarization(recording_id, float(end - start), tuple(turns), float(start))


def load(path: str | os.PathLike[str]) -> Diarization:
    """Read a TextGrid, UTF-8 or UTF-16; the recording's id is the file's name without suffix."""
    return loads(files.read_text(path), recording_id=Path(path).stem, path=path)


class _Tokens:
    """The values of a TextGrid, one after the other, each of the kind that is asked for."""

    def __init__(self, text: str, path: object) -> None:
        self.text = text
        self.path = path
        self.found = (match for match in _TOKEN.finditer(text) if match.lastgroup)
        self.position = 0

    def string(self) -> str:
        return self._next("text").replace('""', '"')

    def number(self) -> Decimal:
        written = self._next("number")
        value = times.number(written)
        if value is None:
            raise self.error(f"{written!r} isn't a number.")
        return value

    def count(self) -> int:
        value = self.number()
        if value != int(value) or value < 0:
            raise self.error(f"{value} isn't a count.")
        return int(value)

    def flag(self) -> bool:
        return self._next("flag") == "exists"

    def error(self, message: str) -> FormatError:
        return FormatError(message, path=self.path, line=self.text.count("\n", 0, self.position) + 1)

    def _next(self, kind: str) -> str:
        match = next(self.found, None)
        self.position = len(self.text) if match is None else match.start()
        if match is None or match.lastgroup != kind:
            raise self.error(f"expected a {kind}, found {match[0] if match else 'the end'!r:.40}.")
        return match[kind]


def _tier_turns(tokens: _Tokens) -> Iterator[Turn]:
    kind, speaker = tokens.string(), tokens.string()
    tokens.number(), tokens.number()
    for _ in range(tokens.count()):
        start = tokens.number()
        end = tokens.number() if kind == "IntervalTier" else None
        if not tokens.string() or end is None:
            continue
        try:
            yield Turn(float(start), float(end), speaker)
        except InputError as error:
            raise tokens.error(str(error)) from error


def _joined(turns: Iterable[Turn]) -> Iterator[tuple[int, int]]:
    """Spans in microseconds, those that overlap joined, those that only touch kept apart."""
    current: tuple[int, int] | None = None
    for turn in turns:
        start, end = times.micros(turn.start), times.micros(turn.end)
        if end <= start:
            continue
        if current is not None and start < current[1]:
            current = (current[0], max(current[1], end))
            continue
        if current is not None:
            yield current
        current = (start, end)
    if current is not None:
        yield current


def _tier(index: int, name: str, spans: list[tuple[int, int]], first: int, last: int) -> Iterator[str]:
    quoted = '"' + name.replace('"', '""') + '"'
    intervals: list[tuple[int, int, str]] = []
    position = first
    for start, end in [*spans, (last, last)]:
        intervals += [(position, start, '""')] if start > position else []
        intervals += [(start, end, quoted)] if end > start else []
        position = end
    yield f"    item [{index}]:"
    yield '        class = "IntervalTier"'
    yield f"        name = {quoted}"
    yield from (f"        {line}" for line in _span(first, last))
    yield f"        intervals: size = {len(intervals)}"
    for number, (start, end, text) in enumerate(intervals, start=1):
        yield f"        intervals [{number}]:"
        yield from (f"            {line}" for line in (*_span(start, end), f"text = {text}"))


def _span(start: int, end: int) -> tuple[str, str]:
    return f"xmin = {times.decimals(start, 1)}", f"xmax = {times.decimals(end, 1)}"
