"""How loud recordings are, at once and piece by piece."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.audio.loudness import FLOOR, MOST_GAIN, LoudnessMeter, levelled, levelled_blocks

RATE = 16000
TALK = np.repeat(np.array([0.1, 0.0, 0.1, 0.001], np.float32), RATE) * np.sign(np.sin(np.arange(4 * RATE) * 0.3))


@given(gain=st.floats(-30, 10), level=st.floats(-40, -10))
@settings(max_examples=25, deadline=None)
def test_the_level_of_a_recording_does_not_matter(gain: float, level: float) -> None:
    given_ = (TALK * 10 ** (gain / 20)).astype(np.float32)
    np.testing.assert_allclose(levelled(given_, RATE, level), levelled(TALK, RATE, level), rtol=1e-3)
    assert np.abs(levelled(given_, RATE, level)).max() == pytest.approx(10 ** (level / 20), rel=1e-3)


def test_pauses_and_clicks_do_not_matter() -> None:
    clicked = np.concatenate([TALK, np.zeros(6 * RATE, np.float32)])
    clicked[::RATE] = 1.0
    assert levelled(clicked, RATE, -26)[1] == pytest.approx(levelled(TALK, RATE, -26)[1], rel=1e-3)


def test_silence_stays_and_noise_is_not_blown_up() -> None:
    assert not levelled(np.zeros(RATE, np.float32), RATE, -26).any()
    assert not len(levelled(np.zeros(0, np.float32), RATE, -26))
    faint = np.full(RATE, 10 ** (-90 / 20), np.float32)
    assert levelled(faint, RATE, -26)[0] == pytest.approx(faint[0] * 10 ** (MOST_GAIN / 20), rel=1e-3)


def test_a_meter_hears_what_is_there_at_once() -> None:
    meter = LoudnessMeter(RATE)
    assert meter.power == 0
    for part in np.split(TALK, 8):
        meter.add(part)
    assert 10 * np.log10(meter.power) == pytest.approx(-20, abs=0.3)
    assert meter.gain(-26) == pytest.approx(10 ** (-6 / 20), rel=0.04)


def test_a_meter_of_silence_leaves_it() -> None:
    meter = LoudnessMeter(RATE)
    meter.add(np.full(RATE, 10 ** ((FLOOR - 10) / 20), np.float32))
    assert meter.gain(-26) == 1


def test_a_meter_forgets() -> None:
    loud, faint = np.full(60 * RATE, 0.1, np.float32), np.full(60 * RATE, 0.01, np.float32)
    blocks = list(levelled_blocks([loud, *[faint] * 30], RATE, -26))
    assert blocks[0][0] == pytest.approx(10 ** (-26 / 20), rel=0.04)
    assert blocks[1][0] == pytest.approx(0.1 * 10 ** (-26 / 20), rel=0.04)
    assert blocks[-1][0] == pytest.approx(10 ** (-26 / 20), rel=0.04)
