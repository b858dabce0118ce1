"""`speakerdiar stream`: live audio in, turns out while it is heard."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speakerdiar.config import DiarizeConfig, field_docs
from speakerdiar.errors import ConfigError, SpeakerdiarError, closest

if TYPE_CHECKING:
    from speakerdiar.cli.live_input import CtrlC
    from speakerdiar.cli.live_view import LiveView
    from speakerdiar.mixins import StreamingMixin, StreamingSession
    from speakerdiar.updates import StreamingUpdate

_HELP = field_docs(DiarizeConfig)
_FORMATS = ("live", "tsv", "jsonl")
INTERRUPTED = 130
"""Exit code of a program that Ctrl-C ended before it did anything, as shells have it."""


def stream(
    source: Annotated[str, typer.Argument(help="An audio file; mic, mic:3, mic:NAME; or - for WAV or PCM on a pipe.")],
    model: Annotated[str, typer.Option(help="Model to use; one that streams.")] = "embedded",
    latency: Annotated[str | None, typer.Option(help=_HELP["latency"])] = None,
    num_speakers: Annotated[int | None, typer.Option(help=_HELP["num_speakers"])] = None,
    min_speakers: Annotated[int | None, typer.Option(help=_HELP["min_speakers"])] = None,
    max_speakers: Annotated[int | None, typer.Option(help=_HELP["max_speakers"])] = None,
    postprocessing: Annotated[
        str | None, typer.Option(help="Post-processing: the name of one of the model's presets, or a YAML file.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Where a network runs, such as cuda; the CPU by default.")] = None,
    format: Annotated[
        str | None, typer.Option("--format", "-f", help="live (a terminal's default), tsv (else), or jsonl.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File for all turns at the end, in the format of its suffix.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Stop after this many seconds of audio.")] = None,
    rate: Annotated[int, typer.Option(help="Hz of raw PCM.")] = 16000,
    channels: Annotated[int, typer.Option(help="Channels of raw PCM.")] = 1,
    dtype: Annotated[str, typer.Option(help="Type of raw PCM: uint8, int16, int24, int32, float32.")] = "int16",
    pace: Annotated[bool, typer.Option("--pace", help="Play a file at the pace of a live recording.")] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Say at the end what latency came of what.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Settled turns and errors only.")] = False,
) -> None:
    """Say who speaks, live.

    On a terminal, settled turns scroll up and those that may still change stand below, with the clock. Else each turn
    is a line as soon as it is settled: start, end and speaker, with tabs between. Gaps and overruns of the audio, and
    speakers found to be another one, are warnings on standard error. Ctrl-C ends well: what was heard is settled and
    written, and the exit code is 0 (130 if nothing was heard).
    """
    from speakerdiar.cli.diarize import with_postprocessing
    from speakerdiar.cli.live_input import CtrlC, RawPcm, open_input
    from speakerdiar.cli.progress import fail, summarize
    from speakerdiar.updates import joined

    told = with_postprocessing(DiarizeConfig(), postprocessing)
    options = {
        "num_speakers": num_speakers,
        "min_speakers": min_speakers,
        "max_speakers": max_speakers,
        "postprocessing_yaml": told.postprocessing_yaml,
        "postprocessing_params": told.postprocessing_params,
    }
    ctrl_c = CtrlC()
    with ExitStack() as opened:
        try:
            shape = _format(format, quiet)
            _check(out, seconds)
            live = open_input(source, RawPcm(rate, channels, dtype), pace, opened)
            session = opened.enter_context(
                _load(model, device).stream(latency, sample_rate=live.sample_rate, **options)
            )
            chunks = _limited(live.chunks(session.sample_rate), session.sample_rate, seconds)
            with _view(shape) as view:
                listener = _Listener(session, view, ctrl_c, quiet)
                result = joined(listener.updates(chunks), live.id)
            written = None if out is None else result.save(out)
        except (SpeakerdiarError, OSError) as error:
            fail(error)
        if stats:
            _print_stats(session)
    if not quiet:
        summarize([result], written)
    if listener.troubles:
        fail(listener.troubles[0])
    raise typer.Exit(INTERRUPTED if ctrl_c.pressed and not result.duration else 0)


@dataclass
class _Listener:
    """Pushes chunks into a session and shows what comes of them. Trouble ends that, and what was heard is settled."""

    session: StreamingSession
    view: LiveView
    ctrl_c: CtrlC
    quiet: bool
    troubles: list[Exception] = field(default_factory=list)

    def updates(self, chunks: Iterable[Any]) -> Iterator[StreamingUpdate]:
        """Yield the updates of all chunks, and the last one."""
        for update in self._heard(chunks):
            self._show(update)
            yield update

    def _heard(self, chunks: Iterable[Any]) -> Iterator[StreamingUpdate]:
        try:
            for chunk in self.ctrl_c.until(chunks):
                yield self.session.push(chunk)
        except SpeakerdiarError as error:
            self.troubles.append(error)
        try:
            last = self.session.finish()
        except SpeakerdiarError as error:
            self.troubles.append(error)
        else:
            yield last

    def _show(self, update: StreamingUpdate) -> None:
        if sys.stdout is not None:
            try:
                self.view.show(update, self.session)
            except OSError as error:
                self.troubles.append(RuntimeError(f"standard output: {error.strerror or error}"))
                sys.stdout = None  # what is left in its buffer can't be written either
                self.ctrl_c.stop()
        for event in () if self.quiet else update.events:
            typer.secho(f"warning: {event.kind}: {event.message}", fg=typer.colors.YELLOW, err=True)


def _format(name: str | None, quiet: bool) -> str:
    if name is None:
        return "live" if sys.stdout.isatty() and not quiet else "tsv"
    if name not in _FORMATS:
        raise ConfigError(f"--format {name}: {closest(name, _FORMATS).strip()} Give one of {', '.join(_FORMATS)}.")
    return name


def _check(out: Path | None, seconds: float | None) -> None:
    """Refuse before any work what couldn't be done after it."""
    from speakerdiar.formats import FORMATS, is_readable

    if seconds is not None and not seconds > 0:
        raise ConfigError(f"--seconds {seconds:g}: give seconds above 0, or leave it out.")
    if out is not None and (out.is_dir() or not is_readable(out)):
        suffixes = " ".join(suffix for format in FORMATS.values() for suffix in format.suffixes)
        raise ConfigError(f"--out {out}: name a file with one of the suffixes {suffixes}.")


