"""Conversations are what their turns say, as loud and as noisy as asked for, and the same for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar.annotation import Diarization, Segment, Turn
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.simulation import Acoustics, Clip, Conversation, PlannedTurn, TurnTaking, simulate

RATE = 1000
DRY = Acoustics(level_spread=0)


def tone(hertz: float, seconds: float) -> NDArray[np.float32]:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


VOICES = {"Ana": [tone(100, 3), tone(110, 0.4)], "Ben": [tone(300, 2)], "Cy": [tone(420, 0.7)]}


def made(seed: int, seconds: float = 30, speakers: int = 3, **options: Any) -> Conversation:
    rng = np.random.default_rng(seed)
    plan = TurnTaking().plan(speakers, seconds, rng)
    return simulate(VOICES, seconds, RATE, rng, plan, **options)


def level(samples: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(samples.astype(float) ** 2)))


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.floats(0.5, 20), st.integers(1, 3), st.floats(0, 1))
def test_turns_lie_inside_and_samples_are_sound(seed: int, seconds: float, speakers: int, room: float) -> None:
    samples, turns = made(seed, seconds, speakers, noise=tone(50, 1), acoustics=Acoustics(room=room))
    assert samples.dtype == np.float32
    assert samples.shape == (round(seconds * RATE),)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max(initial=0) <= 0.99 + 1e-6
    assert all(0 <= turn.start < turn.end <= len(samples) / RATE for turn in turns)
    assert list(turns) == sorted(turns)
    assert {turn.speaker for turn in turns} <= set(list(VOICES)[:speakers])


def test_the_seed_decides() -> None:
    options: dict[str, Any] = {"noise": tone(50, 1), "acoustics": Acoustics(room=0.5)}
    one, same, other = (made(seed, **options) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.samples, same.samples)
    assert one.turns == same.turns
    assert one.turns != other.turns


def test_there_is_sound_where_the_turns_are_and_nowhere_else() -> None:
    samples, turns = made(3, acoustics=DRY)
    spoken = np.zeros(len(samples), dtype=bool)
    for segment in Diarization("r", 30, turns).speech:
        first, last = round(segment.start * RATE), round(segment.end * RATE)
        assert level(samples[first:last]) > 0.02
        spoken[first:last] = True
    assert 0 < spoken.mean() < 1
    assert not samples[~spoken].any()


def test_turns_are_those_of_the_plan() -> None:
    plan = (PlannedTurn(1, 0.5, 3.0), PlannedTurn(0, 3.2, 1.0))
    samples, turns = simulate(VOICES, 4, RATE, np.random.default_rng(0), plan, acoustics=DRY)
    assert turns == (Turn(0.5, 3.5, "Ben"), Turn(3.2, 4.0, "Ana"))
    heard = np.abs(np.fft.rfft(samples[500:3200]))
    assert np.argmax(heard) * RATE / 2700 == pytest.approx(300, abs=1)


def test_what_a_clip_says_is_no_speech_is_in_no_turn() -> None:
    clip = Clip(tone(100, 2), (Segment(0.5, 1.0), Segment(1.5, 1.75)))
    plan = (PlannedTurn(0, 1.0, 2.0),)
    turns = simulate({"A": [clip]}, 4, RATE, np.random.default_rng(0), plan).turns
    assert turns == (Turn(1.5, 2.0, "A"), Turn(2.5, 2.75, "A"))


def test_short_clips_follow_one_another_in_one_turn() -> None:
    turns = simulate({"A": [tone(100, 0.3)]}, 4, RATE, np.random.default_rng(0), (PlannedTurn(0, 1.0, 2.5),)).turns
    assert turns == (Turn(1.0, 3.5, "A"),)


def test_speakers_are_as_loud_as_one_another_unless_spread() -> None:
    quiet = {"A": [0.01 * tone(100, 3)], "B": [0.9 * tone(200, 3)]}
    plan = (PlannedTurn(0, 0, 2), PlannedTurn(1, 2, 2), PlannedTurn(0, 4, 2))
    levels = {}
    for spread in (0.0, 6.0):
        samples = simulate(quiet, 6, RATE, np.random.default_rng(1), plan, None, Acoustics(spread)).samples
        levels[spread] = [level(part) for part in samples.reshape(3, -1)]
    assert levels[0.0] == pytest.approx([levels[0.0][0]] * 3, rel=1e-3)
    assert levels[6.0][0] == pytest.approx(levels[6.0][2], rel=0.01)
    assert levels[6.0][0] != pytest.approx(levels[6.0][1], rel=0.1)


def test_noise_is_as_far_below_speech_as_asked() -> None:
    plan = (PlannedTurn(0, 0, 5),)
    acoustics = Acoustics(level_spread=0, snr=(20, 20))
    samples = simulate(VOICES, 10, RATE, np.random.default_rng(0), plan, tone(50, 0.33), acoustics).samples
    assert 20 * np.log10(level(samples[:5000]) / level(samples[5000:])) == pytest.approx(20, abs=0.5)


def test_a_room_rings_on_and_falls_by_sixty_decibels() -> None:
    plan = (PlannedTurn(0, 0, 1),)
    acoustics = Acoustics(level_spread=0, room=1, reverberation=(0.5, 0.5), direct=(0, 0))
    samples, turns = simulate(VOICES, 3, RATE, np.random.default_rng(0), plan, acoustics=acoustics)
    assert turns == (Turn(0, 1, "Ana"),)
    before, after = level(samples[1000:1100]), level(samples[1300:1400])
    assert 20 * np.log10(before / after) == pytest.approx(60 * 0.3 / 0.5, abs=10)
    assert not samples[1510:].any()


def test_too_loud_is_turned_down() -> None:
    click = np.zeros(1000, dtype=np.float32)
    click[500] = 1
    samples = simulate({"A": [click]}, 1, RATE, np.random.default_rng(0), (PlannedTurn(0, 0, 1),)).samples
    assert np.abs(samples).max() == pytest.approx(0.99)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"plan": (PlannedTurn(3, 0, 1),)}, ConfigError, "4 speakers, voices 3"),
        ({"voices": {"A": []}}, InputError, r"voices\['A'\]"),
        ({"voices": {"A": [np.zeros(0, np.float32)]}}, InputError, "none empty"),
        ({"noise": np.zeros(0, np.float32)}, InputError, "noise of shape"),
        ({"seconds": 0}, ConfigError, "seconds=0"),
    ],
)
def test_what_cannot_be_simulated(change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {"voices": VOICES, "seconds": 3, "plan": (PlannedTurn(0, 0, 1),), **change}
    with pytest.raises(error, match=message):
        simulate(rate=RATE, rng=np.random.default_rng(0), **arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"snr": (20, 10)}, "snr"),
        ({"room": 2}, "room=2"),
        ({"level_spread": -1}, "level_spread=-1"),
        ({"reverberation": (0, 1)}, "reverberation"),
    ],
)
def test_acoustics_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Acoustics(**options)
