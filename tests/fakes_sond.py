"""Small SOND networks, and what they are given: the same for FunASR's code and for ours.

`tests/parity/make_sond.py` gives them to FunASR, `tests/parity/test_sond.py` to ours; only NumPy is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZES: dict[str, Any] = {
    "filters": (4, 6, 8, 10),
    "blocks": (1, 2, 1, 2),
    "mel_bins": 24,
    "pooled": 12,
    "dimension": 10,
    "last": 7,
    "window": 20,
    "speakers": 6,
    "at_once": 3,
    "speaker_units": 14,
    "ci_units": 16,
    "cd_layers": 2,
    "cd_heads": 4,
    "cd_inner": 24,
    "fsmn_layers": 3,
    "fsmn_units": 18,
    "fsmn_inner": 22,
    "fsmn_kernel": 11,
}
"""Of `SondShape`; no two that could be mistaken for one another are equal."""
CALLHOME: dict[str, Any] = {
    **SIZES,
    "variant": "callhome",
    "momentum": 0.01,
    "speaker_encoder": None,
    "normalize_speech_speaker": True,
    "ci_scorer": "conv",
    "fsmn_units": 12,
}
"""As many numbers between the combiner's layers as come in: its first layer adds its input, too."""
VARIANTS = {"n16k4": SIZES, "callhome": CALLHOME}
LENGTHS = (203, 150, 97)
"""Frames of the recordings: odd counts at several stages."""
CLASSES = 5
"""Speakers that the small speaker network tells apart."""


def random(name: str) -> np.random.RandomState:
    """Return numbers that a name alone decides."""
    return np.random.RandomState(sum(name.encode()))


def features(bands: int = 24, frames: int = max(LENGTHS), count: int = len(LENGTHS)) -> NDArray[np.float32]:
    """Return filter banks of recordings, (count, frames, bands), that change as speech does."""
    drawn = random("features").normal(size=(count, frames // 7 + 1, bands)).repeat(7, axis=1)[:, :frames]
    return np.asarray(2 * drawn + random("noise").normal(size=drawn.shape), dtype=np.float32)


def profiles(dimension: int = 10) -> NDArray[np.float32]:
    """Return profiles of three recordings, (3, 5, dimension): of four speakers with a gap, of one, and of five."""
    drawn = 3 * random("profiles").normal(size=(3, 5, dimension))
    drawn[0, 2] = 0
    drawn[1, 1:] = 0
    return np.asarray(drawn, dtype=np.float32)


def quiet(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return weights with small ones in front of the combiner's norms."""
    return {name: value * 0.001 if ".w_1." in name and "fsmn" in name else value for name, value in weights.items()}


def quiet_rows() -> NDArray[np.float32]:
    """Return frames of small numbers, (2, 9, 20)."""
    return np.asarray(1e-4 * random("quiet").normal(size=(2, 9, 20)), dtype=np.float32)


def activity(frames: int = max(LENGTHS), speakers: int = 6) -> NDArray[np.float32]:
    """Return who talks, (3, frames, speakers): each speaker, and three of them at most in any 8 frames."""
    talks = np.zeros((3, frames, speakers), dtype=np.float32)
    for recording, row in enumerate(talks):
        for turn in range(frames // 16 + 1):
            first = 16 * turn + recording
            row[first : first + (45 if turn % 3 else 12), (turn + recording) % speakers] = 1
    return talks


SMOOTH = 21
"""Frames of the median filter over a small network's activity, which changes often."""


def talk() -> list[NDArray[np.float32]]:
    """Return a recording of 9.3 s and clips of five people, 16 kHz: noise whose colour changes like that of speech."""
    drawn = random("talk")
    pieces = []
    for _ in range(31):
        noise, colour = drawn.normal(size=4800), drawn.uniform(-0.95, 0.95)
        pieces.append(noise + colour * np.roll(noise, int(drawn.randint(1, 9))) * drawn.uniform(0.5, 4))
    recording = np.concatenate(pieces) * 0.03
    clips = [recording[first : first + 16000] for first in range(0, 125000, 25000)]
    return [np.asarray(part, dtype=np.float32) for part in (recording, *clips)]
