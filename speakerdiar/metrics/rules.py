"""What a score was computed under: collar, overlap rule, convention, regions and number of files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from speakerdiar.errors import ConfigError

if TYPE_CHECKING:
    from speakerdiar.annotation import Segment

Convention = Literal["pyannote", "pyannote-greedy", "md-eval"]
Uem = Sequence["Segment"]


@dataclass(frozen=True)
class Rules:
    """What is scored and how speakers are paired.

    Attributes:
        collar: seconds left out on *each* side of every border of a reference turn, as in NIST's md-eval. 0.25 here is
            `-c 0.25` of md-eval and `collar=0.5` of pyannote.metrics, which counts the full width.
        skip_overlap: leave out every moment with two or more reference turns.
        convention: where the tools differ (see `docs/guides/scoring.md`). `pyannote` pairs speakers on what is scored
            and counts a speaker's own overlapping turns as often as they run; `pyannote-greedy` does too, but pairs the
            two with the most time in common first, then the next, which can cost some; `md-eval` pairs speakers before
            collars and overlap are left out, and counts a speaker once.

    Raises:
        ConfigError: the collar is negative or not finite, or the convention is unknown.
    """

    collar: float = 0.0
    skip_overlap: bool = False
    convention: Convention = "pyannote"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.collar) and self.collar >= 0):
            raise ConfigError(f"collar={self.collar!r}: give seconds on each side of a border, 0 or more.")
        if self.convention not in get_args(Convention):
            known = ", ".join(map(repr, get_args(Convention)))
            raise ConfigError(f"convention={self.convention!r}: choose one of {known}.")


@dataclass(frozen=True)
class Protocol:
    """Everything one has to know to compare a score with another one. `str()` is the line to print below a score.

    Attributes:
        rules: collar, overlap rule and convention.
        files: number of recordings in the score.
        with_uem: how many of them were scored on given regions (UEM); the others on the span from the first to the last
            border of reference and hypothesis together.
    """

    rules: Rules = Rules()
    files: int = 0
    with_uem: int = 0

    @property
    def uem(self) -> str:
        """The regions that were scored, in words."""
        extents = "extent of reference and hypothesis together"
        if self.with_uem == 0:
            return extents
        if self.with_uem == self.files:
            return "given regions"
        return f"given regions for {self.with_uem} of {self.files} files, else {extents}"

    def to_json(self) -> dict[str, Any]:
        """The protocol as plain values."""
        return {
            "collar": self.rules.collar,
            "skip_overlap": self.rules.skip_overlap,
            "convention": self.rules.convention,
            "uem": self.uem,
            "files": self.files,
        }

    def __str__(self) -> str:
        overlap = "left out" if self.rules.skip_overlap else "scored"
        return (
            f"{self.files} {'file' if self.files == 1 else 'files'}; "
            f"collar {self.rules.collar:g} s on each side of a reference border; overlap {overlap}; "
            f"UEM: {self.uem}; convention: {self.rules.convention}"
        )
