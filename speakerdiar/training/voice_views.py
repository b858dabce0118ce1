"""Voices as an embedder must know them again: short, in company, through rooms, noise and telephones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from speakerdiar.errors import ConfigError
from speakerdiar.frames import FrameGrid, activity
from speakerdiar.nn.resnet34 import REDUCTION
from speakerdiar.simulation.clips import ClipPool
from speakerdiar.simulation.conversation import Clip
from speakerdiar.simulation.scene import Scene, Simulator, faster
from speakerdiar.simulation.turn_taking import PlannedTurn
from speakerdiar.training.chance import DrawnExamples
from speakerdiar.training.scenes import SCENES
from speakerdiar.training.teachers import Teacher

Samples = NDArray[np.float32]
Range = tuple[float, float]

MORE_CLIPS = 2
"""Of a speaker whose clip is shorter than a view."""
TRIES = 10
STEP = 0.16
"""Seconds from one length to the next: for each new length, libraries make kernels anew and keep them."""
NAMES = ("own", "other")


class View(NamedTuple):
    """Some seconds in which someone talks.

    Attributes:
        samples: what is heard, float32, (n,).
        kept: network frames that are to be pooled: those in which the person talks, or some of them, bool, (F,).
    """

    samples: Samples
    kept: NDArray[np.bool_]


class Inputs(Protocol):
    """Makes of views of one length what a network takes of them."""

    def __call__(self, views: Sequence[View]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features float32 (B, T, bands), and which frames of the network count, 0 or 1, float32 (B, 1, F)."""


