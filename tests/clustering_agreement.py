"""How far two labelings agree, whatever their labels are called."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment


def agreement(labels: ArrayLike, expected: ArrayLike) -> float:
    """Return the share of equal labels under the best renaming."""
    _, ours = np.unique(labels, return_inverse=True)
    _, theirs = np.unique(expected, return_inverse=True)
    table = np.zeros((ours.max() + 1, theirs.max() + 1))
    np.add.at(table, (ours, theirs), 1)
    matched = linear_sum_assignment(-table)
    return float(table[matched].sum() / len(ours))


def speakers(
    count: int, each: int, *, size: int = 32, noise: float = 0.4, seed: int = 0, turn: int = 10
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return embeddings (count * each, size) of speakers far apart who take turns, and who speaks (count * each,)."""
    generator = np.random.default_rng(seed)
    voices = np.linalg.qr(generator.normal(size=(size, count)))[0].T
    who = np.arange(count * each) // turn % count
    return voices[who] + noise * generator.normal(size=(len(who), size)) / np.sqrt(size), who
