"""Plays blocks that are there already as if they came in just now."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError
from speakerdiar.streaming.live_source import LiveSource
from speakerdiar.updates import SampleChunk


class PacedBlocks(LiveSource):
    """Gives each block when its last sample would have been recorded. Made by `paced(...)`."""

    def __init__(self, blocks: Iterable[Any], sample_rate: int, speed: float) -> None:
        self.sample_rate = sample_rate
        self._blocks = blocks
        self._speed = speed
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[SampleChunk]:
        begun, heard = time.monotonic(), 0.0
        for block in self._blocks:
            chunk = block if isinstance(block, SampleChunk) else SampleChunk(block)
            heard += chunk.lost + len(chunk.samples) / self.sample_rate
            if self._closed.wait(max(0.0, begun + heard / self._speed - time.monotonic())):
                return
            yield chunk

    def close(self) -> None:
        """Stop playing; an iteration that waits ends."""
        self._closed.set()


def paced(blocks: Iterable[np.ndarray | SampleChunk], sample_rate: int, speed: float = 1.0) -> PacedBlocks:
    """Play blocks of samples at the pace of a live recording, as for a demonstration with a file.

    A listener who is slow gets the blocks that are due at once. `speakerdiar.audio.read_blocks` gives those of a file.

    Args:
        blocks: samples, (n,) or (n, channels), or chunks.
        sample_rate: Hz of the samples.
        speed: 1 for real time, 2 for twice as fast.

    Raises:
        ConfigError: a rate or a speed that can't be.
    """
    if not is_count(sample_rate, least=1):
        raise ConfigError(f"sample_rate={sample_rate!r}: give a rate in Hz, e.g. 16000.")
    if not 0 < speed < float("inf"):
        raise ConfigError(f"speed={speed!r}: give a number above 0; 1 is real time.")
    return PacedBlocks(blocks, int(sample_rate), speed)
