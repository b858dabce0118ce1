"""The published table of pyannote 3.1 on the 232 recordings of the VoxConverse test set, to the printed digit.

Three facts about the table, each found from its figures:
- Its speakers were paired greedily: with the best pairing two recordings (jxpom, qajyo) come out lower than printed.
- It was made from unrounded turns. Their borders lie in the middle of segmentation frames of 10/589 s, so the RTTM's
  three decimals tell them exactly.
- It was scored up to the end of the audio. The lengths aren't published. 149 recordings don't depend on them; the
  others come out with a whole number of MPEG frames (1152 samples at 44.1 or 48 kHz) near the last border, rounded up
  to a sample at 16 kHz. A length has to give all ten printed figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from speakerdiar.annotation import Diarization, Segment, Turn
from speakerdiar.formats import rttm
from speakerdiar.metrics import DerComponents, der

FRAME = 10 / 589  # seconds
MPEG_FRAMES = (1152 / 44100, 1152 / 48000)  # seconds
NAME = "VoxConverse.SpeakerDiarization.Benchmark.test"


def test_published_table(shared: Path) -> None:
    folder = shared / "golden" / "scoring"
    table = read_table(folder / f"{NAME}.eval")
    hypotheses = {turns.recording_id: unrounded(turns) for turns in rttm.load(folder / f"{NAME}.rttm")}
    total, whole = DerComponents(), 0
    printed_total = table.pop("TOTAL")
    assert len(table) == 232
    for name, printed in table.items():
        (reference,) = rttm.load(folder / "voxconverse_reference" / f"{name}.rttm")
        parts = der(reference, hypotheses[name], convention="pyannote-greedy")
        if figures(parts) == printed:
            whole += 1
        else:
            parts = scored_to_the_end(reference, hypotheses[name], printed)
        total = total + parts
    assert whole == 149
    assert figures(total) == printed_total


def scored_to_the_end(reference: Diarization, hypothesis: Diarization, printed: list[str]) -> DerComponents:
    nearest: list[str] = []
    for end in lengths(max(turn.end for turn in (*reference, *hypothesis))):
        parts = der(reference, hypothesis, uem=[Segment(0, end)], convention="pyannote-greedy")
        nearest = figures(parts)
        if nearest == printed:
            return parts
    pytest.fail(f"{reference.recording_id}: no length gives {printed}; the last tried gives {nearest}")


def lengths(last: float) -> Iterator[float]:
    for frame in MPEG_FRAMES:
        for back in range(20):
            yield math.ceil((last // frame - back) * frame * 16000) / 16000


def read_table(path: Path) -> dict[str, list[str]]:
    rows = (line.split() for line in path.read_text().splitlines()[3:])
    return {name: printed for name, *printed in rows}


def unrounded(turns: Diarization) -> Diarization:
    def border(time: float) -> float:
        exact = (round(time / FRAME - 0.5) + 0.5) * FRAME
        assert abs(exact - time) <= 0.001  # start and duration are rounded, half a millisecond each
        return exact

    restored = tuple(Turn(border(turn.start), border(turn.end), turn.speaker) for turn in turns)
    return Diarization(turns.recording_id, turns.duration, restored)


def figures(parts: DerComponents) -> list[str]:
    """The row as printed: DER %, total, then correct, false alarm, miss and confusion in seconds and percent."""
    seconds = (parts.correct, parts.false_alarm, parts.miss, parts.confusion)
    pairs = (value for part in seconds for value in (part, 100 * part / parts.total))
    return [f"{value:.2f}" for value in (100 * parts.rate, parts.total, *pairs)]
