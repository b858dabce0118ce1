"""Jaccard error rate: every reference speaker counts alike, however little they spoke.

A reference speaker's error is 1 - |intersection| / |union| with the speaker paired with them, 1 without a partner. JER
is the mean over reference speakers. (Ryant et al., The Second DIHARD Diarization Challenge, Interspeech 2019.)
Speakers are paired as for the DER, by the most time in common; dscore pairs them by Jaccard index instead and rounds to
10 ms frames, so its figures can differ.
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
class JerComponents:
    """What a Jaccard error rate is made of.

    Attributes:
        speaker_error: sum of the error rates (0..1) of the reference speakers.
        speakers: number of reference speakers with scored speech.
    """

    speaker_error: float = 0.0
    speakers: int = 0

    @property
    def rate(self) -> float:
        """The mean error of a reference speaker; 1 where there is none, as in pyannote.metrics."""
        return self.speaker_error / self.speakers if self.speakers else 1.0

    def __add__(self, other: JerComponents) -> JerComponents:
        return JerComponents(self.speaker_error + other.speaker_error, self.speakers + other.speakers)


def jer(
    reference: Diarization,
    hypothesis: Diarization,
    *,
    collar: float = 0.0,
    skip_overlap: bool = False,
    uem: Uem | None = None,
    convention: Convention = "pyannote",
) -> JerComponents:
    """Return the components of the Jaccard error rate of one recording; `.rate` is the JER.

    The arguments are those of `speakerdiar.metrics.der`.
    """
    return jer_of(cut(reference, hypothesis, Rules(collar, skip_overlap, convention), uem))


def jer_of(cells: Cells) -> JerComponents:
    """Return the components of one cut recording."""
    in_ref, in_hyp = cells.reference > 0, cells.hypothesis > 0
    reference_time, hypothesis_time = cells.scored @ in_ref, cells.scored @ in_hyp
    rows, columns = np.array(cells.pairs(), dtype=int).reshape(-1, 2).T
    both = cells.scored @ (in_ref[:, rows] & in_hyp[:, columns])
    union = reference_time[rows] + hypothesis_time[columns] - both
    speakers = int((reference_time > 0).sum())
    # paired before collars were cut out (md-eval), two speakers may have no scored time left
    right = np.divide(both, union, out=np.zeros_like(both), where=union > 0).sum()
    return JerComponents(float(speakers - right), speakers)


class JaccardErrorRate(Accumulator[JerComponents]):
    """Jaccard error rate over many recordings: the mean over all their reference speakers."""

    measure = staticmethod(jer_of)

    @property
    def total(self) -> JerComponents:
        """The components of all recordings, added."""
        return self._sum(JerComponents())
