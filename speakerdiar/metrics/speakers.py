"""How many speakers there are, and how many were found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from speakerdiar.metrics.accumulator import Accumulator
from speakerdiar.metrics.cells import Cells, cut
from speakerdiar.metrics.rules import Rules, Uem

if TYPE_CHECKING:
    from speakerdiar.annotation import Diarization


@dataclass(frozen=True)
class CountComponents:
    """Speakers in reference and hypothesis. Adds up over recordings.

    Attributes:
        reference: speakers in the reference.
        hypothesis: speakers in the hypothesis.
        absolute: |hypothesis - reference|, added up over recordings.
        right: recordings whose count is right.
        files: recordings.
    """

    reference: int = 0
    hypothesis: int = 0
    absolute: int = 0
    right: int = 0
    files: int = 0

    @property
    def error(self) -> float:
        """Mean absolute error of the count, in speakers a recording."""
        return self.absolute / self.files if self.files else 0.0

    @property
    def accuracy(self) -> float:
        """Share of recordings whose count is right."""
        return self.right / self.files if self.files else 0.0

    def __add__(self, other: CountComponents) -> CountComponents:
        return CountComponents(
            self.reference + other.reference,
            self.hypothesis + other.hypothesis,
            self.absolute + other.absolute,
            self.right + other.right,
            self.files + other.files,
        )


def speaker_count(reference: Diarization, hypothesis: Diarization, *, uem: Uem | None = None) -> CountComponents:
    """Return how many speakers talk inside the scored regions, in reference and hypothesis."""
    return speakers_of(cut(reference, hypothesis, Rules(), uem))


def speakers_of(cells: Cells) -> CountComponents:
    """Return the counts of one cut recording; collars and the overlap rule take no speaker away."""
    there = int((cells.reference > 0).any(axis=0).sum())
    found = int((cells.hypothesis > 0).any(axis=0).sum())
    return CountComponents(there, found, abs(found - there), int(found == there), 1)


class SpeakerCounting(Accumulator[CountComponents]):
    """Speaker counts over many recordings."""

    measure = staticmethod(speakers_of)

    @property
    def total(self) -> CountComponents:
        """The counts of all recordings, added."""
        return self._sum(CountComponents())
