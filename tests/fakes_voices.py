"""Voices that are tones, and a store that knows them apart."""

from __future__ import annotations

import os

import numpy as np
from fakes_roles import RATE, FakeEmbedder, FakeSegmenter
from numpy.typing import NDArray

from speakerdiar.voiceprints import VoiceprintStore


class SlowSegmenter(FakeSegmenter):
    """Looks at 200 ms at once, so that pauses between syllables are speech."""

    @property
    def frame_samples(self) -> int:
        return RATE // 5


def tone(frequency: float, seconds: float = 6.0) -> tuple[NDArray[np.float32], int]:
    """A voice, as samples with their rate: it pauses for 80 of each 200 ms, as speech does."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.8 * np.sin(2 * np.pi * frequency * time) * (time % 0.2 < 0.12)).astype(np.float32), RATE


def tone_store(
    path: str | os.PathLike[str] = ":memory:", *, embedder: FakeEmbedder | None = None, threshold: float | None = 0.7
) -> VoiceprintStore:
    """A store of such voices."""
    return VoiceprintStore(path, embedder=embedder or FakeEmbedder(), threshold=threshold, segmenter=SlowSegmenter())
