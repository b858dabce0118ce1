"""`speakerdiar enroll`: remember someone's voice."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from speakerdiar.cli.voice_store import EmbedderOption, StoreOption, opened
from speakerdiar.errors import SpeakerdiarError

if TYPE_CHECKING:
    from speakerdiar.voiceprints import Enrolment


def enroll(
    name: Annotated[str, typer.Argument(help="What the person is called.")],
    files: Annotated[
        list[str], typer.Argument(help="Recordings in which only they speak: files, folders, globs, lists, or -.")
    ],
    store: StoreOption = None,
    embedder: EmbedderOption = None,
    threshold: Annotated[
        float | None, typer.Option(help="Recordings that score less against the others are warned about.")
    ] = None,
    channel: Annotated[str, typer.Option(help="mix, or the number of a channel from 0 on.")] = "mix",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a line.")] = False,
) -> None:
    """Remember someone's voice, so that it is known again.

    Kept are the name, a vector and the seconds of speech of each recording, and a date: no audio, and no file's name. A
    voice is biometric data: ask before you enrol someone, and `speakerdiar forget` them when they want it. Recordings
    of someone who is enrolled already are added. All recordings are enrolled, or none; what seems wrong with them is
    said on standard error.
    """
    from speakerdiar.cli.inputs import recordings_of
    from speakerdiar.cli.progress import fail

    try:
        recordings = recordings_of(files, channel)
        with opened(store, new=True, embedder=embedder, threshold=threshold) as voices:
            done = voices.enroll(name, recordings)
    except (SpeakerdiarError, OSError) as error:
        fail(error)
    for warning in done.warnings:
        typer.secho(f"warning: {warning}", fg=typer.colors.YELLOW, err=True)
    typer.echo(json.dumps(dataclasses.asdict(done), indent=2, ensure_ascii=False) if as_json else _line(done))


def _line(done: Enrolment) -> str:
    person = done.person
    agreement = "" if done.agreement is None else f", agreement {done.agreement:.2f}"
    count = f"{person.clips} recording{'' if person.clips == 1 else 's'}"
    return f"{person.name}: {count}, {person.seconds:.1f} s of speech{agreement}"
