"""Detection of speech and of overlap: how much of it is missed or made up, whoever speaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from speakerdiar.metrics.accumulator import Accumulator
from speakerdiar.metrics.cells import Cells, cut
from speakerdiar.metrics.der import ratio
from speakerdiar.metrics.rules import Convention, Rules, Uem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from speakerdiar.annotation import Diarization


@dataclass(frozen=True)
class DetectionComponents:
    """What a detection score is made of, in seconds.

    Attributes:
        total: what there is to detect, in the reference.
        miss: what the hypothesis lacks of it.
        false_alarm: what only the hypothesis has.
        scored: length of what was scored.
    """

    total: float = 0.0
    miss: float = 0.0
    false_alarm: float = 0.0
    scored: float = 0.0

    @property
    def found(self) -> float:
        """Seconds that reference and hypothesis share."""
        return self.total - self.miss

    @property
    def rate(self) -> float:
        """Detection error rate: (miss + false alarm) / total. Without a total 0, or 1 where there is any error."""
        return ratio(self.miss + self.false_alarm, self.total)

    @property
    def precision(self) -> float:
        """Share of the detected time that is right; 1 where nothing was detected."""
        detected = self.found + self.false_alarm
        return self.found / detected if detected > 0 else 1.0

    @property
    def recall(self) -> float:
        """Share of the time in the reference that was detected; 1 where there is none."""
        return self.found / self.total if self.total > 0 else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both > 0 else 0.0

    def __add__(self, other: DetectionComponents) -> DetectionComponents:
        return DetectionComponents(
            self.total + other.total,
            self.miss + other.miss,
            self.false_alarm + other.false_alarm,
            self.scored + other.scored,
        )


def detection(
    reference: Diarization,
    hypothesis: Diarization,
    *,
    collar: float = 0.0,
    skip_overlap: bool = False,
    uem: Uem | None = None,
    convention: Convention = "pyannote",
) -> DetectionComponents:
    """Return how well speech was told from silence in one recording, whoever speaks.

    The arguments are those of `speakerdiar.metrics.der`.
    """
    return detection_of(cut(reference, hypothesis, Rules(collar, skip_overlap, convention), uem))


def overlap_detection(
    reference: Diarization, hypothesis: Diarization, *, collar: float = 0.0, uem: Uem | None = None
) -> DetectionComponents:
    """Return how well speech of two or more people at once was found in one recording.

    A person's own turns running at once are no overlap. The collar lies around the borders of reference turns, as for
    the DER.
    """
    return overlap_of(cut(reference, hypothesis, Rules(collar), uem))


def detection_of(cells: Cells) -> DetectionComponents:
    """Return the components of speech detection of one cut recording."""
    in_ref, in_hyp = (side.max(axis=1, initial=0) for side in (cells.reference, cells.hypothesis))
    return _compare(cells, in_ref > 0, in_hyp > 0)


def overlap_of(cells: Cells) -> DetectionComponents:
    """Return the components of overlap detection of one cut recording."""
    in_ref, in_hyp = (np.minimum(side, 1).sum(axis=1) for side in (cells.reference, cells.hypothesis))
    return _compare(cells, in_ref > 1, in_hyp > 1)


def _compare(cells: Cells, there: NDArray[np.bool_], seen: NDArray[np.bool_]) -> DetectionComponents:
    seconds = cells.scored
    return DetectionComponents(
        total=float(seconds @ there),
        miss=float(seconds @ (there & ~seen)),
        false_alarm=float(seconds @ (seen & ~there)),
        scored=float(seconds.sum()),
    )


class DetectionErrorRate(Accumulator[DetectionComponents]):
    """Speech detection over many recordings, by total time."""

    measure = staticmethod(detection_of)

    @property
    def total(self) -> DetectionComponents:
        """The components of all recordings, added."""
        return self._sum(DetectionComponents())


class OverlapDetection(DetectionErrorRate):
    """Overlap detection over many recordings, by total time."""

    measure = staticmethod(overlap_of)
