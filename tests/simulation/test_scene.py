"""Scenes decide what conversations are like; labels are exact whatever the sound goes through."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar.annotation import Segment
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.frames import FrameGrid, activity
from speakerdiar.simulation import Acoustics, Clip, Conversation, TurnTaking
from speakerdiar.simulation.channel import CODECS, Channel
from speakerdiar.simulation.clips import ClipPool
from speakerdiar.simulation.scene import Scene, Simulator, faster

RATE = 8000
TONES = {"a1": 200, "a2": 300, "a3": 450, "b1": 700, "b2": 1000, "b3": 1500}
LOUD = Acoustics(room=0.7, turn_spread=3)
EVERYTHING = Scene(
    seconds=6, speed=(0.9, 1.1), acoustics=LOUD, noise=0.7, babble=0.5, clicks=0.5, alone=0.2,
    channel=Channel(telephone=0.5, codec=0.8, codecs=tuple(CODECS), clipping=0.3, level=(-45, -15)),
)  # fmt: skip


def tone(hertz: float, seconds: float = 3.0) -> NDArray[np.float32]:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


POOL = ClipPool(
    {name: [Clip(tone(hertz)), Clip(tone(hertz, 0.5))] for name, hertz in TONES.items()},
    {name: name[0] for name in TONES},
    RATE,
)
NOISES = [tone(50, 1), np.random.default_rng(0).standard_normal(RATE).astype(np.float32)]


def drawn(scene: Scene, seed: int, index: int = 0) -> Conversation:
    return Simulator(POOL, scene, NOISES, RATE).draw(np.random.default_rng([seed, index]))


def speakers(conversation: Conversation) -> set[str]:
    return {turn.speaker for turn in conversation.turns}


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_same_seed_same_bytes_and_sound_samples(seed: int) -> None:
    one, same = drawn(EVERYTHING, seed), drawn(EVERYTHING, seed)
    assert (one.samples.tobytes(), one.turns) == (same.samples.tobytes(), same.turns)
    assert (one.samples.shape, str(one.samples.dtype)) == ((6 * RATE,), "float32")
    assert np.abs(one.samples).max() <= 1
    assert all(0 <= turn.start < turn.end <= 6 for turn in one.turns)


def test_each_file_of_a_seed_is_another_one() -> None:
    found = {drawn(EVERYTHING, seed, index).samples.tobytes() for seed in (0, 1) for index in range(5)}
    assert len(found) == 10


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_dry_sound_is_where_the_turns_are_and_nowhere_else(seed: int) -> None:
    """Sample by sample: tones are never silent for more than an instant."""
    samples, turns = drawn(Scene(seconds=8, speakers=(2, 4)), seed)
    spoken = np.zeros(len(samples), dtype=bool)
    for turn in turns:
        first, last = turn.start * RATE, turn.end * RATE
        assert (first, last) == pytest.approx((round(first), round(last)), abs=1e-6)
        spoken[round(first) : round(last)] = True
    assert not samples[~spoken].any()
    quiet = np.convolve(np.abs(samples) < 1e-4, np.ones(40), mode="valid") == 40
    # Where two tones meet, or one fades in, there may be an instant without sound.
    assert (quiet & spoken[: len(quiet)] & spoken[39:]).sum() <= 0.001 * len(quiet)


@pytest.mark.parametrize("channel", [{"telephone": 1.0}, *({"codec": 1.0, "codecs": (name,)} for name in CODECS)])
def test_each_speaker_is_heard_in_their_own_turns(channel: dict[str, Any]) -> None:
    """By the energy at each one's pitch, whatever lies between the voice and the file."""
    scene = Scene(seconds=8, speakers=(3, 3), same_corpus=0, channel=Channel(**channel))
    samples, turns = drawn(scene, 5)
    names = sorted({turn.speaker for turn in turns})
    grid = FrameGrid(0.1)
    said = activity(turns, names, grid, 80)
    times = np.arange(len(samples)) / RATE
    carried = [
        np.abs((samples * np.exp(2j * np.pi * TONES[name] * times)).reshape(80, -1).mean(axis=1)) for name in names
    ]
    heard = np.stack(carried, axis=1)
    heard = heard > 0.25 * heard.max(axis=0)
    assert (heard != said).mean() < 0.04


