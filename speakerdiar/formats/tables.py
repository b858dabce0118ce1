"""Tables of turns: CSV (RFC 4180) and pandas.

The columns of a CSV are `start, end, speaker, confidence, recording_id`, times in seconds, exact to the last bit. Names
are written as they are; a spreadsheet takes one that begins with `=`, `+`, `-` or `@` for a formula, so import such
columns as text. CSV can't hold how long a recording is, where it begins, or that nobody speaks in it: a recording that
was read ends where its last turn ends.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import FormatError, InputError, MissingExtraError, closest
from speakerdiar.formats import files, times

COLUMNS = ("start", "end", "speaker", "confidence", "recording_id")
_NEEDED = COLUMNS[:3]


def dumps(diarizations: Iterable[Diarization]) -> str:
    """Return the turns of all recordings as CSV with a header line."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for diarization in diarizations:
        for turn in diarization:
            confidence = None if turn.confidence is None else float(turn.confidence)
            table.writerow((turn.start, turn.end, turn.speaker, confidence, diarization.recording_id))
    return text.getvalue()


def loads(text: str, *, recording_id: str = "", path: object = None) -> list[Diarization]:
    """Return one Diarization for each recording, in order of appearance.

    Columns are found by the header line, in any order; others are passed over.

    Args:
        text: the table.
        recording_id: for a table without such a column.
        path: where the text is from, for messages.

    Raises:
        FormatError: with path and line number: a column is missing, a time is no number, a turn has no length.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    recordings: dict[str, list[Turn]] = {}
    try:
        _check_header(reader.fieldnames or (), path)
        for row in reader:
            turn = _turn(row, path, reader.line_num)
            recordings.setdefault(row.get("recording_id", recording_id) or "", []).append(turn)
    except csv.Error as error:
        raise FormatError(f"isn't CSV: {error}.", path=path, line=reader.line_num) from error
    return [Diarization(id, max(turn.end for turn in turns), tuple(turns)) for id, turns in recordings.items()]


def dump(diarizations: Iterable[Diarization], path: str | os.PathLike[str]) -> Path:
    """Write a CSV file and return its path: see `dumps`."""
    return files.write_text(path, dumps(diarizations))


def load(path: str | os.PathLike[str]) -> list[Diarization]:
    """Read a CSV file: see `loads`. A table without recording ids takes the file's name for one."""
    return loads(files.read_text(path), recording_id=Path(path).stem, path=path)


def to_dataframe(diarization: Diarization) -> Any:
    """Return a pandas DataFrame with columns start, end, speaker, confidence (NaN where there is none).

    Raises:
        MissingExtraError: pandas isn't installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("pandas", "dataframe", "A DataFrame") from error
    columns: Mapping[str, tuple[Iterator[Any], str]] = {
        "start": ((turn.start for turn in diarization), "float64"),
        "end": ((turn.end for turn in diarization), "float64"),
        "speaker": ((turn.speaker for turn in diarization), "object"),
        "confidence": ((turn.confidence for turn in diarization), "float64"),
    }
    return pandas.DataFrame({name: pandas.Series(list(values), dtype=kind) for name, (values, kind) in columns.items()})


def _check_header(found: Iterable[str], path: object) -> None:
    names = list(found)
    for column in _NEEDED:
        if column not in names:
            near = closest(column, names)
            message = f"no column {column!r} in the header {names!r:.80}.{near} Needed: {', '.join(_NEEDED)}."
            raise FormatError(message, path=path, line=1)


def _turn(row: Mapping[str, str | None], path: object, line: int) -> Turn:
    start, end = (
        times.seconds((row[name] or "").strip(), name, signed=True, path=path, line=line) for name in ("start", "end")
    )
    given = (row.get("confidence") or "").strip()
    confidence = times.number(given)
    if given and confidence is None:
        raise FormatError(f"confidence {given!r}: give a number, or leave it empty.", path=path, line=line)
    try:
        return Turn(float(start), float(end), row["speaker"] or "", None if confidence is None else float(confidence))
    except InputError as error:
        raise FormatError(str(error), path=path, line=line) from error
