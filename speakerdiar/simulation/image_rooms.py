"""Rooms with walls, floor and ceiling by the image method (Allen and Berkley 1979, JASA 65(4)), with pyroomacoustics.

Single reflections come from where they do in a real room, and whoever sits farther away has less direct sound.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.errors import MissingExtraError

if TYPE_CHECKING:
    from speakerdiar.simulation.conversation import Acoustics

Samples = NDArray[np.float32]
ROOM_METRES = ((3.0, 8.0), (3.0, 8.0), (2.4, 3.5))
"""Least and most length, width and height."""
WALL_METRES = 0.5
"""Nobody sits nearer to a wall."""
MOUTH_METRES = 0.3
"""Nobody sits nearer to the microphone."""
MOST_REFLECTIONS = 15
SOUND = 343.0
"""Metres a second."""
SABINE = 24 * math.log(10) / SOUND
JOINT_SECONDS = 0.02
"""Over so much time the level is measured at which the diffuse tail goes on."""


def responses(speakers: int, rate: int, rng: np.random.Generator, acoustics: Acoustics) -> list[Samples]:
    """Return the response of one drawn room from each speaker's place to one microphone, of length 1 as a vector.

    Images go as far as `MOST_REFLECTIONS` walls; noise with the room's decay follows. The response begins with the
    direct sound, so nothing is delayed.

    Raises:
        MissingExtraError: pyroomacoustics isn't installed.
    """
    try:
        import pyroomacoustics
    except ImportError as error:
        raise MissingExtraError("pyroomacoustics", "rooms", 'room_model="image"') from error
    size = np.array([rng.uniform(*metres) for metres in ROOM_METRES])
    reverberation = float(rng.uniform(*acoustics.reverberation))
    absorbing = pyroomacoustics.Material(_absorption(size, reverberation))
    room = pyroomacoustics.ShoeBox(size, fs=rate, materials=absorbing, max_order=MOST_REFLECTIONS)
    room.set_sound_speed(SOUND)
    microphone = rng.uniform(WALL_METRES, size - WALL_METRES)
    room.add_microphone(microphone)
    delays = [_add_speaker(room, microphone, rng) for _ in range(speakers)]
    room.compute_rir()
    before = pyroomacoustics.constants.get("frac_delay_length") // 2
    complete = round(MOST_REFLECTIONS * size.min() / SOUND * rate)
    return [
        _whole(found[before + delay :], complete - delay, reverberation, rate, rng)
        for found, delay in zip(room.rir[0], delays, strict=True)
    ]


def _absorption(size: NDArray[np.float64], reverberation: float) -> float:
    """Return what share of the energy the walls take (Sabine)."""
    length, width, height = size
    surface = 2 * (length * width + length * height + width * height)
    return float(min(0.99, SABINE * size.prod() / (surface * reverberation)))


def _add_speaker(room: Any, microphone: NDArray[np.float64], rng: np.random.Generator) -> int:
    """Put a speaker into the room, a whole number of samples away from the microphone; return that number."""
    metres: float = SOUND / room.fs
    step = rng.uniform(WALL_METRES, room.shoebox_dim - WALL_METRES) - microphone
    distance = float(np.linalg.norm(step))
    delay = max(math.ceil(MOUTH_METRES / metres), int(distance / metres))
    room.add_source(microphone + step * (delay * metres / distance))
    return delay


def _whole(
    images: NDArray[np.float64], complete: int, reverberation: float, rate: int, rng: np.random.Generator
) -> Samples:
    """Return images up to where some of them are missing, then noise that decays as the room does."""
    response = np.zeros(max(complete, round(reverberation * rate)))
    known = min(complete, len(images))
    response[:known] = images[:known]
    if len(response) > known:
        joint = response[max(0, known - round(JOINT_SECONDS * rate)) : known]
        after = np.arange(len(response) - known) / rate
        tail = rng.standard_normal(len(after)) * 10 ** (-3 * after / reverberation)
        response[known:] = tail * math.sqrt(float(np.square(joint).mean()))
    return np.asarray(response / np.linalg.norm(response), dtype=np.float32)
