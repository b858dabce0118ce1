"""A file at the pace of a live recording."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from speakerdiar.errors import ConfigError
from speakerdiar.streaming import paced
from speakerdiar.updates import SampleChunk


def blocks(count: int) -> Iterator[np.ndarray | SampleChunk]:
    """Tenths of a second, the second of them behind a gap of another tenth."""
    for index in range(count):
        samples = np.full(1600, index, np.float32)
        yield SampleChunk(samples, lost=0.1) if index == 1 else samples


def test_no_block_comes_before_its_time() -> None:
    begun = time.monotonic()
    times = []
    for chunk in paced(blocks(3), 16000, speed=4.0):
        times.append(time.monotonic() - begun)
        assert len(chunk.samples) == 1600
    due = [0.1 / 4, 0.3 / 4, 0.4 / 4]
    assert all(at >= earliest - 1e-3 for at, earliest in zip(times, due, strict=True))


def test_a_slow_listener_gets_what_is_due_at_once() -> None:
    source = iter(paced(blocks(3), 16000, speed=20.0))
    next(source)
    time.sleep(0.05)
    begun = time.monotonic()
    assert [chunk.samples[0] for chunk in source] == [1, 2]
    assert time.monotonic() - begun < 1.0


def test_closing_wakes_up_who_waits() -> None:
    with paced(blocks(3), 16000, speed=1e-6) as source:
        threading.Timer(0.05, source.close).start()
        assert list(source) == []


def test_values_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="speed=0"):
        paced([], 16000, speed=0)
    with pytest.raises(ConfigError, match="sample_rate='fast'"):
        paced([], "fast")  # type: ignore[arg-type]
