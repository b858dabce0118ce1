"""Speakers across recordings: which of the speakers of many recordings are one person.

Average linkage of cosines, with one rule more: two speakers of one recording never become one person. The average
cosine between the members of two persons is the inner product of their means, so persons are all that is kept. It is
never above the greater of two averages when what they belong to merges, also with the rule ("reducible": Müllner,
arXiv:1109.2378, section 2), and two things follow. Pairs below the threshold can be forgotten at once. And persons who
are each other's nearest may merge at once, all over the archive, and end up just as if the most similar two had been
merged one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speakerdiar.clustering.counts import in_order_of_appearance
from speakerdiar.clustering.neighbours import EXACT_LIMIT, near_pairs
from speakerdiar.errors import ConfigError
from speakerdiar.voiceprint import from_centre

Labels = NDArray[np.int64]
Pairs = NDArray[np.int64]
Matrix = NDArray[np.float64]

LEAST_SECONDS = 2.0
"""Who is heard for less joins a person, but has no say in who the persons are."""

_BLOCK = 16_384  # pairs at a time, so that temporary arrays stay small


@dataclass(frozen=True, eq=False)
class Persons:
    """People as linking sees them.

    Attributes:
        means: (K, D), the weighted means of their members' vectors of length 1; so they are shorter than 1.
        weights: (K,), the sums of their members' weights.
    """

    means: Matrix
    weights: Matrix

    def __len__(self) -> int:
        return len(self.means)


@dataclass(eq=False)
class _Merging:
    """Persons in the making, and the recordings that each is heard in; a merge takes place in the first of two."""

    means: Matrix
    weights: Matrix
    recordings: list[set[int]]
    person: Labels = field(init=False)  # of each, the one that it has become part of

    def __post_init__(self) -> None:
        self.person = np.arange(len(self.means))

    @property
    def alive(self) -> Labels:
        return np.flatnonzero(self.person == np.arange(len(self.person)))

    def similarities(self, pairs: Pairs) -> Matrix:
        """Return the average cosine between the members of each pair (P, 2): (P,)."""
        return _inner_products(self.means, self.means, pairs)

    def may(self, pairs: Pairs) -> NDArray[np.bool_]:
        """Say of each pair (P, 2) whether no recording has both: (P,)."""
        heard = self.recordings
        return np.array([heard[one].isdisjoint(heard[other]) for one, other in pairs.tolist()], dtype=bool)

    def merge(self, pairs: Pairs) -> None:
        """Merge pairs (P, 2); nobody is in two of them."""
        stays, goes = pairs.T
        total = self.weights[stays] + self.weights[goes]
        share = (self.weights[goes] / np.where(total == 0, 1, total))[:, None]
        self.means[stays] += share * (self.means[goes] - self.means[stays])
        self.weights[stays] = total
        for one, other in pairs.tolist():
            smaller, larger = sorted((self.recordings[one], self.recordings[other]), key=len)
            larger |= smaller
            self.recordings[one] = larger
            self.recordings[other] = set()
        self.person[goes] = stays
        self.person = self.person[self.person]


def link(
    vectors: ArrayLike,
    recordings: ArrayLike,
    weights: ArrayLike,
    *,
    threshold: float,
    known: Persons | None = None,
    fixed: ArrayLike | None = None,
    least_weight: float = LEAST_SECONDS,
    exact_limit: int = EXACT_LIMIT,
) -> Labels:
    """Return the person that each speaker of many recordings is.

    The two most similar persons (by the weighted average of their members' cosines) are merged as long as that is
    `threshold` or more and no recording has a speaker of both. Then speakers lighter than `least_weight` join the
    person most similar to them, under the same conditions, and change nobody; those who find none stay alone. Vectors
    of zeros or with NaN are of unheard speakers, who stay alone always.

    The same speakers in the same order always give the same labels; another order gives the same persons, but where
    several pairs are exactly as similar.

    Args:
        vectors: (N, D), one for each speaker of each recording; of any length.
        recordings: (N,) integers, which recording each speaker is of.
        weights: (N,) how much each speaker's vector counts, such as seconds of speech; 0 or more.
        threshold: the least average cosine of a person's parts, above 0, 1 at most.
        known: K persons of earlier recordings; they never merge with each other.
        fixed: (N,) the known person that a speaker is for certain, 0..K-1, or -1 where that is to be found out. The
            speakers of one recording are different persons.
        least_weight: see above.
        exact_limit: with more speakers, neighbours are searched approximately, in time that grows little faster than
            their number (`speakerdiar.clustering.neighbours`).

    Returns:
        (N,) labels: 0..K-1 for the known persons, and from K on for others in order of first appearance.

    Raises:
        ConfigError: arrays that don't fit each other, or another value that can't be used.
        MissingExtraError: an approximate search needs faiss, which isn't installed.
    """
    units = _units(vectors)
    known = known or Persons(np.zeros((0, units.shape[1])), np.zeros(0))
    heard_in, seconds = np.asarray(recordings), np.asarray(weights, np.float64)
    certain = np.full(len(units), -1) if fixed is None else np.asarray(fixed)
    _check(units, heard_in, seconds, threshold, known, certain)
    heard = units.any(axis=1)
    free: NDArray[np.bool_] = certain < 0
    heavy = np.flatnonzero(heard & free & (seconds >= least_weight))
    light = np.flatnonzero(heard & free & (seconds < least_weight))
    sure = means_of(units[~free], seconds[~free], certain[~free], len(known), known=known, least_weight=least_weight)
    merging = _Merging(
        np.concatenate([sure.means, units[heavy]]),
        np.concatenate([sure.weights, seconds[heavy]]),
        [*_recordings_of(len(known), heard_in, certain), *({int(recording)} for recording in heard_in[heavy])],
    )
    _merge_all(merging, len(known), threshold, exact_limit)
    labels = len(merging.person) + np.arange(len(units))  # everyone alone, by numbers that no person has
    labels[~free] = certain[~free]
    labels[heavy] = merging.person[len(known) :]
    joined = _joined(merging, units[light], heard_in[light], threshold, exact_limit)
    labels[light] = np.where(joined >= 0, joined, labels[light])
    new = labels >= len(known)
    labels[new] = len(known) + in_order_of_appearance(labels[new])
    return labels


def means_of(
    vectors: ArrayLike,
    weights: ArrayLike,
    labels: NDArray[Any],
    count: int,
    *,
    known: Persons | None = None,
    least_weight: float = LEAST_SECONDS,
) -> Persons:
    """Return the persons that speakers make, to be known when further recordings come.

    Args:
        vectors: (N, D), as `link` takes them.
        weights: (N,), as `link` takes them.
        labels: (N,) the person of each, as `link` returns them.
        count: how many persons there are.
        known: the persons that were known.
        least_weight: speakers lighter than this, and unheard ones, leave a person as they are.
    """
    units, seconds = _units(vectors), np.asarray(weights, np.float64)
    totals, sums = np.zeros(count), np.zeros((count, units.shape[1]))
    if known is not None:
        totals[: len(known)] = known.weights
        sums[: len(known)] = known.means * known.weights[:, None]
    counted = np.flatnonzero(units.any(axis=1) & (seconds >= least_weight))
    np.add.at(totals, labels[counted], seconds[counted])
    for start in range(0, len(counted), _BLOCK):
        rows = counted[start : start + _BLOCK]
        np.add.at(sums, labels[rows], units[rows] * seconds[rows, None])
    return Persons(sums / np.where(totals == 0, 1, totals)[:, None], totals)


def check_threshold(threshold: float) -> None:
    """Raise ConfigError for what can't be the least average cosine of a person's parts."""
    if not 0 < threshold <= 1:
        raise ConfigError(f"threshold={threshold!r}: similarities are cosines; give a number above 0, 1 at most.")


def _units(vectors: ArrayLike) -> Matrix:
    """Return vectors of length 1, and of zeros for unheard speakers."""
    given = np.asarray(vectors, np.float64)
    if given.ndim != 2:
        raise ConfigError(f"vectors of shape {given.shape}: give a matrix (speakers, dimensions).")
    return from_centre(given)


def _check(
    units: Matrix, recordings: NDArray[Any], weights: Matrix, threshold: float, known: Persons, fixed: NDArray[Any]
) -> None:
    check_threshold(threshold)
    for name, values in (("recordings", recordings), ("weights", weights), ("fixed", fixed)):
        if values.shape != (len(units),):
            raise ConfigError(f"{name} of shape {values.shape} for {len(units)} vectors: give one for each.")
    if len(units) and (recordings.dtype.kind not in "iu" or recordings.min() < 0):
        raise ConfigError(f"recordings of type {recordings.dtype}: give integers, 0 or more.")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ConfigError("weights: give finite numbers, 0 or more.")
    if len(known) and known.means.shape[1] != units.shape[1]:
        raise ConfigError(f"Known persons have {known.means.shape[1]} dimensions, the vectors {units.shape[1]}.")
    certain = np.stack([recordings, fixed], axis=1)[fixed >= 0]
    if len(certain) and fixed.max() >= len(known):
        raise ConfigError(f"fixed={fixed.max()}: there are {len(known)} known persons, counted from 0 on.")
    if len(np.unique(certain, axis=0)) < len(certain):
        raise ConfigError("fixed: two speakers of one recording are the same person; give each a person of their own.")


def _recordings_of(known: int, recordings: NDArray[Any], fixed: NDArray[Any]) -> list[set[int]]:
    """Return the recordings that each known person is in for certain; -1 is in all, so that they never merge."""
    found = [{-1} for _ in range(known)]
    for person, recording in zip(fixed.tolist(), recordings.tolist(), strict=True):
        if person >= 0:
            found[person].add(recording)
    return found


def _merge_all(merging: _Merging, known: int, threshold: float, exact_limit: int) -> None:
    """Merge until nobody is left to merge with, or none that a search finds."""
    whole = False
    while not whole:
        alive = merging.alive
        first = int(np.searchsorted(alive, known))
        near = near_pairs(merging.means[alive], merging.means[alive[first:]], threshold, exact_limit=exact_limit)
        pairs = np.sort(np.stack([near.targets, near.queries + first], axis=1), axis=1)
        whole = near.whole
        if not _merge_near(merging, alive[pairs[pairs[:, 0] < pairs[:, 1]]], threshold):
            break


def _merge_near(merging: _Merging, pairs: Pairs, threshold: float) -> bool:
    """Merge those of the pairs (P, 2) that are each other's nearest, until none is left; say whether there were any."""
    random = np.random.default_rng(0)
    changed = np.ones(len(merging.person), bool)
    similarities = np.zeros(len(pairs))
    merged = False
    while True:
        pairs, similarities = _renewed(merging, pairs, similarities, changed, threshold)
        mutual = pairs[_each_others_nearest(pairs, similarities, len(changed), random)]
        if not len(mutual):
            return merged
        merging.merge(mutual)
        merged = True
        changed[:] = False
        changed[mutual] = True
        pairs = np.sort(merging.person[pairs], axis=1)


def _renewed(
    merging: _Merging, pairs: Pairs, similarities: Matrix, changed: NDArray[np.bool_], threshold: float
) -> tuple[Pairs, Matrix]:
    """Return pairs, each once, with the similarities of those that changed, without those that can't merge."""
    touched = changed[pairs].any(axis=1)
    size = len(changed)
    keys = np.unique(pairs[touched] @ np.array([size, 1]))
    renewed = np.stack(np.divmod(keys, size), axis=1)
    renewed = renewed[renewed[:, 0] < renewed[:, 1]]
    found = merging.similarities(renewed)
    near = found >= threshold
    renewed, found = renewed[near], found[near]
    free = merging.may(renewed)
    return (
        np.concatenate([pairs[~touched], renewed[free]]),
        np.concatenate([similarities[~touched], found[free]]),
    )


def _each_others_nearest(
    pairs: Pairs, similarities: Matrix, size: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Return the rows of the pairs (P, 2) of which each is the other's nearest; nobody is in two of them.

    Of equally near ones, chance takes its pick: by number, a thousand copies of one voice would find one pair a round.
    """
    nearest = np.full(size, -np.inf)
    for side in pairs.T:
        np.maximum.at(nearest, side, similarities)
    rows = np.flatnonzero((nearest[pairs] == similarities[:, None]).all(axis=1))
    rank = random.permutation(len(rows))
    best = np.full(size, len(rows))
    for side in pairs[rows].T:
        np.minimum.at(best, side, rank)
    mutual: NDArray[np.int64] = rows[(best[pairs[rows]] == rank[:, None]).all(axis=1)]
    return mutual


def _joined(merging: _Merging, units: Matrix, recordings: NDArray[Any], threshold: float, exact_limit: int) -> Labels:
    """Return the persons that light speakers (L, D) join, the most similar first; -1 for those who join none."""
    alive = merging.alive
    found = np.full(len(units), -1)
    near = near_pairs(merging.means[alive], units, threshold, exact_limit=exact_limit)
    persons = alive[near.targets]
    similarities = _inner_products(units, merging.means, np.stack([near.queries, persons], axis=1))
    for row in np.argsort(-similarities, kind="stable"):
        speaker, person = near.queries[row], persons[row]
        heard = merging.recordings[person]
        if similarities[row] >= threshold and found[speaker] < 0 and recordings[speaker] not in heard:
            found[speaker] = person
            heard.add(int(recordings[speaker]))
    return found


def _inner_products(rows: Matrix, others: Matrix, pairs: Pairs) -> Matrix:
    """Return the inner product of each pair (P, 2) of a row (N, D) and another (M, D): (P,)."""
    found = np.empty(len(pairs))
    for start in range(0, len(pairs), _BLOCK):
        one, other = pairs[start : start + _BLOCK].T
        np.einsum("pd,pd->p", rows[one], others[other], out=found[start : start + _BLOCK])
    return found
