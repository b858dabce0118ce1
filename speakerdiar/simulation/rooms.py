"""Rooms: what comes back of a voice from walls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from speakerdiar.simulation import image_rooms

if TYPE_CHECKING:
    from speakerdiar.simulation.conversation import Acoustics

Samples = NDArray[np.float32]
ROOM_MODELS = ("decay", "image")
EARLY_SECONDS = 0.05
"""Within so much time after the direct sound single reflections arrive, and after it a diffuse tail."""
EARLY_REFLECTIONS = (3, 12)


def responses(speakers: int, rate: int, rng: np.random.Generator, acoustics: Acoustics) -> list[Samples | None]:
    """Return the response of one room from each speaker's place, of length 1 as a vector; None for dry sound.

    A response is the direct sound, some reflections, and noise that decays exponentially after it (Polack's model of
    late reverberation). It begins with the direct sound, so nothing is delayed. `speakerdiar.simulation.image_rooms`
    makes those of the other model.
    """
    if rng.random() >= acoustics.room:
        return [None] * speakers
    if acoustics.room_model == "image":
        return [*image_rooms.responses(speakers, rate, rng, acoustics)]
    reverberation = rng.uniform(*acoustics.reverberation)
    return [_response(reverberation, rate, rng, acoustics) for _ in range(speakers)]


def _response(reverberation: float, rate: int, rng: np.random.Generator, acoustics: Acoustics) -> Samples:
    count = max(2, round(reverberation * rate))
    decay = 10 ** (-3 * np.arange(1, count) / (reverberation * rate))
    tail = rng.standard_normal(count - 1) * decay
    early = min(count - 1, round(EARLY_SECONDS * rate))
    places = rng.integers(0, early, int(rng.integers(*EARLY_REFLECTIONS)))
    tail[places] += rng.uniform(-1, 1, len(places)) * np.linalg.norm(tail) * 0.3
    tail *= 10 ** (-rng.uniform(*acoustics.direct) / 20) / np.linalg.norm(tail)
    response = np.concatenate(([1.0], tail))
    return np.asarray(response / np.linalg.norm(response), dtype=np.float32)


def heard(piece: Samples, response: Samples | None) -> Samples:
    """Return samples (n,) as the room gives them back, with echoes after the end: (n + len(response) - 1,)."""
    if response is None:
        return piece
    from scipy.signal import oaconvolve

    return np.asarray(oaconvolve(piece, response), dtype=np.float32)
