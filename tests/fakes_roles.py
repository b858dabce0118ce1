"""Weightless segmenters and embedders that keep the promises of the real ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.mixins.segmentation import SegmentationMixin

RATE = 16000


class FakeEmbedder(torch.nn.Module, EmbeddingMixin):
    """Maps the dominant frequency of a window to a direction: voices that are tones a third of an octave apart differ.

    In training mode dropout would spoil the vectors.
    """

    def __init__(self, dimension: int = 48) -> None:
        super().__init__()
        self.register_buffer("centres", torch.linspace(np.log2(80), np.log2(8000), dimension))
        self.dropout = torch.nn.Dropout(0.9)

    @property
    def sample_rate(self) -> int:
        return RATE

    @property
    def dimension(self) -> int:
        return len(self.centres)  # type: ignore[arg-type]

    def _embed_batch(self, features: Any, starts: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        windows = torch.from_numpy(sliding_window_view(features, length)[starts].copy())  # (B, length)
        spectrum = torch.fft.rfft(windows * torch.hann_window(length)).abs()
        frequency = spectrum[:, 1:].argmax(dim=1).add(1) * (RATE / length)  # (B,)
        distance = (frequency.log2()[:, None] - self.centres) / 0.15
        bumps = torch.exp(-distance.square() / 2) + 1e-6
        return np.asarray(self.dropout(bumps).numpy(), dtype=np.float32)


class FakeSegmenter(SegmentationMixin):
    """Scores of two classes: the frame's peak, and how far it is from the loudest frame so far (its state)."""

    def __init__(self, block_frames: int = 5) -> None:
        self.block_frames = block_frames

    @property
    def sample_rate(self) -> int:
        return RATE

    @property
    def frame_samples(self) -> int:
        return 100

    @property
    def block_samples(self) -> int:
        return self.block_frames * self.frame_samples

    @property
    def classes(self) -> tuple[str, ...]:
        return ("peak", "distance")

    def _segment_block(self, samples: NDArray[np.float32], state: Any) -> tuple[NDArray[np.float32], Any]:
        peaks = np.maximum.reduceat(np.abs(samples), np.arange(0, len(samples), self.frame_samples))
        loudest = np.maximum.accumulate(np.append(0.0 if state is None else state, peaks))[1:]
        return np.stack([peaks, loudest - peaks], axis=1).astype(np.float32), loudest[-1]
