"""What a store of voices answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """Someone who is enrolled.

    Attributes:
        name: what they are called.
        clips: recordings that they were enrolled with.
        seconds: of speech in these.
        since: when they were enrolled first: UTC, ISO 8601.
    """

    name: str
    clips: int
    seconds: float
    since: str


@dataclass(frozen=True)
class Enrolment:
    """What was stored of someone, and how good it is.

    Attributes:
        person: as they are enrolled now.
        added: clips that were new.
        agreement: least score of a clip with this person's others; None where there is only one.
        warnings: what may be wrong with the clips, a sentence each.
    """

    person: Person
    added: int
    agreement: float | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Identification:
    """Whose voice it is.

    Attributes:
        name: the best of those whose score reaches the threshold; None for someone unknown.
        ranked: everyone who is enrolled, with their score (-1 to 1), best first.
        threshold: scores from here on count as one person.
    """

    name: str | None
    ranked: tuple[tuple[str, float], ...]
    threshold: float

    @property
    def score(self) -> float:
        """The best score, whether it reaches the threshold or not."""
        return self.ranked[0][1]
