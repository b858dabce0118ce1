"""The one JSON shape of a diarization: command line, files and server alike.

    {
      "version": 1,
      "recording_id": "talk",
      "offset": 0.0,
      "duration": 10.0,
      "speakers": [{"name": "B", "seconds": 4.0}, {"name": "A", "seconds": 3.0}],
      "turns": [
        {"start": 0.0, "end": 4.0, "speaker": "B"},
        {"start": 3.0, "end": 6.0, "speaker": "A", "confidence": 0.9}
      ],
      "confidence": {"resolution": 0.08, "scores": [0.9, 0.8]},
      "embeddings": {"A": [0.1, 0.2], "B": [0.3, 0.4]},
      "identified": {"A": 0.87}
    }

Times are seconds, exact to the last bit. `speakers` is a summary for readers, in order of first appearance; it is made
anew on writing and not used on reading. A turn's `confidence`, `confidence`, `embeddings` and `identified` (who goes by
the name of an enrolled voice, and how like it) are there only where the diarization has them. Frame scores aren't held:
they are arrays, not text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.annotation import Confidence, Diarization, Turn
from speakerdiar.errors import FormatError, closest
from speakerdiar.formats import files

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from speakerdiar.formats.document import Document

VERSION = 1


def to_document(diarization: Diarization) -> dict[str, Any]:
    """Return the document as plain Python values."""
    document: dict[str, Any] = {
        "version": VERSION,
        "recording_id": diarization.recording_id,
        "offset": diarization.offset,
        "duration": diarization.duration,
        "speakers": [{"name": name, "seconds": round(s, 6)} for name, s in diarization.durations().items()],
        "turns": [_turn_entry(turn) for turn in diarization],
    }
    if diarization.confidence is not None:
        scores = [float(score) for score in diarization.confidence.scores]
        document["confidence"] = {"resolution": float(diarization.confidence.resolution), "scores": scores}
    if diarization.embeddings:
        document["embeddings"] = {name: _numbers(vector) for name, vector in diarization.embeddings.items()}
    if diarization.identified:
        document["identified"] = {name: float(score) for name, score in diarization.identified.items()}
    return document


def from_document(document: Mapping[str, Any], *, path: object = None) -> Diarization:
    """Return the diarization that a document holds.

    Raises:
        FormatError: a key that doesn't exist (with the closest one that does), is missing, or has a value of another
            kind; the message says where in the document.
    """
    from pydantic import ValidationError

    from speakerdiar.formats.document import Document

    try:
        read = Document.model_validate(document)
    except ValidationError as error:
        raise FormatError(_message(error.errors()[0], Document), path=path) from error
    held = read.confidence
    return Diarization(
        recording_id=read.recording_id,
        duration=read.duration,
        turns=tuple(Turn(turn.start, turn.end, turn.speaker, turn.confidence) for turn in read.turns),
        offset=read.offset,
        embeddings={name: np.array(vector, dtype=np.float32) for name, vector in read.embeddings.items()},
        confidence=None if held is None else Confidence(tuple(held.scores), held.resolution),
        identified=dict(read.identified),
    )


def dumps(diarization: Diarization) -> str:
    """Return the document as JSON text, one turn a line.

    Raises:
        FormatError: an embedding or confidence that isn't finite, which JSON has no words for.
    """
    try:
        entries = [f"  {_compact(key)}: {_value(value)}" for key, value in to_document(diarization).items()]
    except ValueError as error:
        message = f"{diarization.recording_id}: an embedding or confidence isn't finite; JSON has no such number."
        raise FormatError(message) from error
    return "{\n" + ",\n".join(entries) + "\n}\n"


def loads(text: str, *, path: object = None) -> Diarization:
    """Return the diarization that JSON text holds. Raises FormatError as `from_document` does."""
    return _document(parse(text.removeprefix("\ufeff"), path=path), path)


def loads_all(text: str, *, path: object = None) -> list[Diarization]:
    """Return the diarizations of JSON text that holds one document, or an array of them. Raises FormatError."""
    held = parse(text.removeprefix("\ufeff"), path=path)
    return [_document(item, path) for item in (held if isinstance(held, list) else [held])]


def _document(held: Any, path: object) -> Diarization:
    if not isinstance(held, dict):
        raise FormatError(f"holds a {type(held).__name__}: a diarization is one JSON object.", path=path)
    return from_document(held, path=path)


def dump(diarization: Diarization, path: str | os.PathLike[str]) -> Path:
    """Write a JSON file and return its path: see `dumps`."""
    return files.write_text(path, dumps(diarization))


def load(path: str | os.PathLike[str]) -> Diarization:
    """Read a JSON file: see `loads`."""
    return loads(files.read_text(path), path=path)


def parse(text: str, *, path: object = None, line: int | None = None) -> Any:
    """Return the value of a JSON text; unlike Python's own reader, NaN and Infinity are refused.

    Raises:
        FormatError: not JSON; `line` is that of the fault, or the one given where the text is one line of many.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        message = f"isn't JSON: {error.msg} (column {error.colno})."
        raise FormatError(message, path=path, line=line or error.lineno) from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"isn't JSON that can be read: {error}.", path=path, line=line) from error


def _turn_entry(turn: Turn) -> dict[str, Any]:
    entry: dict[str, Any] = {"start": turn.start, "end": turn.end, "speaker": turn.speaker}
    return entry if turn.confidence is None else entry | {"confidence": float(turn.confidence)}


def _numbers(vector: Any) -> list[float]:
    # Through text, since the shortest decimals of a float32 are half as long as those of its double.
    return [float(str(value)) for value in np.asarray(vector, dtype=np.float32).ravel()]


def _value(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(f"    {_compact(item)}" for item in value) + "\n  ]"
    if isinstance(value, dict):
        return "{\n" + ",\n".join(f"    {_compact(key)}: {_compact(item)}" for key, item in value.items()) + "\n  }"
    return _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} isn't a JSON number")


def _message(error: ErrorDetails, model: type[Document]) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "document"
    if error["type"] == "extra_forbidden":
        keys = _keys(model, error["loc"][:-1])
        return f"{where} isn't a key of the document.{closest(str(error['loc'][-1]), keys)} Keys: {', '.join(keys)}."
    text = error["msg"].removeprefix("Value error, ")
    return f"{where}: {text[:1].lower()}{text[1:]} (found {error['input']!r:.60})."


def _keys(model: type[Document], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that may stand at a place in the document, such as () or ("turns", 3)."""
    return list(model.entries()[str(loc[0])].model_fields if loc else model.model_fields)
