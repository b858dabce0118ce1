"""NeMo manifests: one JSON object a line, one recording each.

    {"audio_filepath": "a.wav", "offset": 0, "duration": 12.5, "num_speakers": 2, "rttm_filepath": "a.rttm"}

Only `audio_filepath` (or `audio`) is needed; `offset`, `duration`, `num_speakers`, `rttm_filepath`, `uem_filepath`,
`uniq_id` and `channel` may be there, and other keys end up in `Recording.extra`. A path that doesn't exist as given but
does from the manifest's folder on is taken from there; one that is found nowhere stays as it is, for whoever opens it
to report. Ids come from `uniq_id` or else the file's name, and are made unique.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from speakerdiar.errors import FormatError, InputError
from speakerdiar.formats import files, json_doc
from speakerdiar.recording import Recording, as_recordings, with_unique_ids

_PATHS = ("audio_filepath", "audio", "rttm_filepath", "uem_filepath")


def loads(text: str, *, path: str | os.PathLike[str] | None = None) -> list[Recording]:
    """Return one Recording for each line that isn't blank.

    Args:
        text: the manifest.
        path: where it is from: for messages, and for the folder that relative paths are looked for in.

    Raises:
        FormatError: with path and line number: a line that is no JSON object, has no audio, or a value of another kind.
    """
    lines = enumerate(text.removeprefix("\ufeff").split("\n"), start=1)
    return with_unique_ids(_recording(content, path, line) for line, content in lines if content.strip())


def load(path: str | os.PathLike[str]) -> list[Recording]:
    """Read a manifest: see `loads`."""
    return loads(files.read_text(path), path=path)


def dumps(recordings: Iterable[Recording]) -> str:
    """Return recordings as manifest lines.

    Raises:
        FormatError: a recording that is no file (a manifest holds paths alone), or extra values that aren't JSON.
    """
    return "".join(f"{_line(recording)}\n" for recording in recordings)


def dump(recordings: Iterable[Recording], path: str | os.PathLike[str]) -> Path:
    """Write a manifest and return its path: see `dumps`."""
    return files.write_text(path, dumps(recordings))


def _recording(content: str, path: str | os.PathLike[str] | None, line: int) -> Recording:
    entry = json_doc.parse(content, path=path, line=line)
    if not isinstance(entry, dict):
        message = f"{content.strip():.40} isn't a JSON object: a manifest has one a line, without commas between."
        raise FormatError(message, path=path, line=line)
    for key in _PATHS:
        value = entry.get(key)
        if value is not None and (not isinstance(value, str) or not value):
            raise FormatError(f"{key}={value!r:.60}: give a path.", path=path, line=line)
        if value is not None:
            entry[key] = files.beside(value, path)
    try:
        return as_recordings(entry)[0]
    except InputError as error:
        raise FormatError(str(error), path=path, line=line) from error


def _line(recording: Recording) -> str:
    if recording.path is None:
        raise FormatError(f"{recording.id}: samples can't stand in a manifest: write them to a file first.")
    entry: Mapping[str, Any] = {**recording.extra, **recording.manifest_entry()}
    if recording.channel != "mix":
        entry = {**entry, "channel": recording.channel}
    try:
        return json.dumps(entry, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{recording.id}: extra values can't be written as JSON: {error}.") from error
