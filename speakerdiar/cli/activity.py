"""`speakerdiar vad`, `overlap` and `changes`: what a model hears without telling speakers apart."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, runtime_checkable

import typer

from speakerdiar.annotation import Diarization, Segment, Turn
from speakerdiar.errors import ConfigError, SpeakerdiarError

if TYPE_CHECKING:
    from speakerdiar.mixins import SpkDiarizationMixin
    from speakerdiar.postprocessing.speech_activity import SpeechActivity
    from speakerdiar.recording import Recording

_Files = Annotated[
    list[str],
    typer.Argument(help="Audio files, folders, globs, manifests (.json, .jsonl), lists (.lst), wav.scp, or -."),
]
_Model = Annotated[str, typer.Option(help="A name that `speakerdiar models` lists, or the path of weights.")]
_Format = Annotated[
    str, typer.Option("--format", "-f", help="Formats, with commas: rttm, json, csv, srt, vtt, textgrid, audacity.")
]
_Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder for one file a recording; else standard output.")
]
_Channel = Annotated[str, typer.Option(help="mix, each, or the number of a channel from 0 on.")]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar; errors only.")]


@runtime_checkable
class Listener(Protocol):
    """A model that finds speech, overlap and changes in one pass."""

    def segment(self, audio: Any) -> SpeechActivity:
        """Return what is heard; times count from where the recording begins to be looked at."""


def vad(
    files: _Files,
    model: _Model = "embedded",
    format: _Format = "rttm",
    out: _Out = None,
    channel: _Channel = "mix",
    quiet: _Quiet = False,
) -> None:
    """Say where there is speech, whoever speaks.

    Segments come in the formats of `diarize`, as turns of a speaker named `speech`.
    """
    _segments("speech", files, model, format, out, channel, quiet)


def overlap(
    files: _Files,
    model: _Model = "embedded",
    format: _Format = "rttm",
    out: _Out = None,
    channel: _Channel = "mix",
    quiet: _Quiet = False,
) -> None:
    """Say where two or more people speak at once.

    Segments come in the formats of `diarize`, as turns of a speaker named `overlap`. It takes a model with local
    segmentation, such as pyannote's.
    """
    _segments("overlap", files, model, format, out, channel, quiet)


def changes(
    files: _Files,
    model: _Model = "embedded",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
    channel: _Channel = "mix",
    quiet: _Quiet = False,
) -> None:
    """Say when speech passes from some speakers to others: a line a change, recording and seconds.

    It takes a model with local segmentation, such as pyannote's.
    """
    from speakerdiar.cli.per_recording import each_recording
    from speakerdiar.cli.progress import fail

    try:
        listener = _listener(_loaded(model), model, "changes")

        def find(recording: Recording) -> dict[str, Any]:
            times = [round(time + recording.offset, 6) for time in listener.segment(recording).changes]
            return {"recording_id": recording.id, "changes": times}

        results, asked = each_recording(files, channel, find, "Listening", quiet)
    except SpeakerdiarError as error:
        fail(error)
    if as_json:
        typer.echo(json.dumps(results, ensure_ascii=False))
    else:
        for result in results:
            for time in result["changes"]:
                typer.echo(f"{result['recording_id']}\t{time:.3f}")
    raise typer.Exit(1 if len(results) < asked else 0)


def _segments(
    what: str, files: list[str], model: str, format: str, out: Path | None, channel: str, quiet: bool
) -> None:
    """Find speech or overlap in recordings, and save or print it."""
    from speakerdiar.cli.diarize import file_stems, formats_of, print_results, write_result
    from speakerdiar.cli.per_recording import each_recording
    from speakerdiar.cli.progress import fail

    try:
        formats = formats_of(format, out)
        finder = _finder(model, what)
        results, asked = each_recording(files, channel, finder, "Listening", quiet)
        if out is not None:
            stems = file_stems([result.recording_id for result in results])
            for result in results:
                write_result(result, formats, out, False, stems[result.recording_id])
    except SpeakerdiarError as error:
        fail(error)
    except OSError as error:
        fail(RuntimeError(f"--out {out}: {error.strerror or error}"))
    if out is None:
        print_results(results, formats[0], several=asked > 1)
    raise typer.Exit(1 if len(results) < asked else 0)


def _finder(name: str, what: str) -> Callable[[Recording], Diarization]:
    """Return what finds speech or overlap in a recording."""
    from speakerdiar.mixins.segmentation import SegmentationMixin

    model = _loaded(name)
    segmenter = getattr(model, "segmenter", None)
    if what == "speech" and not isinstance(model, Listener) and isinstance(segmenter, SegmentationMixin):
        return lambda recording: _speech(recording, segmenter, model.DEFAULT_POSTPROCESSING)
    listener = _listener(model, name, what)

    def find(recording: Recording) -> Diarization:
        found = listener.segment(recording)
        return _as_turns(recording, found.speech if what == "speech" else found.overlap, what, found.duration)

    return find


def _speech(recording: Recording, segmenter: Any, params: Any) -> Diarization:
    from speakerdiar.audio import read_blocks
    from speakerdiar.models.segmenters.speech import find_speech

    regions, seconds = find_speech(segmenter, read_blocks(recording, segmenter.sample_rate), params)
    return _as_turns(recording, (Segment(*region) for region in regions.tolist()), "speech", seconds)


def _as_turns(recording: Recording, segments: Iterable[Segment], name: str, seconds: float) -> Diarization:
    turns = tuple(Turn(segment.start, segment.end, name) for segment in segments)
    return Diarization(recording.id, seconds, turns).shifted(recording.offset)


def _loaded(name: str) -> SpkDiarizationMixin:
    from speakerdiar.models import load_model

    return load_model(name)


def _listener(model: SpkDiarizationMixin, name: str, what: str) -> Listener:
    """Return the model, if it hears more than who speaks when. Raises ConfigError, naming those that do."""
    if isinstance(model, Listener):
        return model
    from speakerdiar.models import MODELS

    homes = {row: info.home.partition(":") for row, info in MODELS.items()}
    able = [
        row
        for row, (module, _, cls) in homes.items()
        if hasattr(getattr(importlib.import_module(module), cls), "segment")
    ]
    raise ConfigError(
        f"--model {name} doesn't find {what}: give a model with local segmentation, such as "
        f"{', '.join([*able, 'the path of a pyannote pipeline or of segmentation weights'])}."
    )
