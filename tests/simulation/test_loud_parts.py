"""Speech in a clean clip is where it is loud, with the quiet parts of words, however loud the clip is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar.simulation.loud_parts import loud_parts

RATE = 8000


def clip(*parts: tuple[float, float]) -> NDArray[np.float32]:
    """Noise of so many seconds, at so much amplitude each."""
    drawn = np.random.default_rng(0)
    return np.concatenate([how * drawn.uniform(-1, 1, round(long * RATE)) for long, how in parts]).astype(np.float32)


@given(st.floats(-60, 0))
def test_pauses_part_speech_at_any_level(decibels: float) -> None:
    samples = clip((0.6, 0.001), (1.0, 0.5), (0.6, 0.004), (1.0, 0.2), (0.6, 0.001)) * np.float32(10 ** (decibels / 20))
    first, second = loud_parts(samples, RATE)
    # 0.14 s on either side belong to words.
    assert [first.start, first.end, second.start, second.end] == pytest.approx([0.46, 1.74, 2.06, 3.34], abs=0.03)


def test_short_pauses_belong_to_words() -> None:
    (whole,) = loud_parts(clip((1.0, 0.5), (0.2, 0.0), (1.0, 0.5)), RATE)
    assert [whole.start, whole.end] == pytest.approx([0, 2.2], abs=0.03)


def test_silence_has_no_speech() -> None:
    assert loud_parts(np.zeros(RATE, np.float32), RATE) == []
    assert loud_parts(np.zeros(0, np.float32), RATE) == []


@given(st.integers(0, 3000), st.integers(0, 2**32))
def test_parts_lie_inside_and_apart(count: int, seed: int) -> None:
    samples = np.random.default_rng(seed).standard_normal(count).astype(np.float32)
    found = loud_parts(samples, RATE)
    borders = [time for part in found for time in (part.start, part.end)]
    assert borders == sorted(set(borders))
    assert all(0 <= time <= count / RATE for time in borders)
