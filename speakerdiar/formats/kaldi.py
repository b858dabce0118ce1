"""Kaldi data folders: `wav.scp` names the files, `segments` the stretches of them.

    wav.scp     <recording> <path>
    segments    <utterance> <recording> <start> <end>      (an end of -1 is the end of the file)

A command in place of a path (`sox ... |`) is refused: reading a list never runs anything. Relative paths are looked for
as given, then from the folder of `wav.scp` on.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from speakerdiar.errors import FormatError, closest
from speakerdiar.formats import files, times
from speakerdiar.recording import Recording

_INSIDE_ARCHIVE = re.compile(r"\.ark:\d+(?:\[.*\])?$")


def load(path: str | os.PathLike[str], segments: str | os.PathLike[str] | None = None) -> list[Recording]:
    """Return the recordings of a `wav.scp`, or the stretches of them that `segments` names.

    Args:
        path: the `wav.scp`, or a folder that has one; in a folder `segments` is used where it is there.
        segments: the file of stretches.

    Raises:
        FormatError: with path and line number: a missing field, a command, a place inside an archive, an id that stands
            there twice or is unknown, a stretch that doesn't end after its start.
    """
    scp = Path(path)
    if scp.is_dir():
        folder, scp = scp, scp / "wav.scp"
        segments = segments or next((file for file in [folder / "segments"] if file.is_file()), None)
    wavs = loads_scp(files.read_text(scp), path=scp)
    if segments is None:
        return [Recording(id, wav) for id, wav in wavs.items()]
    return loads_segments(files.read_text(segments), wavs, path=segments)


def loads_scp(text: str, *, path: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """Return the path of each recording of a `wav.scp`. Raises FormatError as `load` does."""
    wavs: dict[str, str] = {}
    for line, content in files.numbered_lines(text, comment="#"):
        id, *rest = content.split(maxsplit=1)
        fault = _fault(id, rest[0] if rest else "", wavs)
        if fault:
            raise FormatError(fault, path=path, line=line)
        wavs[id] = files.beside(rest[0], path)
    return wavs


def loads_segments(text: str, wavs: dict[str, str], *, path: str | os.PathLike[str] | None = None) -> list[Recording]:
    """Return the stretches that a `segments` text names. Raises FormatError as `load` does."""
    found: dict[str, Recording] = {}
    for line, content in files.numbered_lines(text, comment="#"):
        recording = _stretch(content.split(), wavs, path, line)
        if recording.id in found:
            raise FormatError(f"{recording.id!r} stands here twice.", path=path, line=line)
        found[recording.id] = recording
    return list(found.values())


def is_command(place: str) -> bool:
    """Whether Kaldi would run this as a command, where a path is expected."""
    return place.strip().startswith("|") or place.strip().endswith("|")


def _stretch(fields: list[str], wavs: dict[str, str], path: object, line: int) -> Recording:
    if len(fields) != 4:
        message = f"{len(fields)} fields: a line has 4 (utterance, recording, start, end)."
        raise FormatError(message, path=path, line=line)
    id, recording, *_ = fields
    if recording not in wavs:
        near = closest(recording, wavs)
        raise FormatError(f"recording {recording!r} isn't in wav.scp.{near}", path=path, line=line)
    start = times.seconds(fields[2], "start", path=path, line=line)
    if times.number(fields[3]) == -1:
        return Recording(id, wavs[recording], offset=float(start))
    duration = float(times.seconds(fields[3], "end", path=path, line=line) - start)
    if duration <= 0:
        raise FormatError(f"{id!r} ends at {fields[3]}, not after its start {fields[2]}.", path=path, line=line)
    return Recording(id, wavs[recording], offset=float(start), duration=duration)


def _fault(id: str, wav: str, known: dict[str, str]) -> str | None:
    if not wav:
        return f"{id!r} has no path."
    if is_command(wav):
        return f"{wav!r:.60} is a command, and commands aren't run: write the audio to a file and name that."
    if _INSIDE_ARCHIVE.search(wav):
        return f"{wav!r:.60} is a place inside an archive: give a file of audio."
    return f"{id!r} stands here twice." if id in known else None
