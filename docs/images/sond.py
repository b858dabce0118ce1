"""Draws `sond.svg`: what becomes of a recording and of enrolment clips in SOND, as its page explains it.

python docs/images/sond.py
"""

from __future__ import annotations

import itertools
from pathlib import Path

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

rcParams["svg.hashsalt"] = "speakerdiar"  # the same drawing is the same file
COMPUTES, DATA, PERSON, LINE = "#cfe3f2", "#ffffff", ("#1b6ca8", "#f3a93b", "#4f9d69"), "#444444"
WIDTH, HEIGHT = 700, 698  # pixels at 96 dpi
LEFT, MIDDLE, RIGHT = 170, 350, 530
STEP, BOX = 70, 46

# Bottom of the drawing: who talks when, in shares of the bar.
NAMES = ("Ana", "Ben", "Cleo")
TURNS = (((0.02, 0.34), (0.72, 0.9)), ((0.3, 0.52),), ((0.48, 0.78),))


def main() -> None:
    """Draw, and write the file beside this one."""
    figure = Figure(figsize=(WIDTH / 96, HEIGHT / 96))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(HEIGHT, 0)
    axes.axis("off")
    rows = [34 + STEP * row for row in range(10)]
    hear(axes, rows[:4])
    compare(axes, rows[3:6])
    decide(axes, rows[5:])
    figure.savefig(Path(__file__).with_suffix(".svg"), metadata={"Date": None})


def hear(axes: Axes, rows: list[int]) -> None:
    """Draw how a recording becomes frames, and how clips become profiles."""
    columns = (
        (LEFT, "recording", "pooled over 1.6 s around each frame", "frames\n256 numbers every 80 ms"),
        (
            RIGHT,
            "enrolment clip of each person, 1 to 16",
            "pooled over the whole clip",
            "profiles, through three layers\n256 numbers a person",
        ),
    )
    for x, source, pooled, found in columns:
        box(axes, x, rows[0], source)
        box(axes, x, rows[1], "filter bank\n80 bands every 10 ms", COMPUTES)
        box(axes, x, rows[2], f"ResNet34\n{pooled}", COMPUTES)
        box(axes, x, rows[3], found)
        for above, below in itertools.pairwise(rows):
            arrow(axes, x, above, x, below)


def compare(axes: Axes, rows: list[int]) -> None:
    """Draw the two scorers, and what they have to say of a frame."""
    found, scorers, scores = rows
    box(axes, LEFT, scorers, "context-dependent: a transformer over\nall frames, the profile beside each", COMPUTES)
    box(axes, RIGHT, scorers, "context-independent:\nproduct of frame and profile", COMPUTES)
    for start, end, side in ((LEFT, LEFT, -50), (LEFT, RIGHT, 90), (RIGHT, LEFT, -90), (RIGHT, RIGHT, 50)):
        arrow(axes, start + side, found, end + (side if start == end else -side), scorers)
    box(axes, MIDDLE, scores, "16 + 16 scores\nof each frame")
    arrow(axes, LEFT, scorers, MIDDLE - 60, scores)
    arrow(axes, RIGHT, scorers, MIDDLE + 60, scores)


def decide(axes: Axes, rows: list[int]) -> None:
    """Draw how scores become turns."""
    scores, memory, sets, smoothed, turns = rows
    box(axes, MIDDLE, memory, "FSMN\n6 layers, each with a memory of 31 frames", COMPUTES)
    box(axes, MIDDLE, sets, "one of 2517 sets: nobody, or up to 4 of 16\nsuch as 5 = 101 in bits: Ana and Cleo")
    box(axes, MIDDLE, smoothed, "median filter over 0.83 s,\nthen turns longer than 0.1 s", COMPUTES)
    for above, below in ((scores, memory), (memory, sets), (sets, smoothed), (smoothed, turns)):
        arrow(axes, MIDDLE, above, MIDDLE, below)
    bars(axes, turns)


def bars(axes: Axes, y: int) -> None:
    """Draw turns of three people."""
    left, width = MIDDLE - 130, 300
    for number, (name, spans, colour) in enumerate(zip(NAMES, TURNS, PERSON, strict=True)):
        middle = y - 14 + 15 * number
        axes.text(left - 8, middle, name, ha="right", va="center", fontsize=9)
        for start, end in spans:
            axes.barh(middle, (end - start) * width, left=left + start * width, height=11, color=colour)


def box(axes: Axes, x: float, y: float, text: str, colour: str = DATA) -> None:
    """Draw a box: coloured for what computes, white for what is handed on."""
    width = 290
    shape = FancyBboxPatch(
        (x - width / 2, y - BOX / 2), width, BOX, "round,pad=0,rounding_size=6", facecolor=colour, edgecolor=LINE
    )
    shape.set_linewidth(0.9 if colour == DATA else 0)
    axes.add_patch(shape)
    axes.text(x, y, text, ha="center", va="center", fontsize=9.5, linespacing=1.35)


def arrow(axes: Axes, x: float, y: float, end_x: float, end_y: float, gap: float = BOX / 2 + 2) -> None:
    """Draw an arrow from below one box to above another."""
    axes.annotate(
        "",
        (end_x, end_y - gap),
        (x, y + BOX / 2 + 1),
        arrowprops={"arrowstyle": "-|>", "color": LINE, "linewidth": 1, "shrinkA": 0, "shrinkB": 0},
    )


if __name__ == "__main__":
    main()
