"""`speakerdiar score`: how far turns are from a reference."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speakerdiar.errors import ConfigError, SpeakerdiarError

if TYPE_CHECKING:
    from speakerdiar.annotation import Diarization


class Missing(str, enum.Enum):
    """What becomes of a reference without hypothesis."""

    error = "error"
    empty = "empty"


class Convention(str, enum.Enum):
    """Whose rules hold where tools differ."""

    pyannote = "pyannote"
    greedy = "pyannote-greedy"
    md_eval = "md-eval"


def score(
    reference: Annotated[Path, typer.Argument(help="Reference turns: a file (RTTM, JSON, ...) or a folder of them.")],
    hypothesis: Annotated[Path, typer.Argument(help="Turns to score: a file or a folder.")],
    collar: Annotated[float, typer.Option(help="Seconds not scored on either side of each reference border.")] = 0.0,
    skip_overlap: Annotated[bool, typer.Option("--skip-overlap", help="Score only where one speaker talks.")] = False,
    uem: Annotated[Path | None, typer.Option(help="Scored regions; else all that either side covers.")] = None,
    missing: Annotated[
        Missing, typer.Option(help="What a reference without hypothesis is: an error, or empty (all missed).")
    ] = Missing.error,
    convention: Annotated[
        Convention, typer.Option(help="Whose rules hold where tools differ (docs: guides/scoring).")
    ] = Convention.pyannote,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Score turns against a reference: DER with its parts, JER and speaker counts, per file and in total."""
    from speakerdiar.cli.progress import fail
    from speakerdiar.formats import uem as uem_format
    from speakerdiar.metrics import score_files

    try:
        report = score_files(
            read_turns(reference),
            read_turns(hypothesis),
            collar=collar,
            skip_overlap=skip_overlap,
            uems=None if uem is None else uem_format.load(uem),
            missing=missing.value,
            convention=convention.value,
        )
    except SpeakerdiarError as error:
        fail(error)
    if as_json:
        typer.echo(json.dumps(report.to_json(), ensure_ascii=False, indent=2))
    else:
        typer.echo(report.to_table())


def read_turns(path: Path) -> dict[str, Diarization]:
    """Return the turns of a file, or of all readable files of a folder, by recording.

    Raises:
        ConfigError: nothing of the kind is there, or a recording stands in two files.
        InputError: a file that can't be read.
    """
    from speakerdiar.annotation import Diarization
    from speakerdiar.formats import is_readable, load

    if not path.exists():
        raise ConfigError(f"{path}: there is no such file or folder.")
    files = [path]
    if path.is_dir():
        # RTTM is what a folder of references is made of; other files there may be anything (audio, words, settings).
        files = sorted(path.glob("*.rttm")) or sorted(p for p in path.iterdir() if p.is_file() and is_readable(p))
    if not files:
        raise ConfigError(f"{path}: no turns in this folder.")
    found: dict[str, Diarization] = {}
    for file in files:
        # A file without turns says that nobody speaks; which recording it is of, its name tells.
        for result in load(file) or [Diarization(file.stem, 0.0)]:
            if result.recording_id in found:
                raise ConfigError(f"{file}: recording {result.recording_id!r} stands in two files of {path}.")
            found[result.recording_id] = result
    return found
