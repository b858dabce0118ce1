"""Rooms answer at once, with the energy that went in, for as long as they were asked to."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from speakerdiar.errors import ConfigError, MissingExtraError
from speakerdiar.simulation import Acoustics, PlannedTurn, simulate
from speakerdiar.simulation.rooms import heard, responses

RATE = 16000


def model(name: str) -> str:
    if name == "image":
        pytest.importorskip("pyroomacoustics", reason="the extra `rooms` isn't installed")
    return name


def of(acoustics: Acoustics, seed: int = 0, speakers: int = 3) -> list[NDArray[np.float32]]:
    found = responses(speakers, RATE, np.random.default_rng(seed), acoustics)
    return [response for response in found if response is not None]


def fall(response: NDArray[np.float32]) -> float:
    """Seconds in which the energy that is left falls by 60 dB, from how long it takes from 5 to 25 dB."""
    left = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    decibels = 10 * np.log10(left / left[0] + 1e-12)
    return float(3 * (np.argmax(decibels < -25) - np.argmax(decibels < -5)) / RATE)


@pytest.mark.parametrize("name", ["decay", "image"])
def test_the_seed_decides(name: str) -> None:
    acoustics = Acoustics(room=1, room_model=model(name))
    one, same, other = (of(acoustics, seed) for seed in (1, 1, 2))
    assert [a.tobytes() for a in one] == [b.tobytes() for b in same]
    assert one[0].tobytes() != other[0].tobytes()
    assert len({response.tobytes() for response in one}) == 3, "each speaker has a place of their own"


@pytest.mark.parametrize("name", ["decay", "image"])
@pytest.mark.parametrize("seed", range(4))
def test_direct_sound_comes_first_and_energy_is_kept(name: str, seed: int) -> None:
    for response in of(Acoustics(room=1, room_model=model(name)), seed):
        assert response.dtype == np.float32
        assert np.linalg.norm(response) == pytest.approx(1, abs=1e-5)
        assert response[0] == np.abs(response).max() > 0.1


@pytest.mark.parametrize("name", ["decay", "image"])
@pytest.mark.parametrize("seconds", [0.3, 0.6])
def test_reverberation_is_as_long_as_asked_for(name: str, seconds: float) -> None:
    acoustics = Acoustics(room=1, reverberation=(seconds, seconds), direct=(0, 0), room_model=model(name))
    falls = [fall(response) for seed in range(3) for response in of(acoustics, seed)]
    assert np.median(falls) == pytest.approx(seconds, rel=0.25)


def test_rooms_are_a_matter_of_chance() -> None:
    drawn = [responses(1, RATE, np.random.default_rng(seed), Acoustics(room=0.3))[0] for seed in range(200)]
    assert 35 <= sum(response is not None for response in drawn) <= 85


def test_dry_sound_stays_and_a_room_adds_its_length() -> None:
    piece = np.ones(100, dtype=np.float32)
    assert heard(piece, None) is piece
    echo = np.array([0.8, 0, 0.6], dtype=np.float32)
    np.testing.assert_allclose(heard(piece, echo), np.convolve(piece, echo), atol=1e-6)


@pytest.mark.parametrize("name", ["decay", "image"])
def test_a_voice_in_a_room_begins_where_its_turn_does(name: str) -> None:
    voice = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    acoustics = Acoustics(room=1, room_model=model(name))
    samples, (turn,) = simulate(
        {"Ana": [voice]}, 2, RATE, np.random.default_rng(0), [PlannedTurn(0, 0.5, 0.8)], None, acoustics
    )
    first = round(turn.start * RATE)
    before, after = samples[:first], samples[first : first + 160]
    assert (first, np.abs(before).max()) == (RATE // 2, pytest.approx(0, abs=1e-6))
    assert np.abs(after).max() > 1e-3


def test_without_pyroomacoustics_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    with pytest.raises(MissingExtraError, match=r'pyroomacoustics: pip install "speakerdiar\[rooms\]"'):
        of(Acoustics(room=1, room_model="image"))


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"room_model='cave': give one of decay, image"):
        Acoustics(room_model="cave")
