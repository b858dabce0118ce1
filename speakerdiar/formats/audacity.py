r"""Audacity label tracks: `start <tab> end <tab> speaker`, one label a turn.

Tabs and line breaks inside names are percent-encoded (`speakerdiar.formats.escapes`). Times are written to the
microsecond, as Audacity does; a turn shorter than half of one isn't written. Labels can't hold the recording's id, its
length, where it begins, or confidences.
"""

from __future__ import annotations

import os
from pathlib import Path

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import FormatError, InputError
from speakerdiar.formats import escapes, files, times


def dumps(diarization: Diarization) -> str:
    """Return the turns as labels."""
    lines = []
    for turn in diarization:
        start, end = times.micros(turn.start), times.micros(turn.end)
        if end > start:
            lines.append(f"{times.decimals(start, 6)}\t{times.decimals(end, 6)}\t{escapes.as_line(turn.speaker)}\n")
    return "".join(lines)


def loads(text: str, *, recording_id: str = "", path: object = None) -> Diarization:
    r"""Return the turns of a label track. Lines of frequency ranges (they begin with `\`) are passed over.

    Raises:
        FormatError: with path and line number: not three fields, a time that is no number, a label of no
            length (a point).
    """
    turns = []
    for line, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        content = raw.removesuffix("\r")
        if not content.strip() or content.startswith("\\"):
            continue
        fields = content.split("\t", 2)
        if len(fields) != 3:
            message = f"{len(fields)} fields: a label is start, end and speaker with tabs between."
            raise FormatError(message, path=path, line=line)
        start = times.seconds(fields[0], "start", signed=True, path=path, line=line)
        end = times.seconds(fields[1], "end", signed=True, path=path, line=line)
        try:
            turns.append(Turn(float(start), float(end), escapes.plain(fields[2])))
        except InputError as error:
            raise FormatError(str(error), path=path, line=line) from error
    return Diarization(recording_id, max((turn.end for turn in turns), default=0.0), tuple(turns))


def load(path: str | os.PathLike[str]) -> Diarization:
    """Read a label file; the recording's id is the file's name without suffix."""
    return loads(files.read_text(path), recording_id=Path(path).stem, path=path)
