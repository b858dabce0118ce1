"""Pairing the speakers of two sources one to one (Hungarian method)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Row = TypeVar("Row", bound=Hashable)
Column = TypeVar("Column", bound=Hashable)


def best_pairs(gain: NDArray[Any]) -> list[tuple[int, int]]:
    """Return the pairs (row, column) with the greatest total gain, each row and column used at most once.

    Pairs without gain (0 or less) are left out.

    Args:
        gain: (rows, columns), e.g. seconds that two speakers share.
    """
    from scipy.optimize import linear_sum_assignment

    # Every row or column must go somewhere, and nowhere must be better than at a loss.
    rows, columns = linear_sum_assignment(np.maximum(np.asarray(gain, dtype=float), 0), maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if gain[r, c] > 0]


def match(gain: NDArray[Any], rows: Sequence[Row], columns: Sequence[Column]) -> dict[Row, Column]:
    """Return the best pairs by name: a mapping from rows to columns. Rows without a partner are absent."""
    return {rows[r]: columns[c] for r, c in best_pairs(gain)}
