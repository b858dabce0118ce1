"""Powerset classes: one class for each set of speakers who may talk at once.

The order is that of pyannote.audio: nobody, each one alone, then pairs (0, 1), (0, 2), ... (1, 2), then triples.
Plaquet and Bredin, "Powerset multi-class cross entropy loss for neural speaker diarization", Interspeech 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain, combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError


@dataclass(frozen=True)
class Powerset:
    """Sets of at most `at_once` of `speakers` speakers; a set is also a number whose bit s says that s talks."""

    speakers: int = 3
    at_once: int = 2

    def __post_init__(self) -> None:
        if not (is_count(self.speakers, least=1) and self.speakers <= 8):
            raise ConfigError(f"speakers={self.speakers!r}: give a whole number from 1 to 8.")
        if not (is_count(self.at_once, least=1) and self.at_once <= self.speakers):
            raise ConfigError(f"at_once={self.at_once!r}: give a whole number from 1 to {self.speakers}.")

    @property
    def classes(self) -> int:
        """How many sets there are."""
        return len(self.bits)

    @cached_property
    def bits(self) -> NDArray[np.uint8]:
        """The set of each class, as bits: (classes,)."""
        sizes = range(self.at_once + 1)
        sets = chain.from_iterable(combinations(range(self.speakers), size) for size in sizes)
        return np.array([sum(1 << speaker for speaker in one) for one in sets], dtype=np.uint8)

    @cached_property
    def members(self) -> NDArray[np.bool_]:
        """Who talks in each class: (classes, speakers)."""
        return members_of(self.bits, self.speakers)


def members_of(bits: NDArray[np.integer[Any]], speakers: int) -> NDArray[np.bool_]:
    """Return who talks, from sets as bits (...): bool, (..., speakers)."""
    return (bits[..., None] >> np.arange(speakers, dtype=bits.dtype) & 1).astype(bool)


def bits_of(active: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return sets as bits (...), from who talks: (..., speakers), 8 at most."""
    return wide_bits_of(active).astype(np.uint8)


def wide_bits_of(active: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return sets as bits (...), from who talks: (..., speakers), 62 at most."""
    return np.asarray(active @ (1 << np.arange(active.shape[-1], dtype=np.int64)), dtype=np.int64)
