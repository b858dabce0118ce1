"""Power-set encoding: SOND's classes, one for each set of speakers who may talk at once.

A set is a whole number, its token: bit s, from the lowest, says that speaker s talks. Classes stand in ascending order
of their tokens, as in FunASR's token lists; `powerset.Powerset` orders smaller sets as pyannote.audio does.
Du et al., "Speaker Overlap-aware Neural Diarization for Multi-party Meeting Analysis", EMNLP 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.postprocessing.powerset import members_of, wide_bits_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_SPEAKERS = 16


@dataclass(frozen=True)
class PowerSetEncoding:
    """Sets of at most `at_once` of `speakers` speakers (16 at most); 16 and 4 are SOND's 2517 classes."""

    speakers: int = 16
    at_once: int = 4

    def __post_init__(self) -> None:
        _check_count("speakers", self.speakers, MOST_SPEAKERS)
        _check_count("at_once", self.at_once, self.speakers)

    @property
    def classes(self) -> int:
        """How many sets there are."""
        return len(self.tokens)

    @cached_property
    def tokens(self) -> NDArray[np.int64]:
        """The set of each class, as bits: (classes,), ascending."""
        numbers = np.arange(1 << self.speakers, dtype=np.int64)
        few = members_of(numbers, self.speakers).sum(axis=1) <= self.at_once
        return np.asarray(numbers[few])

    @cached_property
    def members(self) -> NDArray[np.bool_]:
        """Who talks in each class: (classes, speakers)."""
        return members_of(self.tokens, self.speakers)

    def allowed(self, present: int) -> NDArray[np.bool_]:
        """Return the classes that name none but the first `present` speakers: (classes,).

        Raises:
            ConfigError: `present` isn't 1 to `speakers`.
        """
        _check_count("present", present, self.speakers)
        return np.asarray(self.tokens < 1 << present)

    def decode(self, classes: NDArray[np.integer[Any]], present: int) -> NDArray[np.bool_]:
        """Return who of the first `present` speakers talks in each frame: (T, present).

        A class that names anyone else is replaced by that of the nearest frame whose class doesn't, the earlier of two
        that are equally near; by silence where there is none. This is FunASR's rule. It counts frames, so stretch
        classes to 10 ms first for what FunASR returns: half of a hole then goes to each side.

        Args:
            classes: the class of each frame, (T,).
            present: how many speakers there are.

        Raises:
            ConfigError: `present` isn't 1 to `speakers`.
        """
        fits = self.allowed(present)[classes]
        tokens = self.tokens[np.asarray(classes)[_nearest(fits)]] if fits.any() else np.zeros(len(fits), dtype=np.int64)
        return members_of(tokens, present)

    def classes_of(self, active: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the class of each frame, from who talks in it: (T,).

        Where more than `at_once` talk, those stay who began to talk first (the lower column of two who began together),
        so that a turn isn't cut by someone who falls in. FunASR takes such frames for silence.

        Args:
            active: who talks in each frame, (T, speakers).

        Raises:
            InputError: another number of columns.
        """
        if active.ndim != 2 or active.shape[1] != self.speakers:
            raise InputError(f"Who talks has shape {active.shape}: give (frames, {self.speakers}).")
        return np.searchsorted(self.tokens, wide_bits_of(_first_comers(active, self.at_once)))


def _check_count(name: str, value: int, most: int) -> None:
    if not (is_count(value, least=1) and value <= most):
        raise ConfigError(f"{name}={value!r}: give a whole number from 1 to {most}.")


def _nearest(fits: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the nearest frame that fits, for each frame: (T,). At least one fits."""
    places, frames = np.flatnonzero(fits), np.arange(len(fits))
    behind = np.searchsorted(places, frames)
    after = places[np.minimum(behind, len(places) - 1)]
    before = places[np.maximum(behind - 1, 0)]
    return np.where(np.abs(before - frames) <= np.abs(after - frames), before, after)


def _first_comers(active: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    """Return who talks without those of a frame who began to talk after `most` others."""
    crowded = np.flatnonzero(active.sum(axis=1) > most)
    if not len(crowded):
        return active
    begins = active & ~np.concatenate((np.zeros_like(active[:1]), active[:-1]))
    since = np.maximum.accumulate(np.where(begins, np.arange(len(active))[:, None], 0), axis=0)[crowded]
    order = np.argsort(np.where(active[crowded], since, len(active)), axis=1, kind="stable")
    kept = active.copy()
    kept[crowded] = False
    kept[crowded[:, None], order[:, :most]] = True
    return kept
