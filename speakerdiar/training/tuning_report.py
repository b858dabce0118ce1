"""What tuning found, for people: values beside those before, scores before and after, and what speaks against them."""

from __future__ import annotations

from collections.abc import Sequence

from speakerdiar.metrics import FileScore, Protocol
from speakerdiar.training.bench import total
from speakerdiar.training.tuning import Comparison, Tuned

COLUMNS = ("", "", "DER %", "miss %", "FA %", "conf %", "count error")


def to_table(tuned: Tuned) -> str:
    """Return values and scores as plain text with aligned columns, and the notes below them."""
    rows = [("threshold", "before", "after", "sought in")]
    for name, place in tuned.space.items():
        scale = ", log" if place.log else ""
        rows.append(
            (name, _figure(tuned.present[name]), _figure(tuned.values[name]), f"{place.low}..{place.high}{scale}")
        )
    scores = [COLUMNS, *_rows("tuned on", tuned.tuned_on)]
    if tuned.held_out is not None:
        scores += _rows("held out", tuned.held_out)
    return "\n".join([*_aligned(rows, 1), "", *_aligned(scores, 2), "", *notes(tuned)])


def notes(tuned: Tuned) -> list[str]:
    """Return how it was scored and how long a trial took."""
    protocol = Protocol(tuned.rules, len(tuned.tuned_on.before))
    return [f"Scored on {protocol}.", f"{tuned.trials} trials, {tuned.seconds:.2f} s each."]


def doubts(tuned: Tuned) -> list[str]:
    """Return what speaks against the values that were found."""
    comparison, held_out = tuned.tuned_on, tuned.held_out
    if tuned.values == tuned.present:
        return [f"Nothing beat the present values in {tuned.trials} trials."]
    found = []
    low, high = comparison.gain_interval()
    if len(comparison.before) < 2 or low <= 0:
        count = len(comparison.before)
        found.append(
            f"The gain of {100 * comparison.gain:.2f} points may be chance: other sets of {count} such recordings "
            f"would gain {100 * low:.2f} to {100 * high:.2f} (90 %). Tune on more recordings."
        )
    if held_out is None:
        found.append("These recordings chose the values, so others gain less: hold some out to see how much less.")
    elif held_out.gain < 0:
        found.append(f"On the recordings held out, the error rate rises by {-100 * held_out.gain:.2f} points.")
    return found


def _rows(side: str, comparison: Comparison) -> list[tuple[str, ...]]:
    count = len(comparison.before)
    return [
        (f"{side} ({count})", "before", *_figures(comparison.before)),
        ("", "after", *_figures(comparison.after)),
    ]


def _figures(scores: Sequence[FileScore]) -> list[str]:
    whole = total(scores)
    spoken = whole.der.total
    parts = (whole.der.miss, whole.der.false_alarm, whole.der.confusion)
    shares = [f"{100 * part / spoken:.2f}" if spoken else "-" for part in parts]
    return [f"{100 * whole.der.rate:.2f}", *shares, f"{whole.speakers.error:.2f}"]


def _figure(value: float) -> str:
    return f"{value:.4g}"


def _aligned(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Return rows as lines; the first columns begin, the others end, where those above them do."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            text.ljust(width) if place < left else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
