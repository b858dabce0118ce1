"""Made recordings of slots: who talks in each slot of each window, and embeddings to match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.plda import Plda
from speakerdiar.clustering.slots import SlotClusterer, SlotClusters
from speakerdiar.config import SpeakerCount

FRAMES = 100


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Slots of windows."""

    who: NDArray[np.int64]
    """(W, S) speaker of each slot; -1 for nobody."""
    embeddings: NDArray[Any]
    alone: NDArray[np.int64]
    spoken: NDArray[np.int64]

    def clustered(self, clusterer: SlotClusterer, *counts: int | None, exact: bool = False) -> SlotClusters:
        count = SpeakerCount.of(*counts)
        return clusterer.cluster(self.embeddings, self.alone, self.spoken, FRAMES, count, exact=exact)


def scene(who: Any, *, size: int = 16, noise: float = 0.3, alone: Any = 50, seed: int = 0) -> Scene:
    """Voices far apart, with noise; slots of nobody have no embedding, the others talk alone for `alone` frames."""
    who = np.asarray(who)
    draw = np.random.default_rng(seed)
    voices = np.eye(size) if who.max(initial=0) < size else draw.normal(size=(who.max() + 1, size))
    embeddings = voices[who] + noise * draw.normal(size=(*who.shape, size)) / np.sqrt(size)
    talks = who >= 0
    embeddings[~talks] = np.nan
    frames = np.broadcast_to(alone, who.shape) * talks
    return Scene(who=who, embeddings=embeddings.astype(np.float32), alone=frames, spoken=frames + 10 * talks)


def meeting(speakers: int, windows: int, *, slots: int = 3, seed: int = 0, **options: Any) -> Scene:
    """In each window up to `slots` of the speakers talk, each in one slot."""
    draw = np.random.default_rng(seed)
    who = np.argsort(draw.random((windows, max(speakers, slots))), axis=1)[:, :slots]
    who[who >= speakers] = -1
    who[draw.random(who.shape) < 0.3] = -1
    return scene(who, seed=seed, **options)


def plain_plda(size: int = 16, between: float = 20.0) -> Plda:
    """A PLDA in whose features the made voices lie far apart."""
    return Plda((np.zeros(size),), (np.sqrt(between * size) * np.eye(size),), np.zeros(size), np.full(size, between))
