"""Blocks on their way from a sound card to whoever listens: few of them, and none lost in silence."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace

import numpy as np

from speakerdiar.updates import SampleChunk


class BlockQueue:
    """Holds the newest blocks of a recorder. The oldest give way where it is full, and the next one says how much.

    Args:
        sample_rate: Hz of the samples.
        seconds: how much audio is kept for a slow listener.
    """

    def __init__(self, sample_rate: int, seconds: float) -> None:
        self._rate = sample_rate
        self._most = max(1, round(seconds * sample_rate))
        self._blocks: deque[SampleChunk] = deque()
        self._held = 0  # samples
        self._ended = False
        self._changed = threading.Condition()

    def put(self, samples: np.ndarray, overrun: bool) -> None:
        """Add a block, (n,). Never waits for the listener."""
        with self._changed:
            self._blocks.append(SampleChunk(samples, overrun=overrun))
            self._held += len(samples)
            while self._held > self._most and len(self._blocks) > 1:
                self._drop_oldest()
            self._changed.notify()

    def take(self, timeout: float) -> SampleChunk | None:
        """Return the oldest block; None where the recorder has ended and all blocks are taken.

        Raises:
            TimeoutError: nothing came for `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._blocks or self._ended, timeout):
                raise TimeoutError
            if not self._blocks:
                return None
            chunk = self._blocks.popleft()
            self._held -= len(chunk.samples)
            return chunk

    def end(self) -> None:
        """Say that nothing follows."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def _drop_oldest(self) -> None:
        dropped, following = self._blocks.popleft(), self._blocks.popleft()
        self._held -= len(dropped.samples)
        lost = dropped.lost + len(dropped.samples) / self._rate + following.lost
        self._blocks.appendleft(replace(following, lost=lost, overrun=True))
