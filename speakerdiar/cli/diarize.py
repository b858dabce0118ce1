"""`speakerdiar diarize`: recordings in, turns out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speakerdiar.cli.voice_store import Names, StoreOption
from speakerdiar.config import DiarizeConfig, checked_options, field_docs
from speakerdiar.errors import ConfigError, SpeakerdiarError

if TYPE_CHECKING:
    from speakerdiar.annotation import Diarization
    from speakerdiar.cli.progress import FileProgress
    from speakerdiar.mixins import SpkDiarizationMixin
    from speakerdiar.models.settings import DiarizerSettings
    from speakerdiar.recording import Recording

_HELP = field_docs(DiarizeConfig)


def diarize(
    files: Annotated[
        list[str],
        typer.Argument(help="Audio files, folders, globs, manifests (.json, .jsonl), lists (.lst), wav.scp, or -."),
    ],
    model: Annotated[
        str | None, typer.Option(help="Model to use; `speakerdiar models` lists them. By default: embedded.")
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option("--config", help="YAML of model, thresholds and options, as `speakerdiar tune` writes it."),
    ] = None,
    num_speakers: Annotated[int | None, typer.Option(help=_HELP["num_speakers"])] = None,
    min_speakers: Annotated[int | None, typer.Option(help=_HELP["min_speakers"])] = None,
    max_speakers: Annotated[int | None, typer.Option(help=_HELP["max_speakers"])] = None,
    latency: Annotated[str | None, typer.Option(help=_HELP["latency"])] = None,
    postprocessing: Annotated[
        str | None, typer.Option(help="Post-processing: the name of one of the model's presets, or a YAML file.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Where a network runs, such as cuda; the CPU by default.")] = None,
    embedder: Annotated[
        str | None, typer.Option(help="Embedder beside a local segmentation model: ge2e, or a file of weights.")
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="The original toolkit's numbers, window by window; slower.")
    ] = False,
    voices: Annotated[bool, typer.Option("--voices", help="Name the speakers whose voices are enrolled.")] = False,
    store: StoreOption = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE: name the speaker who is heard in this recording; repeat it for others."),
    ] = None,
    name_threshold: Annotated[
        float | None, typer.Option(help="Scores from here on give a name; the voices' embedder's own by default.")
    ] = None,
    format: Annotated[
        str, typer.Option("--format", "-f", help="Formats, with commas: rttm, json, csv, srt, vtt, textgrid, audacity.")
    ] = "rttm",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for one file a recording; else standard output.")
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw each recording's timeline as PNG.")] = False,
    exclusive: Annotated[bool, typer.Option("--exclusive", help="One speaker at a time.")] = False,
    channel: Annotated[str, typer.Option(help="mix, each, or the number of a channel from 0 on.")] = "mix",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no summary; errors only.")] = False,
) -> None:
    """Say who spoke when.

    Turns go to standard output, or with --out to one file a recording and format. A recording that fails is reported
    and doesn't stop the others; the exit code is 1 if any failed. JSON on standard output is one document for one
    recording, an array of documents for several.

    With --voices, --store or --profile, speakers who are known get their names, and the others stay SPEAKER_00, ...
    Options win over what --config holds.
    """
    from speakerdiar.cli.progress import FileProgress, fail, warn

    try:
        formats = formats_of(format, out)
        config = with_postprocessing(DiarizeConfig(latency=latency), postprocessing)
        config.num_speakers, config.min_speakers, config.max_speakers = num_speakers, min_speakers, max_speakers
        config.validate()
        settings = settings_of(config_file)
        names = Names.of(voices, store, profile, name_threshold)
        recordings, missing = named_recordings(files, channel)
    except SpeakerdiarError as error:
        fail(error)
    for problem in missing:
        warn(problem)
    stems = file_stems([recording.id for recording in recordings])
    results: list[Diarization] = []
    with FileProgress(recordings, quiet=quiet) as progress:
        diarizer, config = _load(settings, model, config, names, device=device, embedder=embedder, exact=exact or None)
        for recording in recordings:
            try:
                result = _one(diarizer, recording, config, progress)
                result = result.exclusive if exclusive else result
                write_result(result, formats, out, plot, stems[recording.id])
                results.append(result)
            except (SpeakerdiarError, OSError) as error:
                warn(error, about=recording.path or recording.id)
            progress.finish(recording)
    asked = len(recordings) + len(missing)
    if out is None:
        print_results(results, formats[0], several=asked > 1)
    if not quiet:
        progress.summary(results, asked - len(results), out)
    raise typer.Exit(1 if len(results) < asked else 0)


def formats_of(names: str, out: Path | None) -> list[str]:
    """Return the formats asked for, checked before any work."""
    from speakerdiar.formats import format_named

    wanted = [name.strip().lower() for name in names.split(",") if name.strip()]
    if not wanted:
        raise ConfigError(f"--format {names!r}: name at least one format.")
    for name in wanted:
        format_named(name)
    if len(wanted) > 1 and out is None:
        raise ConfigError(f"--format {names}: several formats need a folder; add --out DIR.")
    if out is not None and out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is a file; name a folder.")
    return wanted


def named_recordings(files: list[str], channel: str) -> tuple[list[Recording], list[str]]:
    """Return the recordings named, and a line for each name that stands for none."""
    from speakerdiar.cli.inputs import recordings_of, with_channel
    from speakerdiar.recording import with_unique_ids

    found: list[Recording] = []
    problems: list[str] = []
    with_channel([], channel)
    for name in files:
        try:
            found += recordings_of([name], channel)
        except (SpeakerdiarError, OSError) as error:
            problems.append(str(error))
    return with_unique_ids(found), problems


def with_postprocessing(config: DiarizeConfig, named: str | None) -> DiarizeConfig:
    """Put a preset's name or a file into the config, and return it."""
    if named is not None and (named.endswith((".yaml", ".yml")) or Path(named).exists()):
        config.postprocessing_yaml = named
    else:
        config.postprocessing_params = named
    return config


