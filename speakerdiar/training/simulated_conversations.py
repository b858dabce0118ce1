"""Conversations simulated while one trains: features, who speaks when, and profiles of some people, present or not.

Profiles stand in slots drawn anew for each conversation, beside those of people who aren't there (Wang et al. 2023,
"TOLD: a novel two-stage overlap-aware framework for speaker diarization", arXiv:2303.05397). So no slot stands for
anyone, and a network can only learn to compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from speakerdiar.errors import ConfigError, InputError
from speakerdiar.frames import FrameGrid, activity
from speakerdiar.nn.kaldi_fbank import KaldiFbank
from speakerdiar.simulation import Acoustics, Clip, TurnTaking, simulate
from speakerdiar.training.chance import DrawnExamples

Range = tuple[int, int]


class Example(NamedTuple):
    """A conversation to learn from; T frames of the filter bank, S slots.

    Attributes:
        features: filter bank, float32, (T, bands).
        labels: who speaks in which frame, float32, (T, S).
        profiles: of each slot's person, float32, (S, D); zero where a slot is empty.
    """

    features: torch.Tensor
    labels: torch.Tensor
    profiles: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class ConversationRecipe:
    """What conversations are like. Ranges are (least, most); each conversation draws from them.

    Attributes:
        seconds: length of each.
        speakers: people who talk.
        absent: people who have a profile and don't talk; fewer where slots or people run out.
        slots: places for profiles.
        takes: vectors of a person of which the profile is the mean; fewer where there are fewer.
        talk: how they take turns.
        acoustics: levels, noise and room.
    """

    seconds: float = 16.0
    speakers: Range = (1, 4)
    absent: Range = (0, 4)
    slots: int = 16
    takes: Range = (1, 5)
    talk: TurnTaking = field(default_factory=TurnTaking)
    acoustics: Acoustics = field(default_factory=Acoustics)

    def __post_init__(self) -> None:
        for name, least in (("speakers", 1), ("absent", 0), ("takes", 1)):
            low, high = getattr(self, name)
            if not least <= low <= high:
                raise ConfigError(f"{name}={(low, high)}: give (least, most), {least} or more.")
        if self.speakers[1] > self.slots:
            raise ConfigError(f"speakers={self.speakers} in slots={self.slots}: give a slot for each speaker.")
        if not self.seconds > 0:
            raise ConfigError(f"seconds={self.seconds!r}: give a length above 0 s.")


class SimulatedConversations(DrawnExamples[Example]):
    """Conversations without end.

    Args:
        voices: clips of each person, at the filter bank's rate.
        profiles: vectors of each person from other clips, float32, (takes, D).
        fbank: what turns samples into features.
        recipe: what conversations are like.
        seed: where chance begins.
        noises: samples of backgrounds, one of which is drawn for each conversation; none for silence.

    Raises:
        InputError: people without a profile, or fewer people than may talk.
    """

    def __init__(
        self,
        voices: Mapping[str, Sequence[Clip | NDArray[np.float32]]],
        profiles: Mapping[str, NDArray[np.float32]],
        fbank: KaldiFbank,
        recipe: ConversationRecipe,
        seed: int = 0,
        noises: Sequence[NDArray[np.float32]] = (),
    ) -> None:
        super().__init__(seed)
        without = sorted(set(voices) - set(profiles))
        if without:
            raise InputError(f"{', '.join(without)}: give profiles for everyone who has a voice.")
        if len(voices) < recipe.speakers[1]:
            raise InputError(f"{len(voices)} voices for up to {recipe.speakers[1]} speakers: give more voices.")
        self.voices, self.profiles, self.fbank = voices, profiles, fbank
        self.recipe, self.noises = recipe, noises
        self._names = sorted(voices)

    def stream(self, rng: np.random.Generator) -> Iterator[Example]:
        """Yield conversations."""
        while True:
            yield self.example(rng)

    def example(self, rng: np.random.Generator) -> Example:
        """Draw one conversation."""
        recipe = self.recipe
        count = int(rng.integers(recipe.speakers[0], recipe.speakers[1] + 1))
        absent = min(int(rng.integers(recipe.absent[0], recipe.absent[1] + 1)), recipe.slots - count)
        people = [self._names[index] for index in rng.permutation(len(self._names))[: count + absent]]
        rate = self.fbank.options.sample_rate
        plan = recipe.talk.plan(count, recipe.seconds, rng)
        noise = self.noises[int(rng.integers(len(self.noises)))] if self.noises else None
        voices = {name: self.voices[name] for name in people[:count]}
        samples, turns = simulate(voices, recipe.seconds, rate, rng, plan, noise, recipe.acoustics)
        features = self.fbank(torch.from_numpy(samples))
        grid = FrameGrid(self.fbank.options.frame_shift / 1000)
        spoken = activity(turns, people, grid, len(features))
        return Example(features, *self._in_slots(spoken, people, rng))

    def _in_slots(
        self, spoken: NDArray[np.bool_], people: Sequence[str], rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put who speaks (T, people) and their profiles in slots drawn at random."""
        slots = rng.permutation(self.recipe.slots)[: len(people)]
        profiles = np.stack([self._profile(name, rng) for name in people])
        labels = torch.zeros(len(spoken), self.recipe.slots)
        labels[:, slots] = torch.from_numpy(spoken).float()
        placed = torch.zeros(self.recipe.slots, profiles.shape[1])
        placed[slots] = torch.from_numpy(profiles)
        return labels, placed

    def _profile(self, name: str, rng: np.random.Generator) -> NDArray[np.float32]:
        vectors = self.profiles[name]
        takes = int(rng.integers(self.recipe.takes[0], self.recipe.takes[1] + 1))
        chosen = rng.permutation(len(vectors))[:takes]
        return np.asarray(vectors[chosen].mean(axis=0), dtype=np.float32)
