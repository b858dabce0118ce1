"""Draws `streaming_updates.svg`: three updates of one stream, as the guide to live diarization explains them.

python docs/images/streaming_updates.py
"""

from __future__ import annotations

from pathlib import Path

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

rcParams["svg.hashsalt"] = "speakerdiar"  # the same drawing is the same file
NEW, OLD, OPEN, UNHEARD = "#1b6ca8", "#9cc3e0", "#f3a93b", "#e8e8e8"
LANES = {"SPEAKER_00": 1.0, "SPEAKER_01": 0.0}
END = 10.0

# time, final_until, then (start, end, speaker) of turns: settled earlier, settled now, tentative.
UPDATES = [
    (4.0, 3.0, [], [(0.5, 2.4, "SPEAKER_00")], [(2.8, 4.0, "SPEAKER_01")]),
    (
        7.0,
        6.0,
        [(0.5, 2.4, "SPEAKER_00")],
        [],
        [(2.8, 6.6, "SPEAKER_01"), (5.6, 7.0, "SPEAKER_00")],
    ),
    (
        9.0,
        8.0,
        [(0.5, 2.4, "SPEAKER_00")],
        [(2.8, 6.3, "SPEAKER_01"), (5.6, 7.5, "SPEAKER_00")],
        [(8.3, 9.0, "SPEAKER_01")],
    ),
]


def main() -> None:
    """Draw, and write the file beside this one."""
    figure = Figure(figsize=(9, 6.2))
    rows = figure.subplots(len(UPDATES), 1, sharex=True)
    for number, (axes, update) in enumerate(zip(rows, UPDATES, strict=True), start=1):
        draw(axes, number, *update)
    rows[-1].set_xlabel("seconds since the stream began")
    kinds = {
        "final, given by this update": NEW,
        "final, given earlier": OLD,
        "tentative": OPEN,
        "not heard yet": UNHEARD,
    }
    handles = [Patch(facecolor=colour, label=label) for label, colour in kinds.items()]
    figure.legend(handles=handles, loc="upper center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.94))
    figure.savefig(Path(__file__).with_suffix(".svg"), metadata={"Date": None})


def draw(axes: Axes, number: int, time: float, until: float, old: list, new: list, tentative: list) -> None:
    """Draw one update: its turns, how far the audio was heard and until when all is settled."""
    axes.axvspan(time, END, color=UNHEARD, zorder=0)
    for turns, colour in ((old, OLD), (new, NEW), (tentative, OPEN)):
        for start, end, speaker in turns:
            axes.barh(LANES[speaker], end - start, left=start, height=0.55, color=colour, zorder=2)
    axes.axvline(until, color="black", linewidth=1.2, linestyle="--", zorder=3)
    axes.axvline(time, color="black", linewidth=1.6, zorder=3)
    axes.text(until - 0.08, 1.52, "final_until", ha="right", va="center", fontsize=9)
    axes.text(time + 0.08, 1.52, "time", ha="left", va="center", fontsize=9)
    axes.set_yticks(list(LANES.values()), list(LANES))
    axes.set_ylim(-0.5, 1.75)
    axes.set_xlim(0, END)
    axes.set_title(f"update {number}", loc="left", fontsize=10, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
