"""Backgrounds have the length, the strength and the colour asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar.simulation.backgrounds import babble, clicks, coloured

RATE = 16000


@settings(max_examples=30)
@given(st.integers(1, 5000), st.integers(0, 2**32))
def test_noise_is_finite_and_as_long_as_asked_for(count: int, seed: int) -> None:
    noise = coloured(count, np.random.default_rng(seed))
    assert (noise.shape, str(noise.dtype)) == ((count,), "float32")
    assert np.isfinite(noise).all()
    assert np.square(noise, dtype=np.float64).mean() == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("slope", [0, 3, 6])
def test_noise_falls_by_its_slope(slope: float) -> None:
    noise = coloured(1 << 17, np.random.default_rng(0), slope)
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / RATE)
    low, high = (power[(hertz > at) & (hertz < 2 * at)].mean() for at in (250, 2000))
    assert 10 * np.log10(low / high) == pytest.approx(3 * slope, abs=0.7)


def test_long_noise_repeats_itself() -> None:
    count = (1 << 19) + 100
    noise = coloured(count, np.random.default_rng(0))
    np.testing.assert_array_equal(noise[-100:], noise[:100])


def test_babble_is_several_voices_at_once() -> None:
    tones = [np.sin(2 * np.pi * hertz * np.arange(RATE // 2) / RATE).astype(np.float32) for hertz in (200, 400, 800)]
    sound = babble(tones, RATE, np.random.default_rng(0))
    assert (sound.shape, str(sound.dtype)) == ((RATE,), "float32")
    assert np.square(sound).mean() == pytest.approx(1, rel=1e-3)
    power = np.abs(np.fft.rfft(sound)) ** 2
    assert all(power[hertz] > 0.02 * power.sum() for hertz in (200, 400, 800))


def test_clicks_are_short_and_as_many_as_asked_for() -> None:
    rng = np.random.default_rng(0)
    sound = clicks(20 * RATE, RATE, rng, 1.0)
    assert np.abs(sound).max() == pytest.approx(1)
    heard = np.abs(sound) > 0
    assert 8 <= np.count_nonzero(np.diff(heard.astype(int)) == 1) <= 35
    assert heard.mean() < 0.1
    assert not clicks(RATE, RATE, rng, 0.0).any()


@settings(max_examples=30)
@given(st.integers(1, 400), st.integers(0, 2**32))
def test_clicks_fit_into_what_is_short(count: int, seed: int) -> None:
    assert clicks(count, RATE, np.random.default_rng(seed), 200.0).shape == (count,)


@pytest.mark.parametrize("kind", ["coloured", "babble", "clicks"])
def test_the_seed_decides(kind: str) -> None:
    voices = [np.random.default_rng(1).standard_normal(3000).astype(np.float32) for _ in range(3)]
    make: dict[str, Callable[[np.random.Generator], NDArray[np.float32]]] = {
        "coloured": lambda rng: coloured(4000, rng),
        "babble": lambda rng: babble(voices, 4000, rng),
        "clicks": lambda rng: clicks(4000, RATE, rng, 20.0),
    }
    one, same, other = (make[kind](np.random.default_rng(seed)).tobytes() for seed in (1, 1, 2))
    assert one == same != other
