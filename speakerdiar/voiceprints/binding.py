"""What ties voices to the embedder that made them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from speakerdiar.models.embedders import EMBEDDERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from speakerdiar.mixins.embedding import EmbeddingMixin


@dataclass(frozen=True, eq=False)
class Binding:
    """An embedder as a store remembers it.

    Attributes:
        name: a name in EMBEDDERS, the path of weights, a name on the Hub, or the class of an instance.
        probe: vector of a sound that is always the same (`EmbeddingMixin.probe`), (D,).
    """

    name: str
    probe: NDArray[np.float32]

    @classmethod
    def of(cls, embedder: EmbeddingMixin, given: str | os.PathLike[str] | EmbeddingMixin) -> Binding:
        """Take down an embedder, and what it was asked for by."""
        return cls(_name_of(given), embedder.probe())

    def fits(self, other: Binding) -> bool:
        """Whether both make the same vectors, as far as the probe tells."""
        from speakerdiar.mixins.naming import SAME

        return len(self.probe) == len(other.probe) and float(self.probe @ other.probe) >= SAME


def to_bytes(vector: NDArray[np.float32]) -> bytes:
    """Return a vector as a store keeps it: float32, little end first."""
    return vector.astype("<f4").tobytes()


def from_bytes(data: bytes) -> NDArray[np.float32]:
    """Return the vector that `to_bytes` made bytes of."""
    return np.frombuffer(data, dtype="<f4").astype(np.float32)


def _name_of(embedder: str | os.PathLike[str] | EmbeddingMixin) -> str:
    if isinstance(embedder, str | os.PathLike):
        name = os.fspath(embedder)
        return os.path.abspath(name) if name not in EMBEDDERS and os.path.exists(name) else name
    home = f"{type(embedder).__module__}:{type(embedder).__name__}"
    return next((name for name, place in EMBEDDERS.items() if place == home), type(embedder).__name__)
