"""UEM: the regions of each recording that are scored; four fields a line, split on white space.

    <recording> <channel> <start> <end>

Ids are percent-encoded as in RTTM. A region may begin before 0 and end behind the recording. A recording without any
region can't be held.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from speakerdiar.annotation import Segment
from speakerdiar.errors import FormatError
from speakerdiar.formats import escapes, files, times


def loads(text: str, *, path: object = None) -> dict[str, list[Segment]]:
    """Return the regions of each recording, as they stand in the text. Blank lines and `;;` comments are fine.

    Raises:
        FormatError: with path and line number: not four fields, a time that is no number, a region that has no length.
    """
    regions: dict[str, list[Segment]] = {}
    for line, content in files.numbered_lines(text, comment=";;"):
        fields = content.split()
        if len(fields) != 4:
            message = f"{len(fields)} fields: a UEM line has 4 (recording, channel, start, end)."
            raise FormatError(message, path=path, line=line)
        start = float(times.seconds(fields[2], "start", signed=True, path=path, line=line))
        end = float(times.seconds(fields[3], "end", signed=True, path=path, line=line))
        if end <= start:
            message = f"the region ends at {fields[3]}, not after its start {fields[2]}."
            raise FormatError(message, path=path, line=line)
        regions.setdefault(escapes.plain(fields[0]), []).append(Segment(start, end))
    return regions


def load(path: str | os.PathLike[str]) -> dict[str, list[Segment]]:
    """Read a UEM file: see `loads`."""
    return loads(files.read_text(path), path=path)


def dumps(regions: Mapping[str, Iterable[Segment]]) -> str:
    """Return regions as UEM lines. Those shorter than half a microsecond aren't written.

    Raises:
        FormatError: a recording without an id.
    """
    lines = []
    for recording, segments in regions.items():
        for segment in segments:
            start, end = times.micros(segment.start), times.micros(segment.end)
            if end > start:
                lines.append(f"{escapes.as_field(recording)} 1 {times.decimals(start)} {times.decimals(end)}\n")
    return "".join(lines)


def dump(regions: Mapping[str, Iterable[Segment]], path: str | os.PathLike[str]) -> Path:
    """Write a UEM file and return its path: see `dumps`."""
    return files.write_text(path, dumps(regions))
