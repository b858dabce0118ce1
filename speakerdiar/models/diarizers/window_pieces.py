"""Cuts a recording, while it is read, into pieces that hold whole windows; and keeps what the networks make of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from speakerdiar.windows import WindowGrid

IN_MEMORY = 2**27
"""Bytes of embeddings that are kept in memory in full precision; more go to a file, in half precision."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Audio that whole windows cover.

    Attributes:
        samples: (n,); n is the length of a window and a multiple of the step more. Silence stands behind the end.
        first: number of the first window.
        grid: where windows lie.
        last: whether the recording ends here.
        heard: samples of the recording up to the end of this piece, without the silence.
    """

    samples: NDArray[np.float32]
    first: int
    grid: WindowGrid
    last: bool
    heard: int

    def __len__(self) -> int:
        """Windows."""
        return 1 + (len(self.samples) - self.grid.window) // self.grid.step

    @property
    def windows(self) -> NDArray[np.float32]:
        """The windows, (windows, window), a view."""
        return sliding_window_view(self.samples, self.grid.window)[:: self.grid.step]

    def starts(self, windows: NDArray[np.int64]) -> NDArray[np.int64]:
        """First samples, in this piece, of windows counted from the piece's first."""
        return windows * self.grid.step


def pieces(blocks: Iterable[NDArray[np.float32]], grid: WindowGrid) -> Iterator[Piece]:
    """Yield pieces that have every window of the recording once, in order, as soon as their audio is there.

    What a piece is depends on `blocks` only through their length. An empty recording gives none.
    """
    rest, first, heard = np.zeros(0, np.float32), 0, 0
    for block in blocks:
        heard += len(block)
        rest = np.concatenate([rest, block])
        # The last window may be the recording's last, which silence has to fill: it waits for more, or for the end.
        whole = (len(rest) - grid.window - 1) // grid.step + 1 if len(rest) > grid.window else 0
        if whole:
            reach = (whole - 1) * grid.step + grid.window
            yield Piece(rest[:reach], first, grid, False, first * grid.step + reach)
            rest, first = rest[whole * grid.step :], first + whole
    if heard:
        whole = grid.count(len(rest))
        reach = (whole - 1) * grid.step + grid.window
        yield Piece(np.pad(rest, (0, reach - len(rest))), first, grid, True, heard)


class SlotStore:
    """Embeddings of local speakers, piece by piece: in memory, or on disk in half precision once they are many.

    Args:
        speakers: local speakers of a window.
        dimension: of an embedding.
        in_memory: bytes kept in memory.
    """

    def __init__(self, speakers: int, dimension: int, in_memory: int = IN_MEMORY) -> None:
        self.shape = (speakers, dimension)
        self.in_memory = in_memory
        self._parts: list[NDArray[np.float32]] = []
        self._bytes = 0
        self._file: Any = None

    def add(self, embeddings: NDArray[np.float32]) -> None:
        """Put the embeddings (windows, speakers, dimension) of the next windows behind the others."""
        self._parts.append(embeddings)
        self._bytes += embeddings.nbytes
        if self._bytes > self.in_memory:
            self._spill()

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="speakerdiar-embeddings-")  # noqa: SIM115 - closed with the store; what is mapped stays
        for part in self._parts:
            part.astype(np.float16).tofile(self._file)
        self._parts, self._bytes = [], 0

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def all(self) -> NDArray[Any]:
        """Return the embeddings of all windows, (windows, speakers, dimension): float32, or float16 on disk."""
        if self._file is None:
            return np.concatenate([np.zeros((0, *self.shape), np.float32), *self._parts])
        self._spill()
        self._file.flush()
        return np.memmap(self._file, np.float16, "r").reshape(-1, *self.shape)
