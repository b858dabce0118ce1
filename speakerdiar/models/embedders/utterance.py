"""What embedders share that hear every window as an utterance of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.nn.threads import map_over_threads

SECONDS_AT_ONCE = 16
"""Audio of a batch on each thread: what stays in the caches of a CPU."""
SECONDS_AT_ONCE_ON_GPU = 600


class UtteranceEmbedder(torch.nn.Module, EmbeddingMixin):
    """Features of a window are made of its samples alone, and normalised over it; so windows share nothing.

    That is how the networks were trained and how their own toolkits run them: `embed()` of up to 30 s, whole, gives
    the toolkit's numbers. Vectors keep the length that the network gives them, which some scorings use.

    Args:
        frontend: samples (B, n) -> features.
        network: features -> vectors (B, dimension); runs in the precision of its weights.
        dimension: size of a vector.
    """

    normalized = False

    def __init__(self, frontend: torch.nn.Module, network: torch.nn.Module, dimension: int) -> None:
        super().__init__()
        self.frontend, self.network = frontend, network
        self._dimension = dimension
        self.eval().requires_grad_(False)

    @property
    def sample_rate(self) -> int:
        """Hz of the samples that the model takes."""
        return 16000

    @property
    def dimension(self) -> int:
        """Size of a vector."""
        return self._dimension

    @property
    def window_seconds(self) -> float:
        """Longest audio that is embedded as one: 30 s."""
        return 30.0

    def _embed_batch(self, features: Any, starts: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        windows = sliding_window_view(features, length)  # (positions, length), a view
        weight = next(self.network.parameters())

        def embed(chunk: NDArray[np.int64]) -> torch.Tensor:
            samples = torch.from_numpy(windows[chunk]).to(weight.device)
            vectors: torch.Tensor = self.network(self.frontend(samples).to(weight.dtype))
            return vectors.float()

        seconds = SECONDS_AT_ONCE if weight.device.type == "cpu" else SECONDS_AT_ONCE_ON_GPU
        size = max(1, seconds * self.sample_rate // length)
        chunks = [starts[first : first + size] for first in range(0, len(starts), size)]
        # A single chunk has all threads to itself.
        vectors = map_over_threads(embed, chunks) if len(chunks) > 1 else [embed(chunks[0])]
        return torch.cat(vectors).cpu().numpy()
