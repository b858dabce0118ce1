"""Enrolled voices as a value: names and vectors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.errors import InputError
from speakerdiar.matching import best_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBERED = re.compile(r"(SPEAKER|PERSON)_\d+")
"""Names that stand for someone unknown."""


@dataclass(frozen=True, eq=False)
class Voiceprints:
    """Voices of known people, all from one embedder.

    Attributes:
        names: one for each voice, each once.
        vectors: of length 1, float32, (N, D).
        centre: mean of the embedder's vectors over many people, (D,); it is taken off before voices are compared, so
            that what all voices share doesn't count. None leaves it out.
    """

    names: tuple[str, ...]
    vectors: NDArray[np.float32]
    centre: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        for name in self.names:
            check_name(name)
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise InputError(f"Two voices are called {twice!r}: give each person a name of their own.")
        vectors = np.asarray(self.vectors, dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(self.names) or not np.isfinite(vectors).all():
            raise InputError(
                f"Vectors of shape {vectors.shape} for {len(self.names)} names: give one of finite numbers each."
            )
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        for name, length in zip(self.names, lengths[:, 0], strict=True):
            if not length > 0:
                raise InputError(f"The vector of {name!r} is all zeros: enrol a recording in which they speak.")
        object.__setattr__(self, "vectors", vectors / lengths)

    @classmethod
    def of(cls, vectors: Mapping[str, Any]) -> Voiceprints:
        """Make them of a mapping from names to vectors (D,) of any length."""
        listed = [np.asarray(vector, dtype=np.float32).reshape(-1) for vector in vectors.values()]
        if len({len(vector) for vector in listed}) > 1:
            sizes = ", ".join(f"{name} {len(vector)}" for name, vector in zip(vectors, listed, strict=True))
            raise InputError(f"Vectors of several sizes ({sizes}): take all from one embedder.")
        return cls(tuple(vectors), np.stack(listed) if listed else np.zeros((0, 0), np.float32))

    def __len__(self) -> int:
        return len(self.names)

    def scores(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        """Return the cosine of each vector (S, D) with each voice: (S, N); -1 for a vector of zeros or NaN."""
        return voice_scores(vectors, self.vectors, self.centre)

    def assigned(self, vectors: NDArray[Any], threshold: float) -> dict[int, tuple[str, float]]:
        """Say which voice each vector is: by row, the name and the score. Who is none of them is left out.

        Two rows never get one name: of all ways to give names, the one whose scores exceed the threshold by most in
        sum is taken.

        Args:
            vectors: (S, D), one for each speaker of one recording.
            threshold: scores from here on count as one person.
        """
        scores = self.scores(vectors)
        eligible = (scores >= threshold) & np.asarray(from_centre(vectors).any(axis=1))[:, None]
        above = np.where(eligible, scores - threshold + 1e-9, 0)
        return {row: (self.names[column], float(scores[row, column])) for row, column in best_pairs(above)}


def voice_scores(
    vectors: NDArray[Any], others: NDArray[Any], centre: NDArray[np.float32] | None = None
) -> NDArray[np.float64]:
    """Return how alike voices are: cosines of vectors (S, D) with others (N, D), (S, N), from a centre on.

    Args:
        vectors: of any length; for those of zeros or NaN, -1 comes out.
        others: of any length, none of zeros.
        centre: mean of the embedder's vectors over many people, (D,), which is taken off vectors of length 1; None
            leaves it out.
    """
    seen = from_centre(vectors, centre)
    heard = np.asarray(seen.any(axis=1))
    found = np.full((len(seen), len(others)), -1.0)
    if len(others) and heard.any():
        found[heard] = np.clip(seen[heard] @ from_centre(others, centre).T, -1, 1)
    return found


def from_centre(vectors: NDArray[Any], centre: NDArray[Any] | None = None) -> NDArray[np.float64]:
    """Return vectors (N, D) as seen from a centre, of length 1: zeros stay, and NaN becomes zeros.

    Args:
        vectors: of any length.
        centre: (D,), taken off vectors of length 1; None leaves it out.
    """
    given = np.asarray(vectors, dtype=np.float64)
    units = _scaled(np.where(np.isfinite(given).all(axis=1, keepdims=True), given, 0))
    if centre is None or not len(units):
        return units
    return _scaled(np.where(units.any(axis=1, keepdims=True), units - centre, 0))


def _scaled(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float64] = vectors / np.where(lengths > 0, lengths, 1)
    return scaled


def check_name(name: Any) -> None:
    """Raise InputError for what can't be a person's name."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise InputError(f"name={name!r}: give a name of printable characters.")
    if NUMBERED.fullmatch(name):
        raise InputError(f"name={name!r}: names like this stand for unknown speakers; choose another.")


def numbered(speakers: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """Return a name for each speaker: the known one, else `SPEAKER_00`, `SPEAKER_01`, ... in the order given."""
    unknown = [speaker for speaker in speakers if speaker not in names]
    return {**names, **{speaker: f"SPEAKER_{index:02d}" for index, speaker in enumerate(unknown)}}
