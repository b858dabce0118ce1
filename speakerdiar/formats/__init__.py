"""Text about audio, in and out. `FORMATS` is the one table of what a diarization is saved as.

    name       suffixes      reads   holds, besides the turns
    rttm       .rttm         yes     ids, confidences
    json       .json         yes     everything but frame scores
    csv        .csv          yes     ids, confidences
    srt        .srt          yes     nothing; whole milliseconds
    vtt        .vtt          yes     nothing; whole milliseconds
    audacity   .txt .labels  yes     nothing
    textgrid   .textgrid     yes     begin and end of the recording
    nemo       .lab          yes     nothing; hundredths of a second, numbered speakers

Times are exact in json and csv and rounded to the microsecond elsewhere. Lists of recordings (manifests, Kaldi folders,
plain lists) are read by `load_recordings`, scored regions by `speakerdiar.formats.uem`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from speakerdiar.annotation import Diarization
from speakerdiar.errors import FormatError, closest
from speakerdiar.formats import (
    audacity,
    files,
    json_doc,
    kaldi,
    lists,
    manifest,
    nemo_lines,
    rttm,
    subtitles,
    tables,
    textgrid,
)
from speakerdiar.recording import Recording

_Row = TypeVar("_Row")

__all__ = [
    "FORMATS",
    "RECORDING_LISTS",
    "Format",
    "dumps",
    "format_named",
    "is_readable",
    "load",
    "load_recordings",
    "save",
]


@dataclass(frozen=True)
class Format:
    """How a diarization is written to and read from text.

    Attributes:
        suffixes: those of its files, in lower case.
        write: a diarization to text.
        read: (text, id for a format that holds none, path for messages) to diarizations.
    """

    suffixes: tuple[str, ...]
    write: Callable[[Diarization], str]
    read: Callable[[str, str, object], list[Diarization]]


FORMATS: dict[str, Format] = {
    "rttm": Format((".rttm",), lambda d: rttm.dumps([d]), lambda text, _, path: rttm.loads(text, path=path)),
    "json": Format((".json",), json_doc.dumps, lambda text, _, path: json_doc.loads_all(text, path=path)),
    "csv": Format(
        (".csv",), lambda d: tables.dumps([d]), lambda text, id, path: tables.loads(text, recording_id=id, path=path)
    ),
    "srt": Format(
        (".srt",), subtitles.dumps_srt, lambda text, id, path: [subtitles.loads_srt(text, recording_id=id, path=path)]
    ),
    "vtt": Format(
        (".vtt",), subtitles.dumps_vtt, lambda text, id, path: [subtitles.loads_vtt(text, recording_id=id, path=path)]
    ),
    "audacity": Format(
        (".txt", ".labels"), audacity.dumps, lambda text, id, path: [audacity.loads(text, recording_id=id, path=path)]
    ),
    "textgrid": Format(
        (".textgrid",), textgrid.dumps, lambda text, id, path: [textgrid.loads(text, recording_id=id, path=path)]
    ),
    "nemo": Format(
        (".lab",),
        lambda d: "".join(f"{line}\n" for line in nemo_lines.dumps(d)),
        lambda text, id, path: [nemo_lines.loads(text.splitlines(), recording_id=id, path=path)],
    ),
}

RECORDING_LISTS: dict[str, Callable[[str | os.PathLike[str]], list[Recording]]] = {
    ".json": manifest.load,
    ".jsonl": manifest.load,
    ".scp": kaldi.load,
    ".lst": lists.load,
    ".list": lists.load,
    ".txt": lists.load,
}

_BY_SUFFIX = {suffix: format for format in FORMATS.values() for suffix in format.suffixes}


def save(diarization: Diarization, path: str | os.PathLike[str]) -> Path:
    """Write in the format of the path's suffix, whole or not at all; missing folders are made. Returns the path.

    Raises:
        FormatError: no format has this suffix (the message lists those that exist), or the format can't hold a value.
    """
    return files.write_text(path, _of_suffix(path, _BY_SUFFIX).write(diarization))


def load(path: str | os.PathLike[str]) -> list[Diarization]:
    """Read the diarizations of a file in the format of its suffix, strictly.

    Formats that hold no recording id give the file's name without suffix for one.

    Raises:
        InputError: the file can't be opened.
        FormatError: no format has this suffix, or the text breaks its format.
    """
    return _of_suffix(path, _BY_SUFFIX).read(files.read_text(path), Path(path).stem, path)


def dumps(diarization: Diarization, format_name: str) -> str:
    """Return a diarization as text in the format of this name (a key of `FORMATS`).

    Raises:
        FormatError: there is no such format, or it can't hold a value.
    """
    return format_named(format_name).write(diarization)


def format_named(name: str) -> Format:
    """Return the format of this name (a key of `FORMATS`). Raises FormatError, naming the closest, for another."""
    if name not in FORMATS:
        raise FormatError(f"There is no format {name!r}.{closest(name, FORMATS)} Formats: {', '.join(FORMATS)}.")
    return FORMATS[name]


def is_readable(path: str | os.PathLike[str]) -> bool:
    """Whether the path's suffix is one of a format that `load` reads."""
    return Path(path).suffix.lower() in _BY_SUFFIX


def load_recordings(path: str | os.PathLike[str]) -> list[Recording]:
    """Read a list of recordings by its suffix.

    A manifest (.json, .jsonl), a Kaldi folder or `wav.scp`, or a plain list (.lst, .list, .txt).

    Raises:
        InputError: the file can't be opened.
        FormatError: no list has this suffix, or the text breaks its format.
    """
    if os.path.isdir(path):
        return kaldi.load(path)
    return _of_suffix(path, RECORDING_LISTS)(path)


def _of_suffix(path: str | os.PathLike[str], table: dict[str, _Row]) -> _Row:
    suffix = Path(path).suffix.lower()
    if suffix not in table:
        raise FormatError(f"suffix {suffix!r} is none of {', '.join(table)}: rename the file.", path=path)
    return table[suffix]
