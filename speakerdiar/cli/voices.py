"""`speakerdiar list`, `forget` and `voiceprints`: look after the voices that are enrolled."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speakerdiar.cli.voice_store import StoreOption, opened
from speakerdiar.errors import SpeakerdiarError

if TYPE_CHECKING:
    from speakerdiar.voiceprints import Person

app = typer.Typer(help="Carry enrolled voices from one store to another.", no_args_is_help=True)


def list_voices(
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Say who is enrolled: recordings, seconds of speech in them, and since when."""
    from speakerdiar.cli.progress import fail

    try:
        with opened(store) as voices:
            people, embedder, place = voices.people(), voices.embedder_name, voices.place
    except SpeakerdiarError as error:
        fail(error)
    if as_json:
        facts = {"store": place, "embedder": embedder, "people": [dataclasses.asdict(person) for person in people]}
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for line in _lines(people):
        typer.echo(line)
    typer.echo(f"{len(people)} enrolled in {place}" + (f" with {embedder}" if embedder else ""), err=True)


def forget(
    names: Annotated[list[str], typer.Argument(help="Who to forget, as `speakerdiar list` shows them.")],
    store: StoreOption = None,
) -> None:
    """Remove people and all that is kept of their voices. There is no way back.

    The file is written anew, so that nothing of them is left in it. Copies and exported files are yours to delete.
    """
    from speakerdiar.cli.progress import fail

    try:
        with opened(store) as voices:
            voices.forget(*names)
    except SpeakerdiarError as error:
        fail(error)
    typer.echo(f"forgot {', '.join(names)}", err=True)


@app.command("export")
def export_voices(
    file: Annotated[Path, typer.Argument(help="JSON file to write.")],
    store: StoreOption = None,
) -> None:
    """Write all enrolled voices to a file, which another store can import.

    It holds names, vectors and seconds of speech: biometric data that only its owner may read. No audio.
    """
    from speakerdiar.cli.progress import fail

    try:
        with opened(store) as voices:
            voices.export(file)
    except SpeakerdiarError as error:
        fail(error)
    typer.echo(f"written to {file}", err=True)


@app.command("import")
def import_voices(
    file: Annotated[Path, typer.Argument(help="JSON file that was exported.")],
    store: StoreOption = None,
) -> None:
    """Add the voices of an exported file. Someone who is enrolled already gets the recordings that are new.

    Voices of another embedder than the store's are refused.
    """
    from speakerdiar.cli.progress import fail

    try:
        with opened(store, new=True) as voices:
            names = voices.import_(file)
    except SpeakerdiarError as error:
        fail(error)
    typer.echo(f"imported {', '.join(names)}", err=True)


def _lines(people: tuple[Person, ...]) -> list[str]:
    width = max((len(person.name) for person in people), default=0)
    return [
        f"{person.name:<{width}}  {person.clips:>3} recording{' ' if person.clips == 1 else 's'}"
        f"  {person.seconds:>7.1f} s  since {person.since[:10]}"
        for person in people
    ]
