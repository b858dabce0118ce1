"""Who spoke when as a timeline, drawn with matplotlib (extra `plot`) and without pyplot's global state.

One lane a speaker, in order of first appearance; where people talk at once, all lanes are shaded and a row of its own
says so. With a reference, each of its speakers stands right above the one that it shares most time with.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.annotation import Diarization, Segment
from speakerdiar.errors import FormatError, MissingExtraError
from speakerdiar.frames import FrameScores
from speakerdiar.matching import match

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
"""The colours of Okabe and Ito (2008), which colour-blind people can tell apart. They return darker, then paler."""
DARK, LANE, SHADE = "#333333", "#F2F2F2", "#C8C8C8"
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)
LONGEST_NAME, LONGEST_TITLE = 28, 56
PAIR_GAP = 0.45


@dataclass(frozen=True)
class _Row:
    """One lane: what its label says, where its bars lie, and how they look."""

    name: str
    segments: tuple[Segment, ...]
    color: Any
    is_reference: bool = False
    height: float = 0.8
    y: float = 0.0  # of its middle; grows downwards

    @property
    def seconds(self) -> float:
        return sum(segment.duration for segment in self.segments)


def plot_diarization(
    diarization: Diarization,
    ax: Axes | None = None,
    *,
    reference: Diarization | None = None,
    scores: FrameScores | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the turns as a timeline and return the axis; nothing is shown and pyplot isn't touched.

    Args:
        diarization: what to draw.
        ax: axis to draw on; without one a figure of fitting size is made (`ax.figure`).
        reference: what truly happened, drawn pale above each matching speaker.
        scores: frame scores (0..1) to draw as a line in the lane of the speaker of the same name.
        title: text above the plot; the recording's id by default.

    Raises:
        MissingExtraError: matplotlib isn't installed.
    """
    _need_matplotlib()
    rows = _placed(_groups(diarization, reference))
    if ax is None:
        ax = _figure(rows).add_subplot()
    span = _span(diarization, reference)
    _draw_lanes(ax, rows, span)
    if reference is None:
        _shade_overlap(ax, diarization.overlap, rows)
    _draw_bars(ax, rows)
    if scores is not None:
        _draw_scores(ax, rows, scores)
    _label_speakers(ax, rows)
    _label_time(ax, span)
    _label_plot(ax, diarization, title)
    if reference is not None:
        _add_legend(ax)
    return ax


def save_plot(
    diarization: Diarization, path: str | os.PathLike[str], reference: Diarization | None = None, **options: Any
) -> Path:
    """Draw the turns into an image file (.png, .svg, .pdf, ...) and return its path.

    `options` are those of `plot_diarization`.

    Raises:
        MissingExtraError: matplotlib isn't installed.
        FormatError: no image format has this suffix.
    """
    target = Path(path)
    canvas = plot_diarization(diarization, reference=reference, **options).figure.canvas
    known = canvas.get_supported_filetypes()
    kind = target.suffix.lstrip(".").lower()
    if kind not in known:
        raise FormatError(f"can't draw {target.suffix or 'a file without suffix'}: use .{', .'.join(sorted(known))}.")
    canvas.print_figure(target, format=kind, bbox_inches="tight")
    return target


