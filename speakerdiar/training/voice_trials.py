"""Trials of voices that training doesn't hear: how often an embedder takes two people for one, or one for two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from speakerdiar.errors import InputError
from speakerdiar.frames import FrameGrid, activity, runs
from speakerdiar.metrics.verification import DetCurve, det_curve
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.simulation.clips import ClipPool
from speakerdiar.simulation.conversation import Conversation
from speakerdiar.simulation.scene import Scene
from speakerdiar.training.recordings import ReferencedRecording
from speakerdiar.training.scenes import SCENES
from speakerdiar.training.voice_views import Company, Samples, ViewMaker
from speakerdiar.voiceprint import from_centre

SIDES = 5
"""Of a speaker, clean, and as many distorted."""
SECONDS: Mapping[str, float] = {"eer_clips": 1.5, "eer_short": 0.7}
"""Lengths of the sides by the figure that they give."""
RECORDED_SECONDS = 1.5
RECORDED_SIDES = 30
"""Of a speaker of a recording, at most."""
SPOKEN = 0.7
"""Share of a side in which there should be speech."""
FrontEnd = Callable[[torch.Tensor], torch.Tensor]
TOLD_APART = Company(other=0.0, thinned=0.0)


class Sides(NamedTuple):
    """Sides of trials, of one length.

    Attributes:
        figure: that they are for.
        inputs: features (B, T, bands), or samples (B, n).
        people: number of each one's speaker, int64, (B,).
        groups: only sides of one group are compared, int64, (B,).
    """

    figure: str
    inputs: torch.Tensor
    people: torch.Tensor
    groups: torch.Tensor


@dataclass(frozen=True)
class Embedded:
    """Vectors of sides (B, D) and what they are compared by; see `Sides`."""

    figure: str
    vectors: NDArray[np.float32]
    people: NDArray[np.int64]
    groups: NDArray[np.int64]


def held_out_sides(
    pool: ClipPool, noises: Sequence[Samples], seed: int, seconds: Mapping[str, float] = SECONDS, each: int = SIDES
) -> list[Sides]:
    """Return sides of each speaker, as recorded and as heard elsewhere, for each figure: their samples.

    Only sides of one corpus are compared.

    Args:
        pool: speakers that training doesn't hear.
        noises: recorded backgrounds.
        seed: of all chance.
        seconds: length of the sides by figure.
        each: sides of a speaker, of each of the two kinds.
    """
    rng = np.random.default_rng(seed)
    names = sorted(pool.voices)
    corpora = sorted(set(pool.corpora.values()))
    groups = [corpora.index(pool.corpora[name]) if name in pool.corpora else -1 for name in names]
    people = np.repeat(np.arange(len(names)), 2 * each)
    found = []
    for figure, length in seconds.items():
        sounds = [sound for name in names for sound in _sounds(pool, name, noises, length, each, rng)]
        numbers = torch.from_numpy(np.array(groups)[people])
        found.append(Sides(figure, torch.from_numpy(np.stack(sounds)), torch.from_numpy(people), numbers))
    return found


def _sounds(
    pool: ClipPool, name: str, noises: Sequence[Samples], seconds: float, each: int, rng: np.random.Generator
) -> Iterator[Samples]:
    least = int(SPOKEN * seconds * 100 / 8)
    plain = ViewMaker(pool=pool, scene=Scene(), company=TOLD_APART, least=least)
    worn = replace(plain, scene=replace(SCENES["varied"], noise=1.0, babble=0.0, clicks=0.0), noises=noises)
    own = pool.voices[name]
    voices = [[own[int(index)] for index in rng.integers(len(own), size=2)] for _ in range(each)]
    for maker in (plain, worn):
        yield from (view.samples for view in maker.views(voices, seconds, rng))


def recorded_sides(
    recordings: Sequence[ReferencedRecording], rate: int = 16000, seconds: float = RECORDED_SECONDS
) -> Sides:
    """Return sides of each speaker of recordings, from where nobody else talks: their samples.

    Only sides of one recording are compared, as in diarization.

    Raises:
        InputError: nobody talks alone for so long.
    """
    sounds: list[Samples] = []
    people: list[int] = []
    groups: list[int] = []
    for group, one in enumerate(recordings):
        heard = one.window(0.0, one.seconds, rate)
        for speaker in sorted({turn.speaker for turn in heard.turns}):
            number = 1 + max(people, default=-1)
            own = list(_alone(heard, speaker, round(seconds * rate), rate))
            chosen = own[:: 1 + len(own) // RECORDED_SIDES]
            sounds += chosen
            people += [number] * len(chosen)
            groups += [group] * len(chosen)
    if not sounds:
        raise InputError(f"In {len(recordings)} recordings nobody talks alone for {seconds} s: give others.")
    return Sides("eer_recorded", torch.from_numpy(np.stack(sounds)), torch.tensor(people), torch.tensor(groups))


def _alone(heard: Conversation, speaker: str, length: int, rate: int) -> Iterator[Samples]:
    """Yield pieces of some samples, side by side, in which only this speaker talks."""
    names = sorted({turn.speaker for turn in heard.turns})
    grid = FrameGrid(0.01)
    active = activity(heard.turns, names, grid, round(len(heard.samples) / rate / grid.step))
    for first, last in runs(active[:, names.index(speaker)] & (active.sum(axis=1) == 1)):
        begin, end = (round(grid.time(border) * rate) for border in (first, last))
        yield from (heard.samples[place : place + length] for place in range(begin, end - length + 1, length))


class SideBatches(Dataset[Sides]):
    """Features of sides in batches, computed once.

    Args:
        sides: their samples.
        frontend: features of samples (B, n): (B, T, bands).
        size: sides of a batch.
    """

    def __init__(self, sides: Sequence[Sides], frontend: FrontEnd, size: int = 64) -> None:
        self.batches = [part for one in sides for part in self._parts(one, frontend, size)]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Sides:
        return self.batches[index]

    @staticmethod
    def _parts(sides: Sides, frontend: FrontEnd, size: int) -> Iterator[Sides]:
        for first in range(0, len(sides.people), size):
            chosen = slice(first, first + size)
            with torch.inference_mode():
                features = frontend(sides.inputs[chosen]).clone()
            yield Sides(sides.figure, features, sides.people[chosen], sides.groups[chosen])


def figures(found: Sequence[Embedded], centre: NDArray[np.float32] | None = None) -> dict[str, float]:
    """Return the equal error rate of each figure, in percent."""
    names = dict.fromkeys(one.figure for one in found)
    return {name: 100 * curve([one for one in found if one.figure == name], centre).eer for name in names}


def curve(found: Sequence[Embedded], centre: NDArray[np.float32] | None = None) -> DetCurve:
    """Return the errors on all pairs of sides of one group; scores are cosines from the centre on."""
    vectors = from_centre(np.concatenate([one.vectors for one in found]), centre)
    people, groups = (np.concatenate([getattr(one, name) for one in found]) for name in ("people", "groups"))
    first, second = np.triu_indices(len(people), 1)
    comparable = groups[first] == groups[second]
    first, second = first[comparable], second[comparable]
    scores = np.einsum("nd,nd->n", vectors[first], vectors[second])
    return det_curve(scores, people[first] == people[second])


def embedded(sides: Sequence[Sides], embedder: EmbeddingMixin) -> list[Embedded]:
    """Return the vectors of sides, of their samples, by an embedder."""
    return [
        Embedded(one.figure, embedder.embed(one.inputs.numpy()), one.people.numpy(), one.groups.numpy())
        for one in sides
    ]
