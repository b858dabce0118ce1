"""How a live stream becomes blocks: any cut, any rate, any kind of samples."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.audio import load
from speakerdiar.errors import AudioLimitError, InputError
from speakerdiar.mixins.stream_blocks import StreamBlocks, as_chunk
from speakerdiar.updates import SampleChunk

RNG = np.random.default_rng(5)
NOISE = RNG.uniform(-0.5, 0.5, 4000).astype(np.float32)


def put(blocks: StreamBlocks, samples: Any, lost: float = 0.0) -> None:
    chunk = SampleChunk(samples, lost)
    blocks.put(blocks.checked(chunk), chunk.lost)


def drained(blocks: StreamBlocks, needs: list[int]) -> Iterator[np.ndarray]:
    """The blocks that are there; their lengths go round in `needs`."""
    while (block := blocks.next_block(needs[0])) is not None:
        assert len(block) == needs[0]
        needs.append(needs.pop(0))
        yield block


def all_of(blocks: StreamBlocks) -> np.ndarray:
    before = list(drained(blocks, [700]))
    blocks.end()
    return np.concatenate([*before, *drained(blocks, [700]), blocks.rest()])


@given(
    cuts=st.lists(st.integers(0, 4000), max_size=20),
    needs=st.lists(st.integers(1, 3000), min_size=1, max_size=4),
    rate=st.sampled_from([8000, 16000, 44100]),
)
def test_blocks_are_the_samples_of_the_whole_whatever_the_cut(cuts: list[int], needs: list[int], rate: int) -> None:
    blocks = StreamBlocks(rate, 16000)
    found: list[np.ndarray] = []
    for start, end in pairwise([0, *sorted(cuts), 4000]):
        put(blocks, NOISE[start:end])
        found += drained(blocks, needs)
    blocks.end()
    found += drained(blocks, needs)
    rest = blocks.rest()
    assert len(rest) < needs[0]
    whole = load((NOISE, rate), 16000)
    np.testing.assert_array_equal(np.concatenate([*found, rest]), whole)
    assert blocks.seconds == len(whole) / 16000


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([-32768, 0, 16384], np.int16), [-1, 0, 0.5]),
        (np.array([0, 128, 192], np.uint8), [-1, 0, 0.5]),
        (np.array([[0.5, 0.0], [0.25, 0.75]]), [0.25, 0.5]),
        (np.array([[0.5], [0.25]], np.float32), [0.5, 0.25]),
        (np.zeros((0, 2)), []),
        (np.zeros(0, np.int16), []),
    ],
)
def test_every_kind_of_samples_is_brought_to_mono_floats(samples: np.ndarray, expected: list[float]) -> None:
    blocks = StreamBlocks(16000, 16000)
    put(blocks, samples)
    found = all_of(blocks)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.asarray(expected, np.float32))


def test_a_buffer_that_is_used_again_changes_nothing() -> None:
    blocks, buffer = StreamBlocks(16000, 16000), np.ones(5, np.float32)
    put(blocks, buffer)
    buffer[:] = 9
    np.testing.assert_array_equal(all_of(blocks), np.ones(5))


def test_silence_stands_in_for_what_is_lost() -> None:
    blocks = StreamBlocks(16000, 16000)
    put(blocks, np.ones(100, np.float32))
    put(blocks, np.ones(100, np.float32), lost=0.01)
    np.testing.assert_array_equal(all_of(blocks), np.concatenate([np.ones(100), np.zeros(160), np.ones(100)]))


def test_losses_of_a_part_of_a_sample_add_up() -> None:
    blocks = StreamBlocks(16000, 16000)
    for _ in range(1000):
        put(blocks, np.zeros(0), lost=0.4 / 16000)
    assert blocks.seconds == 400 / 16000


def test_a_long_gap_takes_no_more_memory_than_a_short_one() -> None:
    blocks = StreamBlocks(8000, 16000)
    tracemalloc.start()
    put(blocks, np.zeros(0), lost=1200.0)
    count = sum(len(block) for block in drained(blocks, [160_000]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    blocks.end()
    assert count + sum(len(block) for block in drained(blocks, [160_000])) + len(blocks.rest()) == 1200 * 16000
    assert peak < 1200 * 8000 * 4 / 4


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_broken_sample_is_refused_with_its_time_and_nothing_taken(broken: float) -> None:
    blocks = StreamBlocks(8000, 16000)
    put(blocks, np.zeros(8000))
    samples = np.zeros((800, 2))
    samples[400, 1] = broken
    with pytest.raises(InputError, match=r"at 1\.5500 s of the stream: give finite numbers"):
        blocks.checked(SampleChunk(samples, lost=0.5))
    assert blocks.seconds == 1.0
    put(blocks, np.zeros(8000))
    assert blocks.seconds == 2.0


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((5, 0)), r"shape \(5, 0\)"),
        (np.zeros((2, 1600)), "1600 channels"),
        (np.zeros(5, np.int64), "scale of int64"),
        (np.array([1j]), "scale of complex128"),
    ],
)
def test_samples_that_cannot_be_are_refused(samples: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        StreamBlocks(16000, 16000).checked(SampleChunk(samples))


def test_a_gap_longer_than_any_recording_is_refused() -> None:
    with pytest.raises(AudioLimitError, match="max_seconds"):
        StreamBlocks(16000, 16000).checked(SampleChunk(np.zeros(0), lost=1e300))


def test_a_rate_that_cannot_be_is_refused() -> None:
    with pytest.raises(AudioLimitError, match="10 Hz"):
        StreamBlocks(10, 16000)


def test_a_path_is_no_chunk() -> None:
    with pytest.raises(InputError, match=r"'a\.wav': chunks are samples"):
        as_chunk("a.wav")