def test_a_level_of_minus_45_decibels_is_reached() -> None:
    samples, turns = drawn(Scene(seconds=10, channel=Channel(level=(-45, -45))), 0)
    frames = np.square(samples.reshape(-1, RATE // 20), dtype=np.float64).mean(axis=1)
    assert 10 * np.log10(np.sort(frames)[-len(frames) // 10 :].mean()) == pytest.approx(-45, abs=1)
    assert turns


def test_voices_of_one_corpus_meet() -> None:
    talk: dict[str, Any] = {"seconds": 20, "talks": (TurnTaking(),)}
    together = [drawn(Scene(**talk, speakers=(2, 3), same_corpus=1), seed) for seed in range(12)]
    assert all(len({name[0] for name in speakers(one)}) == 1 for one in together)
    mixed = [drawn(Scene(**talk, speakers=(3, 3), same_corpus=0), seed) for seed in range(12)]
    assert any(len({name[0] for name in speakers(one)}) == 2 for one in mixed)


def test_a_corpus_that_is_too_small_is_left() -> None:
    count = [len(speakers(drawn(Scene(seconds=60, speakers=(5, 5), same_corpus=1), seed))) for seed in range(3)]
    assert max(count) == 5


def test_some_talk_alone_and_the_others_as_many_as_asked_for() -> None:
    scene = Scene(seconds=60, speakers=(3, 4), alone=0.5, talks=(TurnTaking(turn_length=1.5),))
    counts = [len(speakers(drawn(scene, seed))) for seed in range(24)]
    assert set(counts) == {1, 3, 4}
    assert 6 <= counts.count(1) <= 18


def test_noise_lies_as_far_below_speech_as_asked_for() -> None:
    quiet = Scene(seconds=8, acoustics=Acoustics(snr=(20, 20)), noise=1)
    samples, turns = drawn(quiet, 1)
    spoken = np.zeros(len(samples), dtype=bool)
    for turn in turns:
        spoken[round(turn.start * RATE) : round(turn.end * RATE)] = True
    speech, noise = (float(np.square(part, dtype=np.float64).mean()) for part in (samples[spoken], samples[~spoken]))
    assert 10 * np.log10(speech / noise) == pytest.approx(20, abs=2)


def test_a_faster_voice_is_shorter_and_higher() -> None:
    clip = Clip(tone(400, 2), (Segment(0.5, 1.5),))
    quick = faster(clip, RATE, 1.25)
    assert len(quick.samples) == pytest.approx(1.6 * RATE, abs=2)
    assert quick.speech == (Segment(0.4, 1.2),)
    assert np.argmax(np.abs(np.fft.rfft(quick.samples))) / 1.6 == pytest.approx(500, abs=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speakers": (0, 2)}, r"speakers=\(0, 2\): give \(least, most\), from 1 to 8"),
        ({"speakers": (4, 2)}, "speakers"),
        ({"noise": 1.5}, "noise=1.5: give a share from 0 to 1"),
        ({"speed": (0.1, 1.0)}, "speed"),
        ({"seconds": 0}, "seconds=0: give a length above 0 s"),
        ({"talks": ()}, "talks"),
    ],
)
def test_scenes_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Scene(**options)


def test_a_pool_with_too_few_speakers_is_refused() -> None:
    with pytest.raises(InputError, match="6 speakers in the pool for conversations of up to 8"):
        Simulator(POOL, Scene(speakers=(1, 8)), rate=RATE)


def test_a_stream_goes_on_drawing() -> None:
    simulator, rng = Simulator(POOL, EVERYTHING, NOISES, RATE), np.random.default_rng(0)
    drawn_one_by_one = [simulator.draw(rng).samples.tobytes() for _ in range(3)]
    streamed = islice(simulator.stream(np.random.default_rng(0)), 3)
    assert [one.samples.tobytes() for one in streamed] == drawn_one_by_one
