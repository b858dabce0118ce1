"""Where thresholds may be sought: models and their parts declare ranges, and whoever tunes them keeps inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from speakerdiar.config import require

DIGITS = 4
"""Digits of a value that count: more of them than data can tell apart would only be hard to read."""


@dataclass(frozen=True)
class Range:
    """Values that a threshold may take.

    Attributes:
        low: the least.
        high: the greatest.
        log: equal ratios are equally far apart, instead of equal differences.
        whole: whole numbers only.
        early: the networks need the value before they run, and run again for another one.

    Raises:
        ConfigError: the bounds leave nothing to choose from.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False
    early: bool = False

    def __post_init__(self) -> None:
        require(self.low < self.high, "high", self.high, f"give more than low={self.low!r}")
        require(self.low > 0 or not self.log, "low", self.low, "give more than 0 for a logarithmic range")

    def nearest(self, value: float) -> float:
        """Return the value of the range that is nearest to a number: with few digits, or whole."""
        inside = min(max(value, self.low), self.high)
        rounded = round(inside) if self.whole else float(f"{inside:.{DIGITS}g}")
        return min(max(rounded, self.low), self.high)


POSTPROCESSING: Mapping[str, Range] = {
    "onset": Range(0.1, 0.9),
    "offset": Range(0.1, 0.9),
    "pad_onset": Range(-0.1, 0.3),
    "pad_offset": Range(-0.1, 0.3),
    "min_duration_on": Range(0.0, 0.8),
    "min_duration_off": Range(0.0, 1.0),
}
"""Ranges of the fields of `PostProcessingParams`."""


def of_postprocessing(*names: str, early: bool = False) -> dict[str, Range]:
    """Return the ranges of post-processing parameters, by their names as options of a call.

    Args:
        names: which; all where none is named.
        early: whether the networks need them before they run.
    """
    chosen = {name: POSTPROCESSING[name] for name in names or POSTPROCESSING}
    return {
        f"postprocessing_params.{name}": Range(place.low, place.high, place.log, place.whole, early)
        for name, place in chosen.items()
    }
