"""RTTM: one line a turn, ten fields split on white space (NIST, Rich Transcription 2009 evaluation plan, appendix A).

    SPEAKER <recording> <channel> <start> <duration> <NA> <NA> <speaker> <confidence> <NA>

White space inside ids and names is percent-encoded on writing and decoded on reading (`speakerdiar.formats.escapes`).
Times are written to the microsecond; a turn shorter than half of one isn't written. RTTM can't hold how long a
recording is, where it begins, or that nobody speaks in it: a recording that was read ends where its last turn ends. All
channels of a recording are taken together.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import FormatError, closest
from speakerdiar.formats import escapes, files, times

LINE_TYPES = (
    *("SPEAKER", "SPKR-INFO", "LEXEME", "NON-LEX", "NON-SPEECH", "SEGMENT", "NOSCORE", "NO_RT_METADATA"),
    *("FILLER", "EDIT", "IP", "SU", "CB", "A/P"),
)


def loads(text: str, *, strict: bool = True, path: object = None) -> list[Diarization]:
    """Return one Diarization for each recording, in order of appearance.

    Byte-order mark, CRLF, blank lines and `;;` comments are fine; legal lines other than SPEAKER are passed over.

    Args:
        text: the lines.
        strict: refuse whatever the format doesn't allow. Else unknown kinds of lines and turns of no length are
            dropped, a turn that starts before 0 is cut, ids and names may hold spaces, and numbers a decimal comma.
        path: where the text is from, for messages.

    Raises:
        FormatError: with path and line number: wrong number of fields, a time that is no number, negative or not
            finite, a turn of no length, an unknown kind of line.
    """
    read = _strict_turn if strict else _tolerant_turn
    recordings: dict[str, list[Turn]] = {}
    for line, content in files.numbered_lines(text, comment=";;"):
        found = read(content.split(), path, line)
        if found is not None:
            recordings.setdefault(found[0], []).append(found[1])
    return [Diarization(id, max(turn.end for turn in turns), tuple(turns)) for id, turns in recordings.items()]


def load(path: str | os.PathLike[str], *, strict: bool = True) -> list[Diarization]:
    """Read an RTTM file: see `loads`."""
    return loads(files.read_text(path), strict=strict, path=path)


def dumps(diarizations: Iterable[Diarization]) -> str:
    """Return the turns of all recordings as RTTM lines.

    Raises:
        FormatError: a recording without an id, or a turn before 0 s.
    """
    return "".join(line for diarization in diarizations for line in _lines(diarization))


def dump(diarizations: Iterable[Diarization], path: str | os.PathLike[str]) -> Path:
    """Write an RTTM file and return its path: see `dumps`."""
    return files.write_text(path, dumps(diarizations))


def _lines(diarization: Diarization) -> Iterable[str]:
    for turn in diarization:
        times.not_before_zero(turn.start, "RTTM")
        start, end = times.micros(turn.start), times.micros(turn.end)
        if end > start:
            span = f"{times.decimals(start)} {times.decimals(end - start)}"
            confidence = "<NA>" if turn.confidence is None else repr(float(turn.confidence))
            recording, speaker = escapes.as_field(diarization.recording_id), escapes.as_field(turn.speaker)
            yield f"SPEAKER {recording} 1 {span} <NA> <NA> {speaker} {confidence} <NA>\n"


def _strict_turn(fields: list[str], path: object, line: int) -> tuple[str, Turn] | None:
    if fields[0] not in LINE_TYPES:
        near = closest(fields[0].upper(), LINE_TYPES)
        message = f"{fields[0]!r} isn't a kind of RTTM line.{near} Kinds: {', '.join(LINE_TYPES)}."
        raise FormatError(message, path=path, line=line)
    if len(fields) not in (9, 10):
        message = f"{len(fields)} fields: an RTTM line has 9 or 10. If an id holds spaces, read with strict=False."
        raise FormatError(message, path=path, line=line)
    if fields[0] != "SPEAKER":
        return None
    start = times.seconds(fields[3], "start", path=path, line=line)
    duration = times.seconds(fields[4], "duration", path=path, line=line)
    confidence = times.number(fields[8])
    if confidence is None and fields[8] != "<NA>":
        raise FormatError(f"confidence {fields[8]!r} is neither a number nor <NA>.", path=path, line=line)
    turn = _turn(start, start + duration, fields[7], confidence)
    if turn is None:
        message = f"duration {fields[4]}: a turn lasts longer than 0 s. To drop such turns read with strict=False."
        raise FormatError(message, path=path, line=line)
    return escapes.plain(fields[1]), turn


def _tolerant_turn(fields: list[str], path: object, line: int) -> tuple[str, Turn] | None:
    if fields[0].upper() != "SPEAKER":
        return None
    numbers = [times.number(field.replace(",", ".")) for field in fields]
    # Four fields at least follow the two times; the last such pair of numbers is them, whatever spaces the id holds.
    for at in range(len(fields) - 6, 2, -1):
        start, duration = numbers[at], numbers[at + 1]
        if start is None or duration is None:
            continue
        names_end = max(at + 5, len(fields) - 2)
        speaker, recording = " ".join(fields[at + 4 : names_end]), " ".join(fields[1 : at - 1])
        turn = _turn(max(start, Decimal(0)), start + duration, speaker, numbers[names_end])
        return (escapes.plain(recording), turn) if turn else None
    message = "no start and duration found: a line is SPEAKER, id, channel, start, duration, two fields, speaker, ..."
    raise FormatError(message, path=path, line=line)


def _turn(start: Decimal, end: Decimal, speaker: str, confidence: Decimal | None) -> Turn | None:
    begin, stop = float(start), float(end)
    if stop <= begin:
        return None
    return Turn(begin, stop, escapes.plain(speaker), None if confidence is None else float(confidence))
