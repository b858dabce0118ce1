"""Memory doesn't grow with the length, the rate or the channels."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speakerdiar.audio import read_blocks


def write_long(path: Path, minutes: int, rate: int, channels: int) -> Path:
    minute = np.zeros((60 * rate, channels), np.int16)
    with soundfile.SoundFile(path, "w", rate, channels) as file:
        for _ in range(minutes):
            file.write(minute)
    return path


def peak_mib(path: Path) -> float:
    tracemalloc.start()
    try:
        samples = sum(map(len, read_blocks(path, block_seconds=10.0)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert samples > 0
    return peak / 2**20


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_ten_minutes_take_no_more_than_one(tmp_path: Path, suffix: str) -> None:
    short = peak_mib(write_long(tmp_path / f"short.{suffix}", 1, 8000, 2))
    long = peak_mib(write_long(tmp_path / f"long.{suffix}", 10, 8000, 2))
    assert long < 12
    assert long < short + 2


def test_many_channels_at_a_high_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((20 * 96_000, 16), np.int16), 96_000)
    assert peak_mib(path) < 12
