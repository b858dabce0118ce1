"""`speakerdiar info`: what a file holds."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from speakerdiar.errors import SpeakerdiarError


def info(
    file: Annotated[str, typer.Argument(help="An audio file, or turns in any format that can be read.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Say what a file holds: rate, channels and length of audio; speakers and speech of turns."""
    from speakerdiar.cli.progress import fail

    try:
        rows = _describe(file)
    except SpeakerdiarError as error:
        fail(error)
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for row in rows:
        for name, value in row.items():
            typer.echo(f"{name + ':':14} {value}")


def _describe(file: str) -> list[dict[str, Any]]:
    from speakerdiar.annotation import Diarization
    from speakerdiar.audio import probe
    from speakerdiar.formats import is_readable, load

    if not is_readable(file):
        return [{"file": file, **dataclasses.asdict(probe(file))}]
    return [
        {
            "file": file,
            "recording": result.recording_id,
            "turns": len(result),
            "speakers": {name: round(seconds, 3) for name, seconds in result.durations().items()},
            "speech": round(sum(segment.duration for segment in result.speech), 3),
            "overlap": round(sum(segment.duration for segment in result.overlap), 3),
        }
        for result in load(Path(file)) or [Diarization(Path(file).stem, 0.0)]
    ]