@dataclass(frozen=True)
class WholeViews:
    """Features of all that is heard, for networks that leave frames out where they pool.

    Attributes:
        frontend: features of samples (B, n): (B, T, bands).
    """

    frontend: torch.nn.Module

    def __call__(self, views: Sequence[View]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the features of views, and their frames that are kept."""
        with torch.inference_mode():
            found: torch.Tensor = self.frontend(torch.from_numpy(np.stack([view.samples for view in views])))
        frames = -(-found.shape[1] // REDUCTION)  # the filter bank may leave out the last ones
        kept = torch.from_numpy(np.stack([view.kept[:frames] for view in views])).float()
        return found.clone(), kept[:, None]


class Views(NamedTuple):
    """A batch to learn from, of one length.

    Attributes:
        features: what the network takes, float32, (B, T, bands).
        kept: frames of the network that count, 0 or 1, float32, (B, 1, F).
        people: the class of each, int64, (B,).
        taught: a teacher's vectors, float32, (B, D); (B, 0) without a teacher.
    """

    features: torch.Tensor
    kept: torch.Tensor
    people: torch.Tensor
    taught: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Company:
    """Who else is heard in a view, and what is left of it. Shares are chances; each view draws from them.

    Attributes:
        other: share of views in which someone else talks, too.
        part: how much of a view the other one takes, (least, most).
        overlap: share of these in which both talk at once, else one after the other.
        alone: share of those with overlap of which only frames without the other are kept.
        thinned: share of views of which a random half of the frames, at most, is left out.
    """

    other: float = 0.4
    part: Range = (0.1, 0.5)
    overlap: float = 0.5
    alone: float = 0.5
    thinned: float = 0.3

    def __post_init__(self) -> None:
        for name in ("other", "overlap", "alone", "thinned"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)!r}: give a share from 0 to 1.")
        if not 0 < self.part[0] <= self.part[1] < 1:
            raise ConfigError(f"part={self.part!r}: give (least, most) between 0 and 1.")


@dataclass(frozen=True, kw_only=True)
class ViewMaker:
    """Draws views of a voice.

    Attributes:
        pool: who is heard.
        scene: what a voice goes through; its length is that of a view.
        company: who else is heard.
        noises: recorded backgrounds.
        least: network frames that a view should keep.
    """

    pool: ClipPool
    scene: Scene = SCENES["varied"]
    company: Company = Company()
    noises: Sequence[Samples] = ()
    least: int = 4

    def views(self, voices: Iterable[Sequence[Clip]], seconds: float, rng: np.random.Generator) -> Iterator[View]:
        """Yield a view of each voice, of its clips."""
        stage = Simulator(self.pool, replace(self.scene, seconds=seconds, speakers=(1, 1)), self.noises, self.pool.rate)
        for clips in voices:
            yield self._view(stage, clips, rng)

    def _view(self, stage: Simulator, clips: Sequence[Clip], rng: np.random.Generator) -> View:
        """Draw until enough is kept, or a few times, and return what keeps most."""
        best = self._drawn(stage, clips, rng)
        for _ in range(TRIES):
            if best.kept.sum() >= self.least:
                break
            best = max(best, self._drawn(stage, clips, rng), key=lambda view: int(view.kept.sum()))
        return best

    def _drawn(self, stage: Simulator, clips: Sequence[Clip], rng: np.random.Generator) -> View:
        seconds = stage.scene.seconds
        plan, alone = self._plan(seconds, rng)
        heard = stage.staged(dict(zip(NAMES, (clips, self._other(rng)), strict=True)), plan, rng)
        frames = -(-round(seconds * 100) // REDUCTION)
        active = activity(heard.turns, NAMES, FrameGrid(0.01 * REDUCTION), frames)
        return View(heard.samples, self._thinned(active[:, 0] & ~(active[:, 1] & alone), rng))

    def _plan(self, seconds: float, rng: np.random.Generator) -> tuple[list[PlannedTurn], bool]:
        """Return who talks when, and whether only what the first says alone is kept."""
        company = self.company
        if rng.random() >= company.other:
            return [PlannedTurn(0, 0.0, seconds)], False
        taken = float(rng.uniform(*company.part)) * seconds
        together = rng.random() < company.overlap
        first = rng.random() < 0.5
        mine = seconds if together else seconds - taken
        own = PlannedTurn(0, taken if first and not together else 0.0, mine)
        return [own, PlannedTurn(1, 0.0 if first else seconds - taken, taken)], rng.random() < company.alone

    def _other(self, rng: np.random.Generator) -> Sequence[Clip]:
        names = sorted(self.pool.voices)
        own = self.pool.voices[names[int(rng.integers(len(names)))]]
        return [own[int(rng.integers(len(own)))]]

    def _thinned(self, kept: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
        """Leave a run of frames out, at a random place, at times."""
        if rng.random() >= self.company.thinned:
            return kept
        places = np.flatnonzero(kept)
        gone = int(rng.integers(len(places) // 2 + 1))
        first = int(rng.integers(len(places) - gone + 1))
        thinned = kept.copy()
        thinned[places[first : first + gone]] = False
        return thinned


class VoiceViews(DrawnExamples[Views]):
    """Batches of views without end. Each speaker at each speed is a class: another speed is another voice.

    Args:
        maker: draws views.
        inputs: makes of views what the network takes.
        speeds: factors at which clips are played; pitch and formants move with them.
        seconds: length of the views of a batch, (least, most).
        size: views of a batch.
        teacher: gives the vectors to learn from; None for none.
        seed: where chance begins.
    """

    def __init__(
        self,
        maker: ViewMaker,
        inputs: Inputs,
        *,
        speeds: Sequence[float] = (1.0,),
        seconds: Range = (0.6, 3.0),
        size: int = 64,
        teacher: Teacher | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(seed)
        if not 0.4 <= seconds[0] <= seconds[1]:
            raise ConfigError(f"seconds={seconds!r}: give (least, most), 0.4 s or more.")
        if not speeds or not all(0.5 <= speed <= 2 for speed in speeds):
            raise ConfigError(f"speeds={speeds!r}: give factors from 0.5 to 2.")
        self.maker, self.inputs, self.teacher = maker, inputs, teacher
        self.speeds, self.seconds, self.size = tuple(speeds), seconds, size
        self.names = sorted(maker.pool.voices)

    @property
    def classes(self) -> int:
        """Speakers times speeds."""
        return len(self.names) * len(self.speeds)

    def stream(self, rng: np.random.Generator) -> Iterator[Views]:
        """Yield batches without end."""
        while True:
            yield self.draw(rng)

    def draw(self, rng: np.random.Generator) -> Views:
        """Return a batch; lengths are as frequent as their logarithms are wide."""
        wanted = float(np.exp(rng.uniform(*np.log(self.seconds))))
        seconds = round(float(np.clip(round(wanted / STEP) * STEP, *self.seconds)), 2)
        people = rng.integers(self.classes, size=self.size)
        voices, taught = zip(*(self._voice(int(person), seconds, rng) for person in people), strict=True)
        features, kept = self.inputs(list(self.maker.views(voices, seconds, rng)))
        return Views(features, kept, torch.from_numpy(people), torch.from_numpy(np.stack(taught)))

    def _voice(self, person: int, seconds: float, rng: np.random.Generator) -> tuple[list[Clip], NDArray[np.float32]]:
        """Draw clips of a class that last long enough, where there are, and what the teacher says of the first."""
        name, speed = self.names[person // len(self.speeds)], self.speeds[person % len(self.speeds)]
        own, rate = self.maker.pool.voices[name], self.maker.pool.rate
        chosen = rng.permutation(len(own))[: 1 + MORE_CLIPS].tolist()
        clips = [faster(own[chosen[0]], rate, speed)]
        if len(clips[0].samples) < seconds * rate:
            clips += [faster(own[index], rate, speed) for index in chosen[1:]]
        if self.teacher is None:
            return clips, np.zeros(0, dtype=np.float32)
        return clips, self.teacher.vector((name, chosen[0], speed), clips[0])
