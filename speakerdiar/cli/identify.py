"""`speakerdiar identify`: whose voice is it?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speakerdiar.cli.voice_store import EmbedderOption, StoreOption, opened
from speakerdiar.errors import InputError, SpeakerdiarError

if TYPE_CHECKING:
    from speakerdiar.recording import Recording
    from speakerdiar.voiceprints import Identification


def identify(
    files: Annotated[
        list[str],
        typer.Argument(help="Recordings of one speaker each: files, folders, globs, manifests, lists, wav.scp, or -."),
    ],
    store: StoreOption = None,
    embedder: EmbedderOption = None,
    threshold: Annotated[
        float | None, typer.Option(help="Scores from here on count as one person; the embedder's own by default.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Name so many of the nearest people.")] = 1,
    channel: Annotated[str, typer.Option(help="mix, each, or the number of a channel from 0 on.")] = "mix",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Say which enrolled person speaks in each recording, or that it is none of them.

    A line has the recording's id, the name or `unknown`, and the nearest people with their scores (cosines, -1 to 1). A
    recording that fails is reported and doesn't stop the others; the exit code is 1 if any failed. Where several people
    speak in a recording, `speakerdiar diarize --voices` names them.
    """
    from speakerdiar.cli.per_recording import each_recording
    from speakerdiar.cli.progress import fail

    try:
        with opened(store, embedder=embedder, threshold=threshold) as voices:
            if not voices.names:
                raise InputError(f"{voices.place}: nobody is enrolled: `speakerdiar enroll NAME FILE` does it.")
            threshold = voices.threshold
            found, asked = each_recording(files, channel, lambda r: (r, voices.identify(r)), "Identifying", quiet)
    except SpeakerdiarError as error:
        fail(error)
    if as_json:
        facts = {"threshold": threshold, "recordings": [_plain(*pair, top) for pair in found]}
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        for recording, answer in found:
            typer.echo(_line(recording, answer, top))
    raise typer.Exit(1 if len(found) < asked else 0)


def _plain(recording: Recording, answer: Identification, top: int) -> dict[str, Any]:
    nearest = [{"name": name, "score": score} for name, score in answer.ranked[:top]]
    return {"recording_id": recording.id, "name": answer.name, "score": answer.score, "nearest": nearest}


def _line(recording: Recording, answer: Identification, top: int) -> str:
    nearest = ", ".join(f"{name} {score:.4f}" for name, score in answer.ranked[:top])
    return f"{recording.id}: {answer.name or 'unknown'} ({nearest})"