def clock(seconds: float) -> str:
    """Return a length of time as `12.3 s`, `4:05` or `1:02:03`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    return _tick(round(seconds), "h:mm:ss" if round(seconds) >= 3600 else "m:ss")


# Who stands where


def _groups(diarization: Diarization, reference: Diarization | None) -> list[list[_Row]]:
    """Rows that belong together: a speaker, or a reference speaker and their match; overlap comes last."""
    if reference is None:
        spoken = _speech_of_each(diarization).items()
        speakers = [[_Row(name, segments, _color(i))] for i, (name, segments) in enumerate(spoken)]
        overlap = [_Row("overlap", diarization.overlap, DARK, height=0.4)]
    else:
        speakers = _pairs(diarization, reference)
        overlap = [
            _Row("overlap (reference)", reference.overlap, DARK, is_reference=True),
            _Row("overlap", diarization.overlap, DARK),
        ]
    return [*speakers, overlap] if any(row.segments for row in overlap) else speakers


def _pairs(diarization: Diarization, reference: Diarization) -> list[list[_Row]]:
    """Each speaker of the reference with their match, then whoever is left over."""
    truth, found = _speech_of_each(reference), _speech_of_each(diarization)
    gain = np.array([_shared_seconds(a, b) for a in truth.values() for b in found.values()])
    partner = match(gain.reshape(len(truth), len(found)), tuple(truth), tuple(found))
    groups = []
    for index, (name, segments) in enumerate(truth.items()):
        group = [_Row(name, segments, _color(index), is_reference=True)]
        if name in partner:
            group.append(_Row(partner[name], found[partner[name]], _color(index)))
        groups.append(group)
    alone = [name for name in found if name not in partner.values()]
    return groups + [[_Row(name, found[name], _color(len(truth) + i))] for i, name in enumerate(alone)]


def _speech_of_each(diarization: Diarization) -> dict[str, tuple[Segment, ...]]:
    """Disjoint stretches of speech by speaker, in order of first appearance."""
    speech: dict[str, list[Segment]] = {name: [] for name in diarization.speakers}
    for turn in diarization.supported():
        speech[turn.speaker].append(turn.segment)
    return {name: tuple(segments) for name, segments in speech.items()}


def _shared_seconds(one: Sequence[Segment], other: Sequence[Segment]) -> float:
    mine, theirs = (np.array([tuple(segment) for segment in side]) for side in (one, other))
    begin = np.maximum(mine[:, None, 0], theirs[None, :, 0])
    end = np.minimum(mine[:, None, 1], theirs[None, :, 1])
    return float(np.clip(end - begin, 0, None).sum())


def _color(index: int) -> tuple[float, float, float]:
    """The colour of the speaker at this place."""
    base, round_ = PALETTE[index % len(PALETTE)], index // len(PALETTE) % 3
    return (_mixed(base, 1.0, 0.0), _mixed(base, 0.6, 0.0), _mixed(base, 0.55, 0.45))[round_]


def _mixed(color: Any, share: float, white: float) -> tuple[float, float, float]:
    """`share` of a colour and `white` of white; black is the rest."""
    from matplotlib.colors import to_rgb

    red, green, blue = (share * part + white for part in to_rgb(color))
    return red, green, blue


def _placed(groups: Sequence[Sequence[_Row]]) -> list[_Row]:
    """Give every row its place, from above; groups of two keep a distance from the others."""
    paired = any(len(group) > 1 for group in groups)
    rows, y = [], 0.0
    for group in groups:
        for row in group:
            rows.append(replace(row, y=y + 0.5, height=0.9 if paired else row.height))
            y += 1.0 if paired or row.height > 0.5 else 0.7
        y += PAIR_GAP if paired else 0.0
    return rows


def _span(diarization: Diarization, reference: Diarization | None) -> Segment:
    parts = [d for d in (diarization, reference) if d is not None]
    ends = [turn.end for part in parts for turn in part] + [part.extent.end for part in parts]
    starts = [turn.start for part in parts for turn in part] + [part.extent.start for part in parts]
    start, end = min(starts), max(ends)
    return Segment(start, end if end > start else start + 1.0)


# What is drawn


def _need_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401  # only to see whether it is here
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot", "Drawing a timeline") from error


def _figure(rows: Sequence[_Row]) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lanes = max(1.5, _bottom(rows))
    pitch = 0.52 if len(rows) <= 10 else 0.34
    figure = Figure(figsize=(12, 1.15 + pitch * lanes), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _bottom(rows: Sequence[_Row]) -> float:
    return max((row.y + 0.5 for row in rows), default=1.0)


def _draw_lanes(ax: Axes, rows: Sequence[_Row], span: Segment) -> None:
    for row in rows:
        lane = (row.y - row.height / 2, row.height)
        ax.broken_barh([(span.start, span.duration)], lane, facecolors=LANE, linewidth=0, zorder=0.3)
    if not rows:
        ax.text(0.5, 0.5, "no speech", transform=ax.transAxes, ha="center", va="center", color=DARK, fontsize=12)


def _shade_overlap(ax: Axes, overlap: Iterable[Segment], rows: Sequence[_Row]) -> None:
    spans = [(segment.start, segment.duration) for segment in overlap]
    if spans:
        ax.broken_barh(spans, (0, _bottom(rows)), facecolors=SHADE, linewidth=0, snap=False, zorder=1)


def _draw_bars(ax: Axes, rows: Sequence[_Row]) -> None:
    for row in rows:
        bars = [(segment.start, segment.duration) for segment in row.segments]
        place = (row.y - row.height / 2, row.height)
        fill = _pale(row.color) if row.is_reference else row.color
        # The outline keeps a short turn of a long recording visible.
        width = 0.8 if row.is_reference else 0.3
        ax.broken_barh(bars, place, facecolors=fill, edgecolors=row.color, linewidth=width, zorder=2)


def _draw_scores(ax: Axes, rows: Sequence[_Row], scores: FrameScores) -> None:
    times = scores.grid.time(np.arange(len(scores)) + 0.5)
    for row in rows:
        if not row.is_reference and row.name in scores.speakers:
            values = np.clip(scores.data[:, scores.speakers.index(row.name)], 0, 1)
            ax.plot(times, row.y + row.height * (0.5 - values), color="black", linewidth=0.8, zorder=3)


def _pale(color: Any) -> tuple[float, float, float]:
    return _mixed(color, 0.35, 0.65)


# What is written


def _label_speakers(ax: Axes, rows: Sequence[_Row]) -> None:
    break_ = "  " if len(rows) > 10 or any(row.is_reference for row in rows) else "\n"
    ax.set_ylim(_bottom(rows), 0)
    texts = [(_short(row.name) + (break_ if row.height > 0.5 else "  ") + clock(row.seconds)) for row in rows]
    ax.set_yticks([row.y for row in rows], texts)
    for label in ax.get_yticklabels():
        label.set_parse_math(False)  # a name may hold dollar signs
    ax.tick_params(axis="y", length=0, labelsize=9.5, labelcolor=DARK)


def _short(name: str, longest: int = LONGEST_NAME) -> str:
    line = " ".join(name.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _label_time(ax: Axes, span: Segment) -> None:
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    step = next((s for s in STEPS if span.duration / s <= 12), math.ceil(span.duration / 12 / 3600) * 3600)
    style = "s" if span.end < 180 else "m:ss" if span.end < 3600 else "h:mm:ss"
    if step < 1:
        style = "s"
    ax.set_xlim(span.start, span.end)
    ax.xaxis.set_major_locator(MultipleLocator(step))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value, style)))
    ax.set_xlabel("seconds" if style == "s" else f"time ({style})", color=DARK)
    ax.tick_params(axis="x", labelsize=9.5, color=SHADE, labelcolor=DARK)
    ax.grid(axis="x", color="white", linewidth=1.0)
    ax.set_axisbelow(True)  # above the lanes, below the turns
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(SHADE)


def _tick(value: float, style: str) -> str:
    if style == "s":
        return f"{value:.10g}" if value else "0"
    whole = round(abs(value))
    sign = "-" if value < 0 and whole else ""
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if style == "h:mm:ss":
        return f"{sign}{hours}:{minutes:02d}:{rest:02d}"
    return f"{sign}{whole // 60}:{rest:02d}"


def _label_plot(ax: Axes, diarization: Diarization, title: str | None) -> None:
    speech = sum(segment.duration for segment in diarization.speech)
    overlap = sum(segment.duration for segment in diarization.overlap)
    count = len(diarization.speakers)
    summary = f"{count} speaker{'' if count == 1 else 's'} · speech {clock(speech)} of {clock(diarization.duration)}"
    summary += f" · overlap {100 * overlap / speech:.0f} %" if overlap else ""
    name = _short(diarization.recording_id, LONGEST_TITLE) if title is None else title
    ax.set_title(name, loc="left", fontsize=13, fontweight="bold", parse_math=False)
    ax.set_title(summary, loc="right", fontsize=9.5, color="#595959")


def _add_legend(ax: Axes) -> None:
    from matplotlib.patches import Patch
    from matplotlib.transforms import ScaledTranslation

    pale = Patch(facecolor=_pale(DARK), edgecolor=DARK, label="reference")
    solid = Patch(facecolor=DARK, label="diarization")
    below = ax.transAxes + ScaledTranslation(0, -22 / 72, ax.figure.dpi_scale_trans)  # 22 points under the axis
    style: dict[str, Any] = {"ncols": 2, "frameon": False, "fontsize": 9.5, "labelcolor": DARK, "borderaxespad": 0}
    ax.legend(handles=[pale, solid], loc="upper right", bbox_to_anchor=(1, 0), bbox_transform=below, **style)
