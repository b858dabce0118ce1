"""Who may talk: names and a vector for each, out of whatever a caller has of their voices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.audio import load
from speakerdiar.clustering.affinity import directions
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.recording import as_array, as_recordings
from speakerdiar.voiceprint import Voiceprints, check_name

SHORTEST_CLIP = 0.1
"""Seconds from which on a row of numbers may be samples; one that is shorter is a vector."""


@dataclass(frozen=True, eq=False)
class SondProfiles:
    """The speakers that a recording is searched for.

    Attributes:
        names: one for each.
        vectors: their profiles, float32, (N, dimension); the length of a vector doesn't count.
    """

    names: tuple[str, ...]
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, eq=False)
class ProfileMaker:
    """Makes profiles of clips and vectors.

    Attributes:
        embedder: makes a vector of a clip; None where there are only vectors.
        dimension: size of a vector.
        most: speakers that may have profiles.
        sample_rate: Hz of samples that come without a rate; None refuses these.
    """

    embedder: EmbeddingMixin | None
    dimension: int
    most: int
    sample_rate: int | None = None

    def make(self, given: Any) -> SondProfiles:
        """Return the profiles of the speakers that a caller names.

        Args:
            given: a mapping, or pairs, of names and what there is of each voice: a path, samples (n,),
                `(samples, rate)`, an open file, a vector (dimension,), or a list of these, whose vectors' mean is
                taken. Or `Voiceprints`, or a matrix (N, dimension), whose speakers are called spk1, spk2, ...

        Raises:
            InputError: nobody, too many, a name twice, a clip that can't be read or is silent, a vector of another
                size; the message names the person.
            ConfigError: clips, and no model that makes vectors of them.
        """
        if isinstance(given, SondProfiles):
            return given
        if hasattr(given, "shape"):
            return self.of_matrix(np.asarray(given, dtype=np.float32))
        pairs = self._pairs(given)
        names = [name for name, _ in pairs]
        self._check_count(len(names))
        for name in names:
            check_name(name)
            if names.count(name) > 1:
                raise InputError(f"profiles: {name!r} is there twice: put the clips of one person into one list.")
        return SondProfiles(tuple(names), np.stack([self._vector(name, voice) for name, voice in pairs]))

    def numbered(self, voices: Iterable[Any]) -> SondProfiles:
        """Return the profiles of speakers without names: FunASR's spk1, spk2, ..."""
        return self.make(list(zip(_numbers(), voices, strict=False)))

    def of_matrix(self, rows: NDArray[np.float32]) -> SondProfiles:
        """Return the profiles of speakers without names, from a matrix (N, dimension); rows of zeros are nobody's.

        Raises:
            InputError: another shape, numbers that aren't finite, nobody or too many.
        """
        matrix = np.atleast_2d(rows)
        if matrix.ndim != 2 or matrix.shape[1] != self.dimension or not np.isfinite(matrix).all():
            raise InputError(
                f"profiles: an array of shape {matrix.shape}: give finite numbers, a row of {self.dimension} for each "
                "person."
            )
        last = int(np.flatnonzero(matrix.any(axis=1)).max(initial=-1))  # FunASR's lists fill up with zeros
        self._check_count(last + 1)
        return SondProfiles(tuple(islice(_numbers(), last + 1)), matrix[: last + 1])

    def _check_count(self, people: int) -> None:
        if not people:
            raise InputError("profiles: nobody is in them: give one person or more, {'Ana': 'ana.wav'}.")
        if people > self.most:
            raise InputError(
                f"profiles: {people} people, and this model takes {self.most}: give those who may be in the recording."
            )

    def _pairs(self, given: Any) -> list[tuple[str, Any]]:
        if isinstance(given, Voiceprints):
            return list(zip(given.names, given.vectors, strict=True))
        if isinstance(given, Mapping):
            return list(given.items())
        pairs = list(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes) else None
        if pairs is None or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
            raise InputError(f"profiles={given!r:.60}: give a mapping from names to clips or vectors.")
        return pairs

    def _vector(self, name: str, voice: Any) -> NDArray[np.float32]:
        """Return one person's vector; of several clips, the mean of their directions."""
        several = list(voice) if isinstance(voice, list) else [voice]
        if not several:
            raise InputError(f"The profile of {name!r} is an empty list: give a clip or a vector.")
        found = np.stack([self._one(name, item) for item in several])
        vector = found[0] if len(found) == 1 else directions(found).mean(axis=0)
        if not np.isfinite(vector).all():
            raise InputError(f"The profile of {name!r} holds NaN or infinity: give finite numbers.")
        if not vector.any():
            raise InputError(f"The profile of {name!r} is silent: give a clip in which they speak.")
        return np.asarray(vector, dtype=np.float32)

    def _one(self, name: str, item: Any) -> NDArray[Any]:
        row = as_array(item) if hasattr(item, "shape") else None
        if row is not None and self._is_vector(row):
            if row.size != self.dimension:
                raise InputError(
                    f"The profile of {name!r} has {row.size} numbers, and this model takes {self.dimension}: "
                    "make it with the model's own embedder, or give a clip."
                )
            return row.reshape(-1)
        return self._embedded(name, item)

    def _is_vector(self, row: NDArray[Any]) -> bool:
        """Whether numbers are a vector, not samples: they have its size, are too few to be heard, or have no rate."""
        few = row.size < SHORTEST_CLIP * (self.sample_rate or 0)
        return row.size == self.dimension or few or self.sample_rate is None

    def _embedded(self, name: str, clip: Any) -> NDArray[np.float32]:
        if self.embedder is None:
            raise ConfigError(
                f"The profile of {name!r} is a clip, and no model for clips is loaded: load SOND with "
                f"embedder='path/to/sv.pb', or give vectors of {self.dimension} numbers."
            )
        try:
            [recording] = as_recordings([clip], self.sample_rate)
            samples = load(recording, self.embedder.sample_rate)
        except InputError as error:
            raise InputError(f"The profile of {name!r}: {error}") from error
        return self.embedder.embed(samples)[0] if len(samples) else np.zeros(self.dimension, np.float32)


def _numbers() -> Iterator[str]:
    return (f"spk{index}" for index in count(1))
