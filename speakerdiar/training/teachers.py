"""A trained embedder as a teacher: what it says of clean clips is learnt by one that hears less of them."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.simulation.conversation import Clip
from speakerdiar.voiceprint import from_centre

SECONDS = 4.0
"""Of a clip, from its middle: a teacher is sure of a voice then, and longer takes longer."""


class Teacher:
    """Gives the vector of a clip, from the embedder's centre on, of length 1. Each clip is embedded once.

    Args:
        embedder: that takes the clips' rate.
    """

    def __init__(self, embedder: EmbeddingMixin) -> None:
        self.embedder = embedder
        self._known: dict[Hashable, NDArray[np.float32]] = {}

    @property
    def dimension(self) -> int:
        """Size of a vector."""
        return self.embedder.dimension

    def vector(self, key: Hashable, clip: Clip) -> NDArray[np.float32]:
        """Return the vector of a clip (dimension,); `key` tells it from other clips."""
        if key not in self._known:
            self._known[key] = self.embed(clip.samples)
        return self._known[key]

    def embed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the vector of the middle of samples (n,)."""
        spare = max(0, len(samples) - round(SECONDS * self.embedder.sample_rate))
        middle = samples[spare // 2 : len(samples) - spare // 2]
        [vector] = from_centre(self.embedder.embed(middle), self.embedder.centre)
        return np.asarray(vector, dtype=np.float32)
