"""Clips of single speakers laid on a plan of turns: the sound of a conversation, and who speaks in it when."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speakerdiar.annotation import Segment, Turn
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.simulation.rooms import ROOM_MODELS, heard, responses
from speakerdiar.simulation.turn_taking import PlannedTurn

# Root mean square of a turn at 0 dB, about -26 dBFS: peaks of speech lie some 12 to 18 dB above.
LEVEL = 0.05
# Cuts through a sound would click.
FADE_SECONDS = 0.005
PEAK = 0.99
# Share of a turn behind which it may end where its clip pauses.
NATURAL_END = 0.6


class Conversation(NamedTuple):
    """A made conversation: float32 samples (n,) in [-1, 1] and its turns, sorted."""

    samples: NDArray[np.float32]
    turns: tuple[Turn, ...]


@dataclass(frozen=True, eq=False)
class Clip:
    """Speech of one speaker, float samples (n,), with the stretches (seconds) in which they speak; none: throughout."""

    samples: NDArray[np.float32]
    speech: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class Acoustics:
    """How a conversation is heard. Ranges are (least, most); each conversation draws from them.

    Attributes:
        level_spread: standard deviation of the speakers' levels, in dB.
        turn_spread: standard deviation of the levels of one speaker's turns, in dB.
        snr: speech over noise where there is noise, in dB.
        room: chance that it takes place in a room; otherwise the sound comes dry.
        reverberation: seconds in which the room's sound falls by 60 dB.
        direct: direct over reverberant sound of each speaker, in dB.
        room_model: "decay" for noise that decays exponentially behind some reflections, or "image" for walls, floor and
            ceiling, where distances decide about the direct sound (`speakerdiar.simulation.image_rooms`).
    """

    level_spread: float = 3.0
    turn_spread: float = 0.0
    snr: tuple[float, float] = (10.0, 25.0)
    room: float = 0.0
    reverberation: tuple[float, float] = (0.15, 0.6)
    direct: tuple[float, float] = (0.0, 12.0)
    room_model: str = "decay"

    def __post_init__(self) -> None:
        for name in ("snr", "reverberation", "direct"):
            least, most = getattr(self, name)
            if not least <= most:
                raise ConfigError(f"{name}={getattr(self, name)!r}: give (least, most).")
        if not 0 <= self.room <= 1:
            raise ConfigError(f"room={self.room!r}: give a chance from 0 to 1.")
        for name in ("level_spread", "turn_spread"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name}={getattr(self, name)!r}: give 0 dB or more.")
        if not self.reverberation[0] > 0:
            raise ConfigError(f"reverberation={self.reverberation!r}: give times above 0 s.")
        if self.room_model not in ROOM_MODELS:
            raise ConfigError(f"room_model={self.room_model!r}: give one of {', '.join(ROOM_MODELS)}.")


def simulate(
    voices: Mapping[str, Sequence[Clip | NDArray[np.float32]]],
    seconds: float,
    rate: int,
    rng: np.random.Generator,
    plan: Sequence[PlannedTurn],
    noise: NDArray[np.float32] | None = None,
    acoustics: Acoustics | None = None,
) -> Conversation:
    """Lay the clips of each speaker on a plan; the same generator state gives the same conversation.

    A turn begins at a random place of a random clip and goes on with other clips where one is too short. The turns that
    come back are those of the plan, without what the clips say is no speech; their borders are whole samples. Echoes of
    a room are no speech.

    Args:
        voices: clips by name; the plan's speaker 0 is the first name.
        seconds: length of the conversation.
        rate: samples a second, of clips and noise too.
        rng: where all chance comes from.
        plan: who speaks when, e.g. from `TurnTaking.plan`.
        noise: samples (n,) of background; repeated where too short.
        acoustics: levels, noise and room.

    Raises:
        ConfigError: a length that isn't above 0, or a plan with more speakers than there are voices.
        InputError: a speaker without samples, or empty noise.
        MissingExtraError: rooms of the image method need pyroomacoustics, which isn't installed.
    """
    names, clips = list(voices), [[_clip(clip) for clip in given] for given in voices.values()]
    _check(names, clips, plan)
    if not (math.isfinite(seconds) and seconds > 0):
        raise ConfigError(f"seconds={seconds!r}: give a length above 0 s.")
    acoustics = acoustics or Acoustics()
    sound = np.zeros(round(seconds * rate), dtype=np.float32)
    gains = LEVEL * 10 ** (rng.normal(0, acoustics.level_spread, len(names)) / 20)
    places = responses(len(names), rate, rng, acoustics)
    turns: list[Turn] = []
    for planned in plan:
        first = round(planned.start * rate)
        length = min(round(planned.length * rate), len(sound) - first)
        if length <= 0:
            continue
        piece, spoken = _utterance(clips[planned.speaker], length, rate, rng)
        level = _gain(piece, gains[planned.speaker]) * _drawn_gain(rng, acoustics.turn_spread)
        _add(sound, first, heard(piece * level, places[planned.speaker]))
        name = names[planned.speaker]
        turns += [Turn((first + begin) / rate, (first + end) / rate, name) for begin, end in spoken]
    if noise is not None:
        sound += _background(noise, sound, turns, rate, rng, acoustics)
    loudest = float(np.abs(sound).max(initial=0.0))
    return Conversation(sound if loudest <= PEAK else sound * np.float32(PEAK / loudest), tuple(sorted(turns)))


def _clip(given: Clip | NDArray[np.float32]) -> Clip:
    return given if isinstance(given, Clip) else Clip(given)


def _check(names: Sequence[str], clips: Sequence[Sequence[Clip]], plan: Sequence[PlannedTurn]) -> None:
    needed = 1 + max((turn.speaker for turn in plan), default=-1)
    if needed > len(names):
        raise ConfigError(f"The plan has {needed} speakers, voices {len(names)}: give a voice for each of them.")
    for name, own in zip(names, clips, strict=True):
        if not own or not all(clip.samples.ndim == 1 and len(clip.samples) for clip in own):
            raise InputError(f"voices[{name!r}]: give one clip or more, none empty, of one channel each.")


def _utterance(
    clips: Sequence[Clip], length: int, rate: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], list[tuple[int, int]]]:
    """Return samples of one speaker, `length` or somewhat less, and where in them speech is, as (first, last + 1)."""
    piece = np.zeros(length, dtype=np.float32)
    spoken: list[tuple[int, int]] = []
    filled, natural = 0, length
    while filled < length:
        clip = clips[int(rng.integers(len(clips)))]
        offset, part = _cut(clip, length - filled, rate, rng)
        piece[filled : filled + part] = _faded(clip.samples[offset : offset + part], rate)
        for begin, end in _spans(clip, offset, offset + part, rate):
            pause = end < offset + part
            begin, end = begin - offset + filled, end - offset + filled
            natural = end if pause and clip.speech else natural
            if spoken and begin <= spoken[-1][1]:
                begin = spoken.pop()[0]
            spoken.append((begin, end))
        filled += part
    if natural < NATURAL_END * length:
        return piece, spoken
    # Nobody stops in the middle of a word: end where the clip pauses, if that is late enough.
    return piece[:natural], [span for span in spoken if span[0] < natural]


def _cut(clip: Clip, length: int, rate: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the first sample and the number of samples, `length` at most, that are taken of a clip.

    Where it is known where people speak, begin where they begin: nobody starts in the middle of a word.
    """
    part = min(length, len(clip.samples))
    latest = len(clip.samples) - part
    begins = [round(span.start * rate) for span in clip.speech]
    fitting = [begin for begin in begins if begin <= latest]
    if fitting:
        return max(0, fitting[int(rng.integers(len(fitting)))] - round(FADE_SECONDS * rate)), part
    return int(rng.integers(latest + 1)), part


