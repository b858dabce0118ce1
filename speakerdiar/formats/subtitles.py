"""Subtitles: SubRip (.srt) and WebVTT (.vtt), one cue a turn, the speaker's name as its text.

SubRip shows the bare name; WebVTT names the voice too: `<v Anna>Anna</v>`. Tabs and line breaks inside names are
percent-encoded (`speakerdiar.formats.escapes`). Times are whole milliseconds; a turn that rounds to none isn't written.
Subtitles can't hold the recording's id, its length, where it begins, confidences, or times before 0.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator
from pathlib import Path

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import FormatError
from speakerdiar.formats import escapes, files, times

_CLOCK = r"(?:(\d+):)?([0-5]\d):([0-5]\d)[.,](\d{3})"
_TIMING = re.compile(rf"\s*{_CLOCK}\s+-->\s+{_CLOCK}(?:\s.*)?", re.ASCII)
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?[ \t]([^>]*)>")
_TAG = re.compile(r"<[^>]*>")
_LINE_END = re.compile(r"\r\n|\r|\n")


def dumps_srt(diarization: Diarization) -> str:
    """Return the turns as SubRip text. Raises FormatError for a turn before 0 s."""
    cues = enumerate(_cues(diarization), start=1)
    return "\n".join(
        f"{index}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{escapes.as_line(name)}\n"
        for index, (start, end, name) in cues
    )


def dumps_vtt(diarization: Diarization) -> str:
    """Return the turns as WebVTT text. Raises FormatError for a turn before 0 s."""
    blocks = ["WEBVTT\n"]
    for start, end, speaker in _cues(diarization):
        name = html.escape(escapes.as_line(speaker), quote=False)
        blocks.append(f"{_clock(start, '.')} --> {_clock(end, '.')}\n<v {name}>{name}</v>\n")
    return "\n".join(blocks)


def loads_srt(text: str, *, recording_id: str = "", path: object = None) -> Diarization:
    """Return the turns of SubRip text: the text of each cue is its speaker.

    Raises:
        FormatError: with path and line number: a cue without a timing line, or whose text isn't one line, or which
            doesn't end after its start.
    """
    turns = []
    for line, block in _blocks(text):
        timing = 1 if block[0].strip().isdecimal() and len(block) > 1 else 0
        if len(block) != timing + 2:
            message = f"a cue of {len(block)} lines: expected number, times, and the speaker's name on one line."
            raise FormatError(message, path=path, line=line)
        turns.append(_turn(block[timing], escapes.plain(block[timing + 1]), path, line + timing))
    return _diarization(turns, recording_id)


def loads_vtt(text: str, *, recording_id: str = "", path: object = None) -> Diarization:
    """Return the turns of WebVTT text: the speaker is the voice of each cue, or where it has none its text.

    Notes, styles, regions, cue names and settings are passed over.

    Raises:
        FormatError: with path and line number: no WEBVTT header, a cue without a timing line or a speaker, or which
            doesn't end after its start.
    """
    blocks = list(_blocks(text))
    if not blocks or blocks[0][0] != 1 or not re.match(r"WEBVTT(?:[ \t]|$)", blocks[0][1][0]):
        raise FormatError("doesn't begin with WEBVTT: is it WebVTT?", path=path, line=1)
    turns = []
    for line, block in blocks[1:]:
        if re.match(r"(?:NOTE|STYLE|REGION)(?:\s|$)", block[0]) and "-->" not in "".join(block):
            continue
        timing = 0 if "-->" in block[0] else 1
        if len(block) < timing + 2:
            raise FormatError("a cue without times or text.", path=path, line=line)
        turns.append(_turn(block[timing], _speaker("\n".join(block[timing + 1 :])), path, line + timing))
    return _diarization(turns, recording_id)


def load(path: str | os.PathLike[str]) -> Diarization:
    """Read a .srt or .vtt file; the recording's id is the file's name without suffix."""
    loads = loads_vtt if Path(path).suffix.lower() == ".vtt" else loads_srt
    return loads(files.read_text(path), recording_id=Path(path).stem, path=path)


def _cues(diarization: Diarization) -> Iterator[tuple[int, int, str]]:
    for turn in diarization:
        times.not_before_zero(turn.start, "a subtitle")
        start, end = times.millis(turn.start), times.millis(turn.end)
        if end > start:
            yield start, end, turn.speaker


def _clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of the first line, lines) of each stretch of lines that aren't empty."""
    block: list[str] = []
    lines = _LINE_END.split(text.removeprefix("\ufeff"))
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip(" \t"):
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _turn(timing: str, speaker: str, path: object, line: int) -> Turn:
    found = _TIMING.fullmatch(timing)
    if found is None:
        message = f"{timing!r:.60} isn't a line of times such as 00:00:01.000 --> 00:00:02.500."
        raise FormatError(message, path=path, line=line)
    parts = [int(part or 0) for part in found.groups()]
    start, end = ((h * 3600 + m * 60 + s) * 1000 + ms for h, m, s, ms in (parts[:4], parts[4:]))
    if end <= start or not speaker:
        message = "the cue has no speaker." if not speaker else "the cue doesn't end after its start."
        raise FormatError(message, path=path, line=line)
    return Turn(start / 1000, end / 1000, speaker)


def _speaker(text: str) -> str:
    voice = _VOICE.search(text)
    return escapes.plain(html.unescape(voice[1] if voice else _TAG.sub("", text)))


def _diarization(turns: list[Turn], recording_id: str) -> Diarization:
    return Diarization(recording_id, max((turn.end for turn in turns), default=0.0), tuple(turns))
