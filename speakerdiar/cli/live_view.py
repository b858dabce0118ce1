"""How `speakerdiar stream` shows what it hears: on a terminal, as lines of text, or as JSON lines."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from speakerdiar.annotation import Turn
    from speakerdiar.mixins import StreamingSession
    from speakerdiar.mixins.sessions import SessionStats
    from speakerdiar.updates import StreamingUpdate

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red", "bright_cyan", "bright_green")


class LiveView(AbstractContextManager["LiveView"]):
    """Settled turns, one a line: start and end in seconds and the speaker, with tabs between. For other programs."""

    def show(self, update: StreamingUpdate, session: StreamingSession) -> None:
        """Show what is new, at once."""
        for turn in update.final:
            typer.echo(f"{turn.start:.3f}\t{turn.end:.3f}\t{turn.speaker}")
        sys.stdout.flush()

    def __exit__(self, *exception: object) -> None:
        """Nothing is left to tidy."""


class JsonView(LiveView):
    """Every update that says something, as one line of JSON."""

    def __init__(self) -> None:
        self._last: object = None

    def show(self, update: StreamingUpdate, session: StreamingSession) -> None:
        """Show an update, unless only its clock is new."""
        told = (update.tentative, update.final_until)
        if told != self._last or update.final or update.events or update.relabelled:
            typer.echo(json.dumps(update.to_json(), ensure_ascii=False))
            sys.stdout.flush()
        self._last = told


class TerminalView(LiveView):
    """Settled turns scroll up; below them those that may still change, and how well the model keeps up.

    Args:
        console: where to draw.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._colours: dict[str, str] = {}
        # Warnings then go above the display. Where standard error isn't a terminal, it keeps its own way.
        self._live = Live(console=console, transient=True, redirect_stderr=sys.stderr.isatty())

    def __enter__(self) -> TerminalView:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def show(self, update: StreamingUpdate, session: StreamingSession) -> None:
        """Print settled turns above the display, and renew it."""
        for turn in update.final:
            self._console.print(self._line(turn))
        open_turns = [self._line(turn, "dim") for turn in update.tentative]
        self._live.update(Group(*open_turns, Text(_status(update, session.stats), "bold")))

    def _line(self, turn: Turn, style: str = "") -> Text:
        line = Text(f"{clock(turn.start)} - {clock(turn.end)}  ", style)
        colour = self._colours.setdefault(turn.speaker, _COLOURS[len(self._colours) % len(_COLOURS)])
        return line.append(turn.speaker, f"{style} {colour}".strip())


def clock(seconds: float) -> str:
    """Return seconds as `00:12.3`, from an hour on as `1:00:12.3`.

    >>> clock(59.96), clock(3723.45)
    ('01:00.0', '1:02:03.4')
    """
    minutes, tenths = divmod(round(seconds * 10), 600)
    hours, minutes = divmod(minutes, 60)
    return f"{f'{hours}:' if hours else ''}{minutes:02d}:{tenths / 10:04.1f}"


def stats_table(stats: SessionStats) -> Table:
    """Return what a session took: the latency that the preset brings, and apart from it, that of computing."""
    table = Table("latency", "value", "what it is", show_edge=False)
    table.add_row("algorithmic", f"{stats.latency_seconds:.2f} s", "of the preset: audio heard before a decision")
    table.add_row("compute, p50", _milliseconds(stats.step_p50), f"median of {stats.steps} steps")
    table.add_row("compute, p95", _milliseconds(stats.step_p95), "19 of 20 steps took no longer")
    spent = f"{stats.compute_seconds:.2f} s of computing, {stats.audio_seconds:.2f} s of audio"
    table.add_row("real-time factor", f"{stats.real_time_factor:.3f}", spent)
    return table


def _status(update: StreamingUpdate, stats: SessionStats) -> str:
    return (
        f"{clock(update.time)}  latency {stats.latency_seconds:.2f} s, computing {_milliseconds(stats.step_p50)} "
        f"a step, real-time factor {stats.real_time_factor:.2f}"
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
