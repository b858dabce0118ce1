"""Pieces of a recording, and what is kept of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.models.diarizers.window_pieces import SlotStore, pieces
from speakerdiar.windows import WindowGrid

GRID = WindowGrid(rate=10, window=10, step=3, frames=2, frame_step=5, receptive=5)


@given(st.lists(st.integers(1, 25), max_size=8))
def test_every_window_comes_once_and_is_the_recordings(lengths: list[int]) -> None:
    samples = np.arange(1, sum(lengths) + 1, dtype=np.float32)
    blocks = np.split(samples, np.cumsum(lengths)[:-1]) if lengths else []
    found = list(pieces(blocks, GRID))
    windows = [window for piece in found for window in piece.windows]
    starts = GRID.starts(GRID.count(len(samples)))
    assert len(windows) == len(starts)
    padded = np.pad(samples, (0, GRID.window))
    for window, start in zip(windows, starts, strict=True):
        assert (window == padded[start : start + GRID.window]).all()
    assert [piece.last for piece in found] == [False] * (len(found) - 1) + [True] * bool(found)
    assert [piece.first for piece in found] == np.cumsum([0, *map(len, found)])[: len(found)].tolist()
    assert not found or found[-1].heard == len(samples)


def test_embeddings_in_memory_and_on_disk_are_the_same_to_half_precision() -> None:
    parts = [np.random.default_rng(at).normal(size=(at + 1, 2, 5)).astype(np.float32) for at in range(6)]
    memory, disk = SlotStore(2, 5), SlotStore(2, 5, in_memory=100)
    for part in parts:
        memory.add(part)
        disk.add(part)
    assert (memory.all() == np.concatenate(parts)).all()
    assert isinstance(disk.all(), np.memmap)
    assert disk.all() == pytest.approx(np.concatenate(parts), rel=1e-3, abs=1e-6)


def test_nothing_was_added() -> None:
    assert SlotStore(3, 7).all().shape == (0, 3, 7)
