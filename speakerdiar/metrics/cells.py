"""Cuts a recording where anything begins or ends, so that every measure is a sum over cells.

    reference    |---A---|        |----A----|
                     |------B-----|
    hypothesis     |---x---|   |-----y----|
    cells        | | | |   |   |  |       | |

Inside a cell nothing changes; its width and who speaks in it are all that a measure needs. The cut is one sort of the
borders and one running sum over them, with no loop over borders or frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from speakerdiar.matching import best_pairs
from speakerdiar.metrics.rules import Rules, Uem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from speakerdiar.annotation import Diarization

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

# Narrower cells come from rounding in sums of times, not from speech. pyannote.core draws the line at the same width.
NARROWEST = 1e-6
# Seconds that a Jaccard index of 1 weighs when speakers are paired: less than any true difference between two pairings,
# more than what rounding makes of equal ones.
TIE_BREAK = 1e-9


@dataclass(frozen=True)
class Cells:
    """One recording, cut. Cells outside the UEM or narrower than a microsecond are gone.

    Attributes:
        reference: (cells, reference speakers), how many turns of the speaker run in the cell.
        hypothesis: (cells, hypothesis speakers), likewise.
        reference_speakers: names, in order of first appearance.
        hypothesis_speakers: names, in order of first appearance.
        width: (cells,) seconds.
        scored: (cells,) seconds, 0 where a collar or the overlap rule leaves the cell out.
        pairing: (cells,) seconds that count for the pairing of speakers.
        greedy: pair the two speakers with the most time in common first, then the next two.
    """

    reference: Counts
    hypothesis: Counts
    reference_speakers: tuple[str, ...]
    hypothesis_speakers: tuple[str, ...]
    width: Floats
    scored: Floats
    pairing: Floats
    greedy: bool = False

    def shared(self, seconds: Floats) -> Floats:
        """Return (reference speakers, hypothesis speakers): time that two speakers share, a turn counted as a turn."""
        return np.asarray(self.reference.T @ (self.hypothesis * seconds[:, None]), dtype=float)

    def pairs(self) -> list[tuple[int, int]]:
        """Return (reference speaker, hypothesis speaker), one to one, with the most time in common.

        Where several pairings have that much, the one with the greatest sum of Jaccard indices is taken, so that the
        order and the names of speakers never decide.
        """
        in_ref, in_hyp = self.reference > 0, self.hypothesis > 0
        both = in_ref.T @ (in_hyp * self.pairing[:, None])
        union = (self.pairing @ in_ref)[:, None] + self.pairing @ in_hyp - both
        jaccard = np.divide(both, union, out=np.zeros_like(both), where=both > 0)
        pair_up = _greedy_pairs if self.greedy else best_pairs
        return pair_up(self.shared(self.pairing) + TIE_BREAK * jaccard)


def cut(reference: Diarization, hypothesis: Diarization, rules: Rules, uem: Uem | None = None) -> Cells:
    """Cut the time of one recording at every border of a turn, a collar and a scored region.

    Args:
        reference: the turns that are right.
        hypothesis: the turns to judge.
        rules: collar, overlap rule and convention.
        uem: regions to score; None scores from the first to the last border of both together.
    """
    ref, hyp = _Track.of(reference), _Track.of(hypothesis)
    regions = _regions(ref, hyp, uem)
    collars = ref.collars(rules.collar)
    borders = np.unique(np.concatenate([part.times for part in (ref, hyp, regions, collars)]))
    width = np.diff(borders)
    kept = (width >= NARROWEST) & (regions.counts(borders)[:, 0] > 0)
    width, in_ref, in_hyp = width[kept], ref.counts(borders)[kept], hyp.counts(borders)[kept]
    out = collars.counts(borders)[kept, 0] > 0
    if rules.skip_overlap:
        out |= in_ref.sum(axis=1) > 1
    scored = np.where(out, 0.0, width)
    by_md_eval = rules.convention == "md-eval"
    if by_md_eval:
        in_ref, in_hyp = np.minimum(in_ref, 1), np.minimum(in_hyp, 1)
    return Cells(
        reference=in_ref,
        hypothesis=in_hyp,
        reference_speakers=ref.names,
        hypothesis_speakers=hyp.names,
        width=width,
        scored=scored,
        pairing=width if by_md_eval else scored,
        greedy=rules.convention == "pyannote-greedy",
    )


@dataclass(frozen=True)
class _Track:
    """Stretches of time as arrays: (n,) starts, ends and the index of each one's name."""

    starts: Floats
    ends: Floats
    index: Counts
    names: tuple[str, ...] = ("",)

    @classmethod
    def of(cls, diarization: Diarization) -> _Track:
        turns, names = diarization.turns, diarization.speakers
        position = {name: index for index, name in enumerate(names)}
        return cls(
            np.fromiter((turn.start for turn in turns), float, len(turns)),
            np.fromiter((turn.end for turn in turns), float, len(turns)),
            np.fromiter((position[turn.speaker] for turn in turns), np.int64, len(turns)),
            names,
        )

    @classmethod
    def unnamed(cls, starts: Floats, ends: Floats) -> _Track:
        return cls(starts, ends, np.zeros(len(starts), np.int64))

    @property
    def times(self) -> Floats:
        return np.concatenate([self.starts, self.ends])

    def collars(self, collar: float) -> _Track:
        around = self.times if collar > 0 else np.empty(0)
        return _Track.unnamed(around - collar, around + collar)

    def counts(self, borders: Floats) -> Counts:
        """Return (len(borders) - 1, names): how many stretches of each name run between two borders."""
        size, columns = len(borders) * len(self.names), len(self.names)
        begun = np.bincount(np.searchsorted(borders, self.starts) * columns + self.index, minlength=size)
        ended = np.bincount(np.searchsorted(borders, self.ends) * columns + self.index, minlength=size)
        running = (begun - ended).reshape(len(borders), columns).cumsum(axis=0)
        return running[:-1]  # nothing runs after the last border


def _regions(ref: _Track, hyp: _Track, uem: Uem | None) -> _Track:
    if uem is not None:
        regions = [region for region in uem if region]
        return _Track.unnamed(np.array([r.start for r in regions]), np.array([r.end for r in regions]))
    times = np.sort(np.concatenate([ref.times, hyp.times]))
    return _Track.unnamed(times[:1], times[-1:])


def _greedy_pairs(gain: Floats) -> list[tuple[int, int]]:
    left, pairs = gain.copy(), []
    while left.size and left.max() > 0:
        row, column = divmod(int(left.argmax()), left.shape[1])
        pairs.append((row, column))
        left[row], left[:, column] = 0.0, 0.0
    return pairs
