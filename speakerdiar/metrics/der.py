"""Diarization error rate: how much speaker time is missed, made up, or given to the wrong speaker.

    DER = (miss + false alarm + confusion) / total

total is the time of all reference turns, overlapping ones counted each. In a cell with r reference and h hypothesis
turns, c of them by paired speakers: miss = max(0, r - h), false alarm = max(0, h - r), confusion = min(r, h) - c.
(NIST, Rich Transcription Spring 2006 evaluation plan, section 6.1.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from speakerdiar.metrics.accumulator import Accumulator
from speakerdiar.metrics.cells import Cells, cut
from speakerdiar.metrics.rules import Convention, Rules, Uem

if TYPE_CHECKING:
    from speakerdiar.annotation import Diarization


@dataclass(frozen=True)
class DerComponents:
    """What a diarization error rate is made of, in seconds. Components of several recordings add up.

    Attributes:
        total: reference speaker time: correct + miss + confusion.
        correct: speaker time given to the right speaker.
        miss: speaker time that the hypothesis lacks.
        false_alarm: speaker time that only the hypothesis has.
        confusion: speaker time given to another speaker.
        scored: length of what was scored, speech or not.
    """

    total: float = 0.0
    correct: float = 0.0
    miss: float = 0.0
    false_alarm: float = 0.0
    confusion: float = 0.0
    scored: float = 0.0

    @property
    def error(self) -> float:
        """Seconds of miss, false alarm and confusion together."""
        return self.miss + self.false_alarm + self.confusion

    @property
    def rate(self) -> float:
        """The diarization error rate. Without reference speech 0, or 1 where there is any error."""
        return ratio(self.error, self.total)

    def __add__(self, other: DerComponents) -> DerComponents:
        return DerComponents(
            self.total + other.total,
            self.correct + other.correct,
            self.miss + other.miss,
            self.false_alarm + other.false_alarm,
            self.confusion + other.confusion,
            self.scored + other.scored,
        )


def ratio(error: float, total: float) -> float:
    """Return error / total; without a total 0, or 1 where there is any error."""
    return error / total if total > 0 else float(error > 0)


def der(
    reference: Diarization,
    hypothesis: Diarization,
    *,
    collar: float = 0.0,
    skip_overlap: bool = False,
    uem: Uem | None = None,
    convention: Convention = "pyannote",
) -> DerComponents:
    """Return the components of the diarization error rate of one recording; `.rate` is the DER.

    Args:
        reference: the turns that are right.
        hypothesis: the turns to judge; its speakers may have any names.
        collar: seconds left out on each side of a reference border (pyannote.metrics: half of its `collar`).
        skip_overlap: leave out where two or more reference turns run.
        uem: regions to score; None scores from the first to the last border of both together.
        convention: `pyannote`, `pyannote-greedy` or `md-eval`, see `Rules`.

    Raises:
        ConfigError: collar or convention can't be used.
    """
    return der_of(cut(reference, hypothesis, Rules(collar, skip_overlap, convention), uem))


def speaker_mapping(
    reference: Diarization,
    hypothesis: Diarization,
    *,
    collar: float = 0.0,
    skip_overlap: bool = False,
    uem: Uem | None = None,
    convention: Convention = "pyannote",
) -> dict[str, str]:
    """Return the reference speaker of each hypothesis speaker that has one, by the most time in common.

    The arguments are those of `der`, which pairs speakers in the same way.
    """
    cells = cut(reference, hypothesis, Rules(collar, skip_overlap, convention), uem)
    return {cells.hypothesis_speakers[h]: cells.reference_speakers[r] for r, h in cells.pairs()}


def der_of(cells: Cells) -> DerComponents:
    """Return the components of one cut recording."""
    in_ref, in_hyp = cells.reference.sum(axis=1), cells.hypothesis.sum(axis=1)
    rows, columns = np.array(cells.pairs(), dtype=int).reshape(-1, 2).T
    right = np.minimum(cells.reference[:, rows], cells.hypothesis[:, columns]).sum(axis=1)
    seconds = cells.scored
    return DerComponents(
        total=float(seconds @ in_ref),
        correct=float(seconds @ right),
        miss=float(seconds @ np.maximum(in_ref - in_hyp, 0)),
        false_alarm=float(seconds @ np.maximum(in_hyp - in_ref, 0)),
        confusion=float(seconds @ (np.minimum(in_ref, in_hyp) - right)),
        scored=float(seconds.sum()),
    )


class DiarizationErrorRate(Accumulator[DerComponents]):
    """Diarization error rate over many recordings, by total time.

    >>> from speakerdiar.annotation import Diarization, Turn
    >>> truth = Diarization("talk", 10.0, (Turn(0, 4, "Ann"), Turn(4, 8, "Bob")))
    >>> guess = Diarization("talk", 10.0, (Turn(0, 5, "x"), Turn(5, 8, "y")))
    >>> metric = DiarizationErrorRate(collar=0.25)
    >>> metric.add(truth, guess).confusion
    0.75
    >>> print(f"{metric.total.rate:.3f}", metric.protocol.files)
    0.107 1
    """

    measure = staticmethod(der_of)

    @property
    def total(self) -> DerComponents:
        """The components of all recordings, added."""
        return self._sum(DerComponents())
