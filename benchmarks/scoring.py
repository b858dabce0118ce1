"""DER of an hour with eight speakers, against pyannote.metrics: same figures, how many times faster.

Run `python benchmarks/scoring.py`. Both score the same pair in turn, several times; the median of each counts.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.metrics import der

HOUR = 3600.0
SPEAKERS = 8
TURNS = 2000
ROUNDS = 5


def reference(seed: int = 0) -> Diarization:
    """About 2,000 turns in an hour; about every third begins before the one before it ends."""
    draw = np.random.default_rng(seed)
    lengths = draw.gamma(2.0, 1.1, TURNS) + 0.2
    starts = np.cumsum(lengths + draw.normal(0.2, 0.6, TURNS)) - lengths
    scale = HOUR / (starts[-1] + lengths[-1])
    speakers = draw.integers(0, SPEAKERS, TURNS)
    rows = zip(starts.clip(0) * scale, lengths * scale, speakers, strict=True)
    return Diarization("hour", HOUR, tuple(Turn(s, s + n, f"speaker {k}") for s, n, k in rows)).supported()


def distorted(truth: Diarization, seed: int = 1) -> Diarization:
    """Borders move by some 0.2 s, every tenth turn is lost, every tenth goes to another speaker."""
    draw = np.random.default_rng(seed)
    turns = []
    for turn in truth:
        chance, (begin, end) = draw.uniform(), draw.normal(0, 0.2, 2)
        if chance > 0.1:
            speaker = turn.speaker if chance > 0.2 else f"speaker {draw.integers(SPEAKERS)}"
            start = max(0.0, turn.start + begin)
            turns.append(Turn(start, max(start + 0.05, turn.end + end), f"found {speaker}"))
    return Diarization(truth.recording_id, HOUR, tuple(turns)).supported()


def annotation(diarization: Diarization) -> Any:
    from pyannote.core import Annotation, Segment

    result = Annotation(uri=diarization.recording_id)
    for index, turn in enumerate(diarization):
        result[Segment(turn.start, turn.end), index] = turn.speaker
    return result


def seconds(function: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def compare(truth: Diarization, guess: Diarization, collar: float, skip_overlap: bool) -> None:
    from pyannote.metrics.diarization import DiarizationErrorRate

    first, second = annotation(truth), annotation(guess)  # made beforehand: only the scoring is timed

    def theirs() -> float:
        return float(DiarizationErrorRate(collar=2 * collar, skip_overlap=skip_overlap)(first, second))

    def ours() -> float:
        return der(truth, guess, collar=collar, skip_overlap=skip_overlap).rate

    if abs(ours() - theirs()) > 1e-6:
        raise SystemExit(f"The rates differ: {ours()} and {theirs()}.")
    times = [(seconds(theirs), seconds(ours)) for _ in range(ROUNDS)]
    slow, fast = (statistics.median(column) for column in zip(*times, strict=True))
    least = min(a / b for a, b in times)
    overlap = "left out" if skip_overlap else "scored"
    print(
        f"collar {collar:g} s, overlap {overlap}: DER {100 * ours():.2f} %, pyannote.metrics {1000 * slow:.0f} ms, "
        f"speakerdiar {1000 * fast:.1f} ms, {slow / fast:.0f} times faster (least {least:.0f})"
    )


def main() -> None:
    warnings.filterwarnings("ignore", "'uem' was approximated by the union", UserWarning)
    truth = reference()
    guess = distorted(truth)
    overlap = sum(part.duration for part in truth.overlap) / sum(part.duration for part in truth.speech)
    print(f"{len(truth)} and {len(guess)} turns, {len(truth.speakers)} speakers, {100 * overlap:.0f} % overlap")
    for collar, skip_overlap in ((0.0, False), (0.25, False), (0.25, True)):
        compare(truth, guess, collar, skip_overlap)


if __name__ == "__main__":
    main()