def _load(name: str, device: str | None) -> StreamingMixin:
    from speakerdiar.mixins import StreamingMixin
    from speakerdiar.models import load_model

    model = load_model(name, **({} if device is None else {"device": device}))
    if not isinstance(model, StreamingMixin):
        raise ConfigError(f"--model {name}: doesn't stream. Models that do: {', '.join(_streaming_models())}.")
    return model


def _streaming_models() -> list[str]:
    import importlib

    from speakerdiar.mixins import StreamingMixin
    from speakerdiar.models import MODELS

    homes = {name: info.home.partition(":") for name, info in MODELS.items()}
    classes = {name: getattr(importlib.import_module(module), cls) for name, (module, _, cls) in homes.items()}
    return [name for name, cls in classes.items() if issubclass(cls, StreamingMixin)]


def _limited(chunks: Iterable[Any], rate: int, seconds: float | None) -> Iterable[Any]:
    from speakerdiar.mixins.live import limited

    return chunks if seconds is None else limited(chunks, rate, seconds)


def _view(shape: str) -> LiveView:
    from rich.console import Console

    from speakerdiar.cli.live_view import JsonView, LiveView, TerminalView

    if shape == "live":
        return TerminalView(Console())
    return JsonView() if shape == "jsonl" else LiveView()


def _print_stats(session: StreamingSession) -> None:
    from rich.console import Console

    from speakerdiar.cli.live_view import stats_table

    Console(stderr=True).print(stats_table(session.stats))
