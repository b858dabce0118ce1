"""Random numbers from a seed, in the order in which PyTorch draws them on a CPU.

NME-SC (k-means++ and the counting of speakers in short recordings) draws at random. Its results can be compared with
NeMo's only where the draws are the same. PyTorch's CPU generator is the Mersenne Twister (MT19937): uniform numbers
take the low 24 bits of a word; normal ones are Box and Muller's transform of 8 + 8 of them. No global generator is
touched.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Draws:
    """A stream of random numbers that depends on its seed alone."""

    def __init__(self, seed: int) -> None:
        self._twister = np.random.RandomState(seed)

    def _words(self, count: int) -> NDArray[np.uint32]:
        return np.frombuffer(self._twister.bytes(4 * count), dtype="<u4")

    def below(self, limit: int) -> int:
        """Return a whole number from 0 to limit - 1."""
        return int(self._words(1)[0]) % limit

    def uniform(self, count: int) -> NDArray[np.float32]:
        """Return (count,) numbers from 0 up to, not including, 1."""
        return (self._words(count) & 0xFFFFFF).astype(np.float32) * np.float32(2.0**-24)

    def normal(self, *shape: int) -> NDArray[np.float32]:
        """Return standard normal numbers; equal to PyTorch's where there are 16 or more of them."""
        count = int(np.prod(shape))
        if count < 16:
            return _box_muller(self.uniform(16))[:count].reshape(shape)
        values = self.uniform(count)
        whole = count - count % 16
        values[:whole] = _box_muller(values[:whole])
        if whole < count:
            values[-16:] = _box_muller(self.uniform(16))
        return values.reshape(shape)


def _box_muller(uniform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn uniform numbers (16 * n,) into normal ones, eight pairs at a time."""
    pairs = uniform.reshape(-1, 2, 8)
    radius = np.sqrt(-2 * np.log1p(-pairs[:, 0]))
    angle = np.float32(2 * np.pi) * pairs[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)
