"""Purity, coverage, homogeneity and completeness: what went together, without pairing speakers.

Purity asks of each hypothesis speaker how much of their time is one reference speaker's; coverage asks the same the
other way round. (Gauvain, Lamel, Adda: Partitioning and transcription of broadcast news data, ICSLP 1998.)
Homogeneity and completeness are their counterparts in entropies. (Rosenberg, Hirschberg: V-measure, EMNLP 2007.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from speakerdiar.metrics.accumulator import Accumulator
from speakerdiar.metrics.cells import Cells, cut
from speakerdiar.metrics.rules import Rules, Uem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from speakerdiar.annotation import Diarization


@dataclass(frozen=True)
class PurityComponents:
    """What purity or coverage is made of: `correct` of `total` seconds."""

    total: float = 0.0
    correct: float = 0.0

    @property
    def rate(self) -> float:
        """Purity or coverage; 1 where there is no speech."""
        return self.correct / self.total if self.total > 0 else 1.0

    def __add__(self, other: PurityComponents) -> PurityComponents:
        return PurityComponents(self.total + other.total, self.correct + other.correct)


@dataclass(frozen=True)
class EntropyComponents:
    """What homogeneity or completeness is made of, in nats."""

    entropy: float = 0.0
    conditional: float = 0.0

    @property
    def rate(self) -> float:
        """1 - conditional entropy / entropy. Without entropy 1, or 0 where the conditional one isn't 0."""
        if self.entropy == 0:
            return float(self.conditional == 0)
        return 1 - self.conditional / self.entropy

    def __add__(self, other: EntropyComponents) -> EntropyComponents:
        return EntropyComponents(self.entropy + other.entropy, self.conditional + other.conditional)


def purity(reference: Diarization, hypothesis: Diarization, *, uem: Uem | None = None) -> PurityComponents:
    """Return how much of each hypothesis speaker's time is one reference speaker's."""
    return purity_of(cut(reference, hypothesis, Rules(), uem))


def coverage(reference: Diarization, hypothesis: Diarization, *, uem: Uem | None = None) -> PurityComponents:
    """Return how much of each reference speaker's time went to one hypothesis speaker."""
    return coverage_of(cut(reference, hypothesis, Rules(), uem))


def homogeneity(
    reference: Diarization,
    hypothesis: Diarization,
    *,
    collar: float = 0.0,
    skip_overlap: bool = False,
    uem: Uem | None = None,
) -> EntropyComponents:
    """Return how surely a hypothesis speaker tells the reference speaker, over the time that both sides have speech.

    The arguments are those of `speakerdiar.metrics.der`.
    """
    return homogeneity_of(cut(reference, hypothesis, Rules(collar, skip_overlap), uem))


def completeness(
    reference: Diarization,
    hypothesis: Diarization,
    *,
    collar: float = 0.0,
    skip_overlap: bool = False,
    uem: Uem | None = None,
) -> EntropyComponents:
    """Return how surely a reference speaker tells the hypothesis speaker, over the time that both sides have speech.

    The arguments are those of `speakerdiar.metrics.der`; collar and overlap are the reference's here too
    (pyannote.metrics swaps the two sides before it applies them, and so takes them from the hypothesis).
    """
    return completeness_of(cut(reference, hypothesis, Rules(collar, skip_overlap), uem))


def purity_of(cells: Cells) -> PurityComponents:
    """Return the components of purity of one cut recording."""
    return _largest(cells.reference > 0, cells.hypothesis > 0, cells.scored)


def coverage_of(cells: Cells) -> PurityComponents:
    """Return the components of coverage of one cut recording."""
    return _largest(cells.hypothesis > 0, cells.reference > 0, cells.scored)


def homogeneity_of(cells: Cells) -> EntropyComponents:
    """Return the entropies behind homogeneity of one cut recording."""
    return _entropies(cells.shared(cells.scored))


def completeness_of(cells: Cells) -> EntropyComponents:
    """Return the entropies behind completeness of one cut recording."""
    return _entropies(cells.shared(cells.scored).T)


def _largest(classes: NDArray[np.bool_], clusters: NDArray[np.bool_], seconds: NDArray[np.float64]) -> PurityComponents:
    shared = classes.T @ (clusters * seconds[:, None])  # (classes, clusters)
    return PurityComponents(float((seconds @ clusters).sum()), float(shared.max(axis=0, initial=0.0).sum()))


def _entropies(shared: NDArray[np.float64]) -> EntropyComponents:
    """Return H(class) and H(class | cluster) of a (classes, clusters) table of seconds."""
    total = shared.sum()
    if total == 0:
        return EntropyComponents()
    share = shared.sum(axis=1) / total
    among = np.divide(shared, shared.sum(axis=0), out=np.zeros_like(shared), where=shared > 0)
    return EntropyComponents(-_times_log(share, share), -_times_log(shared / total, among))


def _times_log(weight: NDArray[np.float64], value: NDArray[np.float64]) -> float:
    return float(np.sum(weight * np.log(value, out=np.zeros_like(value), where=value > 0)))


class Purity(Accumulator[PurityComponents]):
    """Purity over many recordings, by total time."""

    measure = staticmethod(purity_of)

    @property
    def total(self) -> PurityComponents:
        """The components of all recordings, added."""
        return self._sum(PurityComponents())


class Coverage(Purity):
    """Coverage over many recordings, by total time."""

    measure = staticmethod(coverage_of)
