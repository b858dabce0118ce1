"""`speakerdiar embed`: voices as vectors."""

from __future__ import annotations

import enum
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speakerdiar.annotation import Diarization, Segment, active_speakers
from speakerdiar.errors import ConfigError, InputError, SpeakerdiarError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from speakerdiar.models.verification import Verifier
    from speakerdiar.recording import Recording


class Per(str, enum.Enum):
    """What each vector stands for, where turns are given."""

    turn = "turn"
    speaker = "speaker"


@dataclass(frozen=True)
class Row:
    """A vector and whose voice it is; what isn't known is None."""

    recording_id: str
    vector: NDArray[np.float32]
    speaker: str | None = None
    start: float | None = None
    end: float | None = None


def embed(
    files: Annotated[
        list[str],
        typer.Argument(help="Audio files, folders, globs, manifests (.json, .jsonl), lists (.lst), wav.scp, or -."),
    ],
    embedder: Annotated[
        str, typer.Option(help="What turns speech into vectors: ge2e, or the path of a weight file.")
    ] = "ge2e",
    segments: Annotated[
        Path | None,
        typer.Option(help="Turns to embed (RTTM, JSON, ...), matched by recording; else each file's speech."),
    ] = None,
    per: Annotated[Per, typer.Option(help="With --segments: a vector for each turn, or for each speaker.")] = Per.turn,
    output: Annotated[str, typer.Option("--output", "-o", help="File (.npz or .json), or - for JSON.")] = "-",
    channel: Annotated[str, typer.Option(help="mix, each, or the number of a channel from 0 on.")] = "mix",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar; errors only.")] = False,
) -> None:
    """Turn voices into vectors: one for each file, turn or speaker.

    Without --segments, what is speech in a file gives its vector. A recording that fails is reported and doesn't stop
    the others; the exit code is 1 if any failed.
    """
    from speakerdiar.cli.per_recording import each_recording
    from speakerdiar.cli.progress import fail
    from speakerdiar.models.verification import Verifier

    try:
        _check(output)
        turns = None if segments is None else _turns(segments)
        verifier = Verifier(embedder)
        found, asked = each_recording(files, channel, lambda r: _rows(verifier, r, turns, per), "Embedding", quiet)
    except SpeakerdiarError as error:
        fail(error)
    try:
        _write([row for rows in found for row in rows], embedder, output)
    except OSError as error:
        fail(RuntimeError(f"{output}: {error.strerror or error}"))
    raise typer.Exit(1 if len(found) < asked else 0)


def _check(output: str) -> None:
    if output != "-" and Path(output).suffix.lower() not in (".npz", ".json"):
        raise ConfigError(f"--output {output}: name a file that ends in .npz or .json, or - for JSON here.")


def _turns(path: Path) -> dict[str, Diarization]:
    from speakerdiar.formats import load

    return {found.recording_id: found for found in load(path)}


def _rows(verifier: Verifier, recording: Recording, turns: dict[str, Diarization] | None, per: Per) -> list[Row]:
    """Return the vectors of a recording."""
    if turns is None:
        return [Row(recording.id, verifier.embed(recording))]
    if recording.id not in turns:
        raise InputError(f"{recording.id}: no turns of this recording in --segments: it has {', '.join(turns)}.")
    from speakerdiar.audio import load

    embedder, found = verifier.embedder, turns[recording.id]
    samples = load(recording, embedder.sample_rate)
    heard = found.shifted(-recording.offset)
    if per is Per.speaker:
        return _of_speakers(verifier, recording, samples, heard)
    vectors = embedder.embed(samples, heard.turns)
    pairs = zip(found, vectors, strict=True)
    return [Row(recording.id, vector, turn.speaker, turn.start, turn.end) for turn, vector in pairs]


def _of_speakers(
    verifier: Verifier, recording: Recording, samples: NDArray[np.float32], found: Diarization
) -> list[Row]:
    """Return a vector for each speaker: of where nobody else talks, or of all turns where there is no such moment."""
    import numpy as np

    from speakerdiar.models.verification import embed_parts

    alone: dict[str, list[Segment]] = {name: [] for name in found.speakers}
    for segment, names in active_speakers(found.turns):
        if len(names) == 1:
            alone[next(iter(names))].append(segment)
    rows = []
    for name, parts in alone.items():
        spoken = parts or [turn.segment for turn in found if turn.speaker == name]
        borders = np.array([tuple(segment) for segment in spoken])
        rows.append(Row(recording.id, embed_parts(verifier.embedder, samples, borders, recording.id), name))
    return rows


def _write(rows: list[Row], embedder: str, output: str) -> None:
    """Write the vectors: JSON, or arrays of one length in a .npz file."""
    import numpy as np

    from speakerdiar.formats import files

    if Path(output).suffix.lower() == ".npz":
        columns: dict[str, Any] = {
            "vectors": np.array([row.vector for row in rows], dtype=np.float32),
            "recordings": np.array([row.recording_id for row in rows], dtype=str),
        }
        for name, key in (("speakers", "speaker"), ("starts", "start"), ("ends", "end")):
            values = [getattr(row, key) for row in rows]
            if rows and None not in values:
                columns[name] = np.array(values)
        data = io.BytesIO()
        np.savez(data, **columns)
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        Path(output).write_bytes(data.getvalue())
        return
    document = {"version": 1, "embedder": embedder, "embeddings": [_plain(row) for row in rows]}
    text = json.dumps(document, ensure_ascii=False) + "\n"
    if output == "-":
        typer.echo(text, nl=False)
    else:
        files.write_text(output, text)


def _plain(row: Row) -> dict[str, Any]:
    known = {name: value for name, value in vars(row).items() if value is not None and name != "vector"}
    return {**known, "vector": [round(float(value), 7) for value in row.vector]}
