"""Scenes: what conversations are like, from who takes part to how they are recorded, and a simulator that draws them.

Read speech, of one microphone, is far from talk in rooms and on telephones: what makes recordings differ is drawn anew
for each conversation, so that a network can't rely on any of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from speakerdiar.errors import ConfigError, InputError
from speakerdiar.simulation.backgrounds import babble, clicks, coloured
from speakerdiar.simulation.channel import Channel, sent
from speakerdiar.simulation.clips import ClipPool
from speakerdiar.simulation.conversation import Acoustics, Clip, Conversation, simulate
from speakerdiar.simulation.turn_taking import MOST_SPEAKERS, PlannedTurn, TurnTaking

Samples = NDArray[np.float32]
Range = tuple[float, float]
CLIPS_OF_A_VOICE = 12
"""Clips of a speaker that one conversation draws from: as many as anyone needs, few enough to be resampled quickly."""

TALKS = (
    TurnTaking(),
    # Fitted to the reference turns of AMI's meetings: long turns, pauses, and many back-channels.
    TurnTaking(
        turn_hold=0.1, turn_switch=0.25, interruption=0.22, backchannel=0.43, hold_pause=2.5, switch_pause=1.2,
        overlap=2.1, turn_length=6.0, turn_spread=1.27, backchannel_length=1.3,
    ),
    # Fitted to those of VoxConverse's development set: broadcasts and debates.
    TurnTaking(
        turn_hold=0.33, turn_switch=0.31, interruption=0.16, backchannel=0.2, hold_pause=0.94, switch_pause=0.56,
        overlap=1.15, turn_length=10.2, turn_spread=1.2, backchannel_length=1.6,
    ),
    # Calls and interviews: almost nobody talks at once.
    TurnTaking(turn_hold=0.4, turn_switch=0.55, interruption=0.03, backchannel=0.02, turn_length=4.0, switch_pause=0.4),
    # Hardly anyone talks.
    TurnTaking(turn_hold=0.5, turn_switch=0.4, interruption=0.05, backchannel=0.05, hold_pause=8, switch_pause=6),
)  # fmt: skip
"""Ways to take turns that conversations differ in."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What conversations are like. Ranges are (least, most) and shares chances; each conversation draws from them.

    Attributes:
        seconds: length of a conversation.
        speakers: how many people take part, alike.
        alone: share of conversations in which one person talks, whatever `speakers` says.
        talks: ways to take turns, alike.
        same_corpus: share of conversations whose voices are of one corpus; else what corpora sound like tells people
            apart.
        speed: factor of each voice's speed; pitch and formants move with it.
        acoustics: levels, room, and how far noise lies below speech.
        noise: share of conversations with noise behind them: a recorded one, or one of a drawn colour.
        babble: share with many voices behind them.
        clicks: share with keys, cups and tables.
        channel: how it is sent and stored.
    """

    seconds: float = 30.0
    speakers: tuple[int, int] = (1, 4)
    alone: float = 0.0
    talks: tuple[TurnTaking, ...] = TALKS
    same_corpus: float = 0.85
    speed: Range = (1.0, 1.0)
    acoustics: Acoustics = field(default_factory=Acoustics)
    noise: float = 0.0
    babble: float = 0.0
    clicks: float = 0.0
    channel: Channel = field(default_factory=Channel)

    def __post_init__(self) -> None:
        least, most = self.speakers
        if not 1 <= least <= most <= MOST_SPEAKERS:
            raise ConfigError(f"speakers={self.speakers!r}: give (least, most), from 1 to {MOST_SPEAKERS}.")
        for name in ("alone", "same_corpus", "noise", "babble", "clicks"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)!r}: give a share from 0 to 1.")
        if not 0.5 <= self.speed[0] <= self.speed[1] <= 2:
            raise ConfigError(f"speed={self.speed!r}: give (least, most), from 0.5 to 2.")
        if not 0 < self.seconds < float("inf"):
            raise ConfigError(f"seconds={self.seconds!r}: give a length above 0 s.")
        if not self.talks:
            raise ConfigError("talks=(): give one way to take turns or more.")


class Simulator:
    """Draws conversations of a scene from a pool of clips; the same generator state gives the same conversation.

    Args:
        pool: who may talk.
        scene: what conversations are like.
        noises: recorded backgrounds at `rate`.
        rate: samples a second, of clips and noises too.

    Raises:
        InputError: fewer speakers in the pool than may take part.
    """

    def __init__(
        self, pool: ClipPool, scene: Scene | None = None, noises: Sequence[Samples] = (), rate: int = 16000
    ) -> None:
        self.pool, self.scene, self.noises, self.rate = pool, scene or Scene(), noises, rate
        if len(pool.voices) < self.scene.speakers[1]:
            raise InputError(
                f"{len(pool.voices)} speakers in the pool for conversations of up to {self.scene.speakers[1]}: give "
                "clips of more people, or ask for fewer."
            )
        self._names = sorted(pool.voices)
        self._of_corpus: dict[str, list[str]] = {}
        for name in self._names:
            self._of_corpus.setdefault(pool.corpora.get(name, ""), []).append(name)

    def draw(self, rng: np.random.Generator) -> Conversation:
        """Draw one conversation: samples (n,) and exact turns."""
        scene = self.scene
        count = 1 if rng.random() < scene.alone else int(rng.integers(scene.speakers[0], scene.speakers[1] + 1))
        voices = {name: self._voice(name, rng) for name in self._people(count, rng)}
        return self.staged(voices, self._plan(count, rng), rng)

    def stream(self, rng: np.random.Generator) -> Iterator[Conversation]:
        """Yield conversations without end."""
        while True:
            yield self.draw(rng)

    def staged(
        self, voices: Mapping[str, Sequence[Clip]], plan: Sequence[PlannedTurn], rng: np.random.Generator
    ) -> Conversation:
        """Return the conversation of a plan as the scene lets it be heard; the plan's speaker 0 is the first voice."""
        scene = self.scene
        clean = simulate(voices, scene.seconds, self.rate, rng, plan, self._noise(rng), scene.acoustics)
        sound = clean.samples
        if rng.random() < scene.clicks:
            sound = sound + self._clicks(sound, rng)
        return Conversation(sent(sound, self.rate, rng, scene.channel), clean.turns)

    def _people(self, count: int, rng: np.random.Generator) -> list[str]:
        among = self._names
        if rng.random() < self.scene.same_corpus:
            first = self._names[int(rng.integers(len(self._names)))]
            same = self._of_corpus[self.pool.corpora.get(first, "")]
            among = same if len(same) >= count else among
        return [among[index] for index in rng.permutation(len(among))[:count]]

    def _plan(self, count: int, rng: np.random.Generator) -> tuple[PlannedTurn, ...]:
        talk = self.scene.talks[int(rng.integers(len(self.scene.talks)))]
        return talk.plan(count, self.scene.seconds, rng, rng.lognormal(0, 0.4, count).tolist())

    def _voice(self, name: str, rng: np.random.Generator) -> list[Clip]:
        """Return some clips of a speaker, at a speed of their own."""
        own = self.pool.voices[name]
        chosen = [own[index] for index in rng.permutation(len(own))[:CLIPS_OF_A_VOICE]]
        speed = float(rng.uniform(*self.scene.speed))
        return chosen if abs(speed - 1) < 0.005 else [faster(clip, self.rate, speed) for clip in chosen]

    def _noise(self, rng: np.random.Generator) -> Samples | None:
        """Draw a background: noise, babble, or both; None for silence."""
        scene, count = self.scene, round(self.scene.seconds * self.rate)
        sounds: list[Samples] = []
        if rng.random() < scene.noise:
            recorded = int(rng.integers(2)) if self.noises else 0
            sounds.append(_unit(self._recorded(count, rng)) if recorded else coloured(count, rng))
        if rng.random() < scene.babble:
            names = [self._names[index] for index in rng.integers(0, len(self._names), 8)]
            sounds.append(babble([clip.samples for name in names for clip in self.pool.voices[name][:2]], count, rng))
        if not sounds:
            return None
        weights = rng.uniform(0.3, 1, len(sounds))
        return np.asarray(sum(w * s for w, s in zip(weights, sounds, strict=True)), dtype=np.float32)

    def _recorded(self, count: int, rng: np.random.Generator) -> Samples:
        """Draw a recorded noise from a random place on, again and again where it is short: (count,)."""
        noise = self.noises[int(rng.integers(len(self.noises)))]
        return np.take(noise, np.arange(count) + int(rng.integers(len(noise))), mode="wrap")

    def _clicks(self, sound: Samples, rng: np.random.Generator) -> Samples:
        loudest = float(np.abs(sound).max(initial=0.0)) or 0.1
        return clicks(len(sound), self.rate, rng, rng.uniform(0.2, 4)) * np.float32(loudest * rng.uniform(0.05, 0.8))


def faster(clip: Clip, rate: int, speed: float) -> Clip:
    """Return a clip played at another speed, pitch and formants with it."""
    import soxr

    samples = soxr.resample(clip.samples, rate * speed, rate, quality="LQ")
    spoken = tuple(replace(part, start=part.start / speed, end=part.end / speed) for part in clip.speech)
    return Clip(np.asarray(samples, dtype=np.float32), spoken)


def _unit(samples: Samples) -> Samples:
    return samples / np.float32(np.sqrt(np.square(samples, dtype=np.float64).mean()) or 1.0)
