"""The energy VAD on noise with louder stretches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from speakerdiar.errors import ConfigError
from speakerdiar.frames import runs
from speakerdiar.models.segmenters.energy import EnergyVad


def bursts(level: float = 0.1, floor: float = 0.001, seconds: float = 10.0, rate: int = 16000) -> NDArray[np.float32]:
    """Noise that is loud from 2 to 4 s and from 6 to 7 s."""
    time = np.arange(round(seconds * rate)) / rate
    loud = ((time >= 2) & (time < 4)) | ((time >= 6) & (time < 7))
    noise = np.random.default_rng(0).standard_normal(len(time))
    return (noise * np.where(loud, level, floor)).astype(np.float32)


def speech(model: EnergyVad, samples: NDArray[np.float32]) -> list[list[float]]:
    scores = model.segment_blocks([samples])
    found: list[list[float]] = scores.grid.time(runs(scores.data[:, 0] > 0.5)).round(2).tolist()
    return found


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_finds_what_stands_out(rate: int) -> None:
    assert speech(EnergyVad(sample_rate=rate), bursts(rate=rate)) == [[2.0, 4.0], [6.0, 7.0]]


@pytest.mark.parametrize("gain", [0.05, 1, 5])
def test_is_adaptive_to_level(gain: float) -> None:
    assert speech(EnergyVad(), bursts() * np.float32(gain)) == [[2.0, 4.0], [6.0, 7.0]]


def test_speech_without_pauses_is_not_its_own_floor() -> None:
    noise = bursts(level=0.1, floor=0.1)
    assert speech(EnergyVad(), noise) == [[0.0, 10.0]]
    assert speech(EnergyVad(max_floor_dbfs=0.0), noise) == []


def test_the_floor_follows_the_recording() -> None:
    quiet, loud = bursts(0.01, 1e-4, 60), bursts(0.5, 0.02, 60)
    found = speech(EnergyVad(max_floor_dbfs=-20), np.concatenate([quiet, loud]))
    assert [2.0, 4.0] in found
    assert [66.0, 67.0] in found


def test_what_is_too_quiet_is_no_speech() -> None:
    assert speech(EnergyVad(), bursts(1e-4, 1e-6)) == []
    assert speech(EnergyVad(min_dbfs=-100), bursts(1e-4, 1e-6)) == [[2.0, 4.0], [6.0, 7.0]]


@pytest.mark.parametrize(
    "option",
    [
        {"sample_rate": 0},
        {"sample_rate": 16000.0},
        {"margin_db": 0},
        {"margin_db": float("nan")},
        {"slope_db": -1},
        {"max_floor_dbfs": 3},
        {"min_dbfs": float("-inf")},
    ],
)
def test_bad_options_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(option))):
        EnergyVad(**option)