def _spans(clip: Clip, first: int, last: int, rate: int) -> Iterator[tuple[int, int]]:
    """Yield what is speech between two samples of a clip."""
    spans = [(round(part.start * rate), round(part.end * rate)) for part in clip.speech] or [(0, len(clip.samples))]
    for begin, end in spans:
        if min(end, last) > max(begin, first):
            yield max(begin, first), min(end, last)


def _faded(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    faded = np.array(samples, dtype=np.float32)
    count = min(round(FADE_SECONDS * rate), len(faded) // 2)
    if count:
        ramp = np.arange(1, count + 1, dtype=np.float32) / count
        faded[:count] *= ramp
        faded[-count:] *= ramp[::-1]
    return faded


def _gain(piece: NDArray[np.float32], level: float) -> np.float32:
    """By what to multiply a piece so that it has the level; 1 for silence."""
    strength = _rms(piece)
    return np.float32(level / strength if strength > 0 else 1.0)


def _drawn_gain(rng: np.random.Generator, spread: float) -> np.float32:
    return np.float32(10 ** (rng.normal(0, spread) / 20) if spread else 1.0)


def _rms(samples: NDArray[np.float32]) -> float:
    return math.sqrt(float(np.dot(samples, samples)) / len(samples))


def _add(sound: NDArray[np.float32], first: int, piece: NDArray[np.float32]) -> None:
    last = min(len(sound), first + len(piece))
    sound[first:last] += piece[: last - first]


def _background(
    noise: NDArray[np.float32],
    sound: NDArray[np.float32],
    turns: Sequence[Turn],
    rate: int,
    rng: np.random.Generator,
    acoustics: Acoustics,
) -> NDArray[np.float32]:
    """Return as much noise as there is sound, from a random place on, at a drawn level below that of speech."""
    if noise.ndim != 1 or not len(noise):
        raise InputError(f"noise of shape {noise.shape}: give samples (n,) of one channel, or None for no noise.")
    offset = int(rng.integers(len(noise)))
    background = np.take(noise, np.arange(offset, offset + len(sound)), mode="wrap").astype(np.float32)
    spoken = [sound[round(turn.start * rate) : round(turn.end * rate)] for turn in turns]
    level = _rms(np.concatenate(spoken)) if spoken else LEVEL
    return background * _gain(background, level * 10 ** (-rng.uniform(*acoustics.snr) / 20))