def settings_of(file: Path | None) -> DiarizerSettings:
    """Return the settings in a file; without one, none."""
    from speakerdiar.models.settings import DiarizerSettings

    return DiarizerSettings() if file is None else DiarizerSettings.read(file)


def with_settings(config: DiarizeConfig, settings: DiarizerSettings, cls: type[DiarizeConfig]) -> DiarizeConfig:
    """Return a model's own config with the settings' options of a call; those of `config` win."""
    if not settings.diarize:
        return config
    plain = DiarizeConfig()
    given = {name: value for name, value in vars(config).items() if value != getattr(plain, name)}
    told = checked_options(cls, settings.diarize)
    if "postprocessing_yaml" in given or "postprocessing_params" in given:
        told = {name: value for name, value in told.items() if not name.startswith("postprocessing_")}
    return cls(**{**told, **given})


def _load(
    settings: DiarizerSettings, model: str | None, config: DiarizeConfig, names: Names, **options: Any
) -> tuple[SpkDiarizationMixin, DiarizeConfig]:
    """Load the model with the options that aren't None, and return it with the config, voices put in.

    Options that are the model's own are held against it before any audio.
    """
    from speakerdiar.cli.progress import fail

    try:
        diarizer = settings.load(model, **{option: value for option, value in options.items() if value is not None})
        config = with_settings(config, settings, diarizer.DIARIZE_CONFIG)
        config = names.put_into(config, diarizer, options["embedder"] or settings.options.get("embedder"))
        diarizer.check_options(config)
        return diarizer, config
    except SpeakerdiarError as error:
        fail(error)


def _one(
    diarizer: SpkDiarizationMixin, recording: Recording, config: DiarizeConfig, progress: FileProgress
) -> Diarization:
    result: Diarization
    [result] = diarizer.diarize(recording, override_config=config, hook=progress.hook(recording))
    return result


def write_result(result: Diarization, formats: list[str], out: Path | None, plot: bool, stem: str) -> None:
    """Write a result into a folder in each of the formats, and draw it."""
    from speakerdiar import plotting
    from speakerdiar.formats import format_named

    if out is not None:
        for name in formats:
            result.save(out / f"{stem}{format_named(name).suffixes[0]}")
    if plot:
        plotting.save_plot(result, (out or Path()) / f"{stem}.png")


def file_stem(recording_id: str) -> str:
    """Return an id as a relative path that stays inside the folder it is put in (a manifest may hold any id)."""
    parts = [part for part in recording_id.replace("\\", "/").replace("\0", "").split("/") if part.strip(". ")]
    return "/".join(part.replace(":", "_") for part in parts) or "recording"


def file_stems(recording_ids: list[str]) -> dict[str, str]:
    """Return a path for each id, as `file_stem` does, numbered where two ids give one path."""
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for recording_id in recording_ids:
        stem = file_stem(recording_id)
        numbered = (f"{stem}#{number}" for number in range(2, len(recording_ids) + 2))
        stems[recording_id] = stem if stem not in taken else next(name for name in numbered if name not in taken)
        taken.add(stems[recording_id])
    return stems


def print_results(results: list[Diarization], name: str, several: bool) -> None:
    """Write results to standard output: text one after the other; JSON as one document, or an array of them."""
    from speakerdiar.cli.progress import fail
    from speakerdiar.formats import dumps

    if name == "json":
        documents = [result.to_json() for result in results]
        texts = (
            [json.dumps(documents if several else documents[0], ensure_ascii=False) + "\n"]
            if documents or several
            else []
        )
    else:
        texts = [dumps(result, name) for result in results]
    try:
        for text in texts:
            typer.echo(text, nl=False)
        sys.stdout.flush()
    except OSError as error:
        sys.stdout = None  # what is left in its buffer can't be written either
        fail(RuntimeError(f"standard output: {error.strerror or error}"))
