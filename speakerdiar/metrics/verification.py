"""Verification: how well scores tell trials of one speaker from trials of two.

>>> from speakerdiar.metrics.verification import det_curve
>>> curve = det_curve([0.9, 0.8, 0.4, 0.7, 0.3, 0.2], [True, True, True, False, False, False])
>>> round(curve.eer, 3), curve.eer_threshold
(0.333, 0.55)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.errors import ConfigError, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class DetectionCost:
    """The least detection cost of a curve, and the threshold that has it.

    Attributes:
        cost: divided by the cost of a system that looks at no score, so 0 is perfect and 1 is useless.
        threshold: accept scores from here on.
    """

    cost: float
    threshold: float


@dataclass(frozen=True, eq=False)
class DetCurve:
    """Errors at every threshold that makes a difference, the lowest first (detection error trade-off).

    A trial is accepted where its score is at least the threshold. Thresholds lie half-way between neighbouring scores;
    the first accepts all trials, the last none.

    Attributes:
        thresholds: float64, (P,), ascending.
        miss: share of the trials of one speaker that are refused, (P,), from 0 to 1.
        false_accept: share of the trials of two speakers that are accepted, (P,), from 1 to 0.
        targets: trials of one speaker.
        nontargets: trials of two.
    """

    thresholds: NDArray[np.float64]
    miss: NDArray[np.float64]
    false_accept: NDArray[np.float64]
    targets: int
    nontargets: int

    @property
    def eer(self) -> float:
        """Equal error rate: where both errors meet on the straight lines between points of the curve."""
        gap = self.miss - self.false_accept
        after = int(np.argmax(gap >= 0))  # not the first: there all are accepted
        share = -gap[after - 1] / (gap[after] - gap[after - 1])
        return float(self.miss[after - 1] + share * (self.miss[after] - self.miss[after - 1]))

    @property
    def eer_threshold(self) -> float:
        """The threshold whose two errors differ least."""
        return float(self.thresholds[np.argmin(np.abs(self.miss - self.false_accept))])

    def threshold_at(self, false_accept: float) -> float:
        """Return the lowest threshold that accepts at most this share of the trials of two speakers.

        Raises:
            ConfigError: a share that isn't between 0 and 1.
        """
        if not 0 <= false_accept <= 1:
            raise ConfigError(f"false_accept={false_accept!r}: give a share between 0 and 1, such as 0.01.")
        return float(self.thresholds[np.argmax(self.false_accept <= false_accept)])

    def min_dcf(self, p_target: float = 0.01, c_miss: float = 1.0, c_fa: float = 1.0) -> DetectionCost:
        """Return the least normalized detection cost (NIST speaker recognition evaluations).

        The cost is `c_miss * p_target * miss + c_fa * (1 - p_target) * false_accept`, divided by what accepting all or
        none costs, whichever is less.

        Args:
            p_target: how probable it is that a trial is of one speaker, between 0 and 1.
            c_miss: price of refusing a trial of one speaker.
            c_fa: price of accepting a trial of two.

        Raises:
            ConfigError: a probability that isn't between 0 and 1, a price that isn't above 0.
        """
        if not 0 < p_target < 1:
            raise ConfigError(f"p_target={p_target!r}: give a probability between 0 and 1, such as 0.01.")
        for name, price in (("c_miss", c_miss), ("c_fa", c_fa)):
            if not 0 < price < math.inf:
                raise ConfigError(f"{name}={price!r}: give a price above 0.")
        of_miss, of_fa = c_miss * p_target, c_fa * (1 - p_target)
        costs = of_miss * self.miss + of_fa * self.false_accept
        best = int(np.argmin(costs))
        return DetectionCost(float(costs[best] / min(of_miss, of_fa)), float(self.thresholds[best]))


def det_curve(scores: Any, same: Any) -> DetCurve:
    """Return the errors of scores at every threshold.

    Args:
        scores: (N,) numbers, higher where the voices are more alike.
        same: (N,) whether a trial is of one speaker: bool, or 1 and 0.

    Raises:
        InputError: not one label a score, a score that is no finite number, a label that is neither 1 nor 0, or no
            trial of one of the two kinds.
    """
    values, target = _checked(scores, same)
    levels, place = np.unique(values, return_inverse=True)
    refused = [np.bincount(place[chosen], minlength=len(levels)).cumsum() for chosen in (target, ~target)]
    targets, nontargets = (int(counts[-1]) for counts in refused)
    return DetCurve(
        thresholds=_between(levels),
        miss=np.append(0, refused[0]) / targets,
        false_accept=(nontargets - np.append(0, refused[1])) / nontargets,
        targets=targets,
        nontargets=nontargets,
    )


def errors_at(scores: Any, same: Any, threshold: float) -> tuple[float, float]:
    """Return (miss, false accept) where scores are accepted from `threshold` on.

    Args:
        scores: (N,) numbers, higher where the voices are more alike.
        same: (N,) whether a trial is of one speaker: bool, or 1 and 0.
        threshold: any finite number.

    Raises:
        InputError: as `det_curve`.
        ConfigError: the threshold is no finite number.
    """
    if not math.isfinite(threshold):
        raise ConfigError(f"threshold={threshold!r}: give a finite number.")
    values, target = _checked(scores, same)
    accepted = values >= threshold
    return float(1 - accepted[target].mean()), float(accepted[~target].mean())


def _checked(scores: Any, same: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values = np.asarray(scores, dtype=np.float64)
    labels = np.asarray(same)
    if values.ndim != 1 or labels.shape != values.shape:
        raise InputError(f"Scores {values.shape} and labels {labels.shape}: give one label for each score, (N,) both.")
    if not np.isfinite(values).all():
        bad = int(np.argmin(np.isfinite(values)))
        raise InputError(f"Score {bad} is {values[bad]}: give finite numbers, and leave out trials without a score.")
    if not np.isin(labels, (0, 1)).all():
        raise InputError(
            f"Labels {np.unique(labels)[:5].tolist()}: give True or 1 for one speaker, False or 0 for two."
        )
    target = labels.astype(bool)
    for kind, found in (("one speaker", target), ("two speakers", ~target)):
        if not found.any():
            raise InputError(f"None of {len(values)} trials is of {kind}: error rates need trials of both kinds.")
    return values, target


def _between(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return thresholds around ascending levels: one below all, one between each two, one above all."""
    below, above = levels[:-1], levels[1:]
    middle = below / 2 + above / 2
    # Between two neighbouring floats there is no middle.
    middle = np.where(middle > below, middle, above)
    return np.concatenate([levels[:1], middle, [np.nextafter(levels[-1], np.inf)]])
