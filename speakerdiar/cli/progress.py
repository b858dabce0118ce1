"""What a person sees while a command works. All of it goes to standard error, so that output stays clean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from speakerdiar.errors import SpeakerdiarError

if TYPE_CHECKING:
    from speakerdiar.annotation import Diarization
    from speakerdiar.recording import Recording

STAGES = 2
"""Stages that take time in most diarizers: finding speech, and telling voices apart."""
ALONE = {"scores", "turns"}
"""Stages of diarizers that have no other."""


def warn(message: object, about: str = "") -> None:
    """Report a problem that doesn't end the command, with the name of what it is about unless it begins with that."""
    named = not about or str(message).startswith(f"{about}:")
    typer.secho(f"error: {message}" if named else f"error: {about}: {message}", fg=typer.colors.RED, err=True)


def fail(error: object) -> NoReturn:
    """Report a problem that ends the command."""
    warn(error)
    raise typer.Exit(2 if isinstance(error, ValueError) else 1)


@contextmanager
def counting(what: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar of recordings; yields what is called with (done, of how many)."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


class FileProgress:
    """A bar over the seconds of audio in all recordings, with the time left."""

    def __init__(self, recordings: list[Recording], quiet: bool) -> None:
        self._seconds = {} if quiet else {recording.id: _seconds(recording) for recording in recordings}
        self._done = 0.0
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("elapsed"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._progress.add_task("Diarizing", total=sum(self._seconds.values()) or None)

    def __enter__(self) -> FileProgress:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def hook(self, recording: Recording) -> Callable[[str, Any, float, float | None], None]:
        """Return the hook that shows how far a recording is: each stage has an equal part in the bar."""
        seconds = self._seconds.get(recording.id, 0.0)
        shares: dict[str, float] = {}

        def tell(stage: str, artifact: Any, done: float, total: float | None) -> None:
            shares[stage] = min(1.0, done / max(total or seconds, 1e-9))
            of = 1 if stage in ALONE else STAGES
            part = sum(shares.values()) / max(len(shares), of)
            self._progress.update(self._task, completed=self._done + part * seconds, description=recording.id)

        return tell

    def finish(self, recording: Recording) -> None:
        """Show that a recording is done with, well or not."""
        self._done += self._seconds.get(recording.id, 0.0)
        self._progress.update(self._task, completed=self._done)

    def summary(self, results: list[Diarization], failed: int, out: Path | None) -> None:
        """Say what came out, a line a recording."""
        summarize(results, out)
        if failed:
            typer.secho(f"{failed} failed", fg=typer.colors.RED, err=True)


def summarize(results: list[Diarization], out: Path | None) -> None:
    """Say what came out, a line a recording, and where it was written."""
    for result in results:
        speech = sum(segment.duration for segment in result.speech)
        count = len(result.speakers)
        typer.echo(
            f"{result.recording_id}: {count} speaker{'' if count == 1 else 's'}, "
            f"{len(result)} turns, {speech:.1f} of {result.duration:.1f} s speech",
            err=True,
        )
    if out is not None and results:
        typer.echo(f"written to {out}", err=True)


def _seconds(recording: Recording) -> float:
    """The length of a recording as far as a bar needs it: a guess of one second where it isn't known."""
    from speakerdiar.audio import probe

    if recording.path is None:
        return recording.duration or 1.0
    try:
        whole = probe(recording).duration or 1.0
    except SpeakerdiarError:
        return 1.0
    return min(recording.duration or whole, max(0.0, whole - recording.offset))
