"""A channel changes what a voice sounds like, and neither when it sounds nor how long."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import butter, correlate, sosfilt

from speakerdiar.errors import ConfigError
from speakerdiar.simulation.channel import CODECS, Channel, coded, rounded, sent, telephone

RATE = 16000
Samples = NDArray[np.float32]


def voice(rate: int = RATE, seconds: float = 1.5) -> Samples:
    """Noise in the band of speech that comes and goes."""
    noise = np.random.default_rng(0).standard_normal(round(seconds * rate))
    band = sosfilt(butter(4, (300, 3000), btype="bandpass", fs=rate, output="sos"), noise)
    steps = np.sin(2 * np.pi * 2.3 * np.arange(len(noise)) / rate) > 0
    return np.asarray(0.1 * band * steps, dtype=np.float32)


def delay(given: Samples, back: Samples) -> int:
    return int(np.argmax(np.abs(correlate(back, given, mode="full")))) - (len(given) - 1)


def share_above(samples: Samples, hertz: float) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(power[np.fft.rfftfreq(len(samples), 1 / RATE) > hertz].sum() / power.sum())


def decibels(samples: Samples) -> float:
    return 20 * float(np.log10(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))))


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("rate", [8000, 16000, 22050])
def test_a_codec_keeps_length_and_time(name: str, rate: int) -> None:
    sound = voice(rate)[:-7]  # no whole number of any codec's blocks
    back = coded(sound, rate, CODECS[name], np.random.default_rng(0))
    assert (back.shape, str(back.dtype)) == (sound.shape, "float32")
    assert abs(delay(sound, back)) <= rate // 8000
    assert np.corrcoef(sound, back)[0, 1] > 0.6
    assert not np.array_equal(sound, back)


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_takes_a_single_sample_and_none(name: str) -> None:
    for count in (0, 1):
        assert coded(np.full(count, 0.1, np.float32), RATE, CODECS[name], np.random.default_rng(0)).shape == (count,)


@pytest.mark.parametrize("name", ["ulaw", "alaw", "gsm"])
def test_codecs_of_telephones_have_nothing_above_their_band(name: str) -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    assert share_above(noise, 4100) > 0.4
    assert share_above(coded(noise, RATE, CODECS[name], np.random.default_rng(0)), 4100) < 1e-4


def test_a_telephone_lets_its_band_through_without_delay() -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal(4 * RATE)).astype(np.float32)
    back = telephone(noise, RATE)
    assert share_above(back, 4000) < 1e-3
    assert 1 - share_above(back, 200) < 1e-3
    assert delay(voice(), telephone(voice(), RATE)) == 0
    assert decibels(telephone(voice(), RATE)) == pytest.approx(decibels(voice()), abs=1)


def test_a_telephone_leaves_what_is_too_short_to_filter() -> None:
    short = np.full(40, 0.1, np.float32)
    np.testing.assert_array_equal(telephone(short, RATE), short)


@settings(max_examples=25)
@given(st.floats(-60, -10), st.integers(0, 2**32))
def test_the_level_is_what_was_asked_for(level: float, seed: int) -> None:
    back = sent(voice(), RATE, np.random.default_rng(seed), Channel(level=(level, level), bits=24))
    frames = np.square(back[: len(back) // 800 * 800].reshape(-1, 800), dtype=np.float64).mean(axis=1)
    # Down to -20 dBFS nothing reaches full scale.
    assert 10 * np.log10(np.quantile(frames, 0.95)) == pytest.approx(level, abs=1 if level < -20 else 3)


def test_silence_has_no_level() -> None:
    for count in (0, 10, RATE):
        silence = np.zeros(count, np.float32)
        np.testing.assert_array_equal(sent(silence, RATE, np.random.default_rng(0), Channel()), silence)


def test_clipping_cuts_the_peaks_and_nothing_leaves_the_scale() -> None:
    clipped = sent(voice(), RATE, np.random.default_rng(0), Channel(clipping=1, level=(-30, -30)))
    whole = sent(voice(), RATE, np.random.default_rng(0), Channel(level=(-30, -30)))
    assert np.abs(clipped).max() < 0.95 * np.abs(whole).max()
    assert (np.abs(clipped) == np.abs(clipped).max()).sum() > 5
    loud = sent(voice(), RATE, np.random.default_rng(0), Channel(level=(0, 0)))
    assert np.abs(loud).max() <= 1


@given(st.integers(8, 24), st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20))
def test_rounding_gives_whole_steps(bits: int, values: list[float]) -> None:
    given = np.array(values, dtype=np.float32)
    steps = rounded(given, bits) * np.float32(2 ** (bits - 1))
    np.testing.assert_array_equal(steps, np.rint(steps))
    assert np.abs(rounded(given, bits) - given).max() <= 1.01 / 2 ** (bits - 1)
    assert rounded(given, 0) is given


def test_the_seed_decides() -> None:
    channel = Channel(telephone=0.5, codec=1, codecs=tuple(CODECS), clipping=0.5, level=(-45, -15))
    one, same = (sent(voice(), RATE, np.random.default_rng(7), channel) for _ in range(2))
    assert one.tobytes() == same.tobytes()
    others = {sent(voice(), RATE, np.random.default_rng(seed), channel).tobytes() for seed in range(5)}
    assert len(others) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"telephone": 1.5}, "telephone=1.5: give a chance from 0 to 1"),
        ({"codecs": ("mp4",)}, r"codecs=\('mp4',\): give one or more of ulaw"),
        ({"codec": 0.5, "codecs": ()}, r"codecs=\(\)"),
        ({"level": (-20.0, -40.0)}, r"level=\(-20.0, -40.0\): give \(least, most\) in dBFS"),
        ({"bits": 4}, "bits=4: give 8 to 24"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Channel(**options)
