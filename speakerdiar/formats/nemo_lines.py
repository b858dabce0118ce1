"""NeMo's lines `"start end speaker_k"`: what its diarizers return for a recording.

Times are rounded to hundredths of a second and written with three decimals. Lines are grouped by speaker, and speakers
are numbered by first appearance. A turn that rounds to no length isn't written. The lines can't hold speaker names, the
recording's id, its length, where it begins, confidences, or times before 0.
"""

from __future__ import annotations

from collections.abc import Iterable

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import FormatError
from speakerdiar.formats import times


def dumps(diarization: Diarization) -> list[str]:
    """Return the lines. Raises FormatError for a turn before 0 s."""
    spans: dict[str, list[str]] = {}
    for turn in diarization:
        times.not_before_zero(turn.start, "a NeMo line")
        start, end = f"{round(turn.start, 2):.3f}", f"{round(turn.end, 2):.3f}"
        if start != end:
            spans.setdefault(turn.speaker, []).append(f"{start} {end}")
    return [f"{span} speaker_{index}" for index, spoken in enumerate(spans.values()) for span in spoken]


def loads(lines: Iterable[str], *, recording_id: str = "", path: object = None) -> Diarization:
    """Return the turns of lines, under the names that stand there. Blank lines are fine.

    Raises:
        FormatError: with path and line number: not three fields, a time that is no number or negative, a turn that
            doesn't end after its start.
    """
    turns = []
    for line, content in enumerate(lines, start=1):
        if not content.strip():
            continue
        fields = content.split(maxsplit=2)
        if len(fields) != 3:
            raise FormatError(f"{content!r:.60} isn't start, end and speaker.", path=path, line=line)
        start = float(times.seconds(fields[0], "start", path=path, line=line))
        end = float(times.seconds(fields[1], "end", path=path, line=line))
        if end <= start:
            raise FormatError(f"the turn ends at {fields[1]}, not after {fields[0]}.", path=path, line=line)
        turns.append(Turn(start, end, fields[2].strip()))
    return Diarization(recording_id, max((turn.end for turn in turns), default=0.0), tuple(turns))
