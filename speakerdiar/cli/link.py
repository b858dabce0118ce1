"""`speakerdiar link`: the same person by the same name in many recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speakerdiar.errors import ConfigError, SpeakerdiarError

if TYPE_CHECKING:
    from speakerdiar.annotation import Diarization
    from speakerdiar.cli.link_sources import Source, Speakers
    from speakerdiar.mixins.embedding import EmbeddingMixin
    from speakerdiar.mixins.naming import VoiceSource
    from speakerdiar.voiceprints.appearances import WhoIsWhere
    from speakerdiar.voiceprints.archive import Archive


def link(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder of recordings, of JSON from `speakerdiar diarize --format json`, or of both."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for the renamed turns, and all that a later run goes on from."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="What diarizes recordings without JSON; the JSON's embeddings must be this model's too.")
    ] = "embedded",
    store: Annotated[
        Path | None, typer.Option(help="File of enrolled voices: who is one of them gets that name.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Least average similarity (cosine) of a person's parts; the embedder's own by default."),
    ] = None,
    format: Annotated[
        str,
        typer.Option("--format", "-f", help="Formats of the turns in --out, with commas: rttm, json, csv, srt, ..."),
    ] = "rttm",
    report: Annotated[
        Path | None, typer.Option(help="File (.csv or .json) for the whole report of who appears where.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar; the report and errors only.")] = False,
) -> None:
    """Give the same person the same name in all recordings of a folder, and say who appears where.

    A JSON document beside a recording of the same name is used instead of diarizing. With --out, what was diarized is
    kept (diarized/), so that a run that was stopped goes on, renamed turns are written (linked/), and persons keep
    their names when recordings are added (archive.json, which holds voiceprints: biometric data). A recording that
    fails is reported and doesn't stop the others; the exit code is 1 if any failed.
    """
    from speakerdiar.cli.diarize import file_stems
    from speakerdiar.cli.link_sources import Speakers, sources_in
    from speakerdiar.cli.progress import fail

    try:
        formats = _formats(format, out, report)
        sources = sources_in(folder, out)
        voices = _voices(store)
        speakers = Speakers.of(model, voices, out)
        known = _known(out, speakers.embedder, threshold)
        stems = file_stems([source.id for source in sources])
        found, failed = _diarized(sources, stems, speakers, quiet)
        who = _linked(found, stems, formats, out, speakers.embedder, threshold, known, voices)
        _write(who, report)
    except (SpeakerdiarError, OSError) as error:
        fail(error)
    typer.echo(who.to_table())
    raise typer.Exit(1 if failed else 0)


def _formats(names: str, out: Path | None, report: Path | None) -> list[str]:
    """Return the formats of the turns; refuse what can't be written before any work."""
    from speakerdiar.cli.diarize import formats_of

    if report is not None and report.suffix.lower() not in (".csv", ".json"):
        raise ConfigError(f"--report {report}: name a file that ends in .csv or .json.")
    return formats_of(names, out)


def _voices(store: Path | None) -> VoiceSource | None:
    from speakerdiar.cli.voice_store import opened

    return None if store is None else opened(store)


def _known(out: Path | None, embedder: EmbeddingMixin, threshold: float | None) -> Archive:
    """Return what is remembered; where that is nothing yet, put down whose vectors --out is for."""
    from speakerdiar.cli.link_sources import ARCHIVE
    from speakerdiar.voiceprints.archive import Archive
    from speakerdiar.voiceprints.linking import link_recordings

    link_recordings([], embedder=embedder, threshold=threshold)  # refuses a threshold before hours of work
    if out is None:
        return Archive()
    if not (out / ARCHIVE).exists():
        Archive().save(out / ARCHIVE, embedder)
    return Archive.load(out / ARCHIVE, embedder)


def _diarized(
    sources: list[Source], stems: dict[str, str], speakers: Speakers, quiet: bool
) -> tuple[list[Diarization], int]:
    """Return the recordings with their turns and vectors, and how many failed; these are reported."""
    from speakerdiar.cli.progress import counting, warn

    found, failed = [], 0
    with counting("Diarizing", quiet) as advance:
        for done, source in enumerate(sources, start=1):
            try:
                result = speakers.diarized(source, stems[source.id])
                found += [] if result is None else [result]
            except (SpeakerdiarError, OSError) as error:
                failed += 1
                warn(error, about=str(source.path))
            advance(done, len(sources))
    return found, failed


def _linked(
    found: list[Diarization],
    stems: dict[str, str],
    formats: list[str],
    out: Path | None,
    embedder: EmbeddingMixin,
    threshold: float | None,
    known: Archive,
    voices: VoiceSource | None,
) -> WhoIsWhere:
    """Link recordings, write what came of it, and return who is where."""
    from speakerdiar.cli.diarize import write_result
    from speakerdiar.cli.link_sources import ARCHIVE, LINKED
    from speakerdiar.voiceprints.linking import link_recordings

    linked = link_recordings(found, embedder=embedder, threshold=threshold, known=known, voices=voices)
    if out is not None:
        linked.archive.save(out / ARCHIVE, embedder)
        for result in linked.results:
            write_result(result, formats, out / LINKED, False, stems[result.recording_id])
    return linked.who_is_where


def _write(who: WhoIsWhere, report: Path | None) -> None:
    from speakerdiar.formats import files

    if report is not None:
        is_table = report.suffix.lower() == ".csv"
        files.write_text(report, who.to_csv() if is_table else json.dumps(who.to_json(), ensure_ascii=False, indent=1))
