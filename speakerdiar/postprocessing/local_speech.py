"""Who of a few local speakers talks in each frame of each window: what a segmentation model says of a recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speakerdiar.errors import InputError
from speakerdiar.postprocessing.powerset import bits_of, members_of
from speakerdiar.windows import WindowGrid

EVERY = slice(None)


@dataclass(frozen=True, eq=False)
class LocalSpeech:
    """Local speakers of each window, a byte a frame: 24 hours in windows of 10 s every second take 51 MB.

    Speaker 0 of one window and speaker 0 of the next are not the same person: that is what clustering finds out.

    Attributes:
        bits: uint8, (windows, frames); bit s is set where local speaker s talks.
        speakers: local speakers of a window, 8 at most.
        grid: where windows and frames lie.
        samples: length of the recording.
        certainty: uint8, (windows, frames): the probability that the model gives to what `bits` says, in 255ths; None
            where it isn't known.
    """

    bits: NDArray[np.uint8]
    speakers: int
    grid: WindowGrid
    samples: int
    certainty: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        expected = (self.grid.count(self.samples), self.grid.frames)
        for name in ("bits", "certainty"):
            array = getattr(self, name)
            if array is not None and (array.shape != expected or array.dtype != np.uint8):
                raise InputError(f"{name} of {array.dtype} {array.shape} for {self.samples} samples: give {expected}.")

    @classmethod
    def of(cls, active: NDArray[np.bool_], grid: WindowGrid, samples: int) -> LocalSpeech:
        """Make it from who talks: (windows, frames, speakers)."""
        return cls(bits_of(np.asarray(active, dtype=bool)), active.shape[-1], grid, samples)

    def __len__(self) -> int:
        return len(self.bits)

    def active(self, windows: slice = EVERY) -> NDArray[np.bool_]:
        """Return who talks in some windows: (windows, frames, speakers)."""
        return members_of(self.bits[windows], self.speakers)

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.samples / self.grid.rate

    def spoken(self) -> NDArray[np.int64]:
        """Frames in which each local speaker talks: (windows, speakers)."""
        return self._frames_of([self.bits >> s & 1 for s in range(self.speakers)])

    def alone(self) -> NDArray[np.int64]:
        """Frames in which each local speaker talks and nobody else: (windows, speakers)."""
        return self._frames_of([self.bits == 1 << s for s in range(self.speakers)])

    def _frames_of(self, held: list[NDArray[np.generic]]) -> NDArray[np.int64]:
        return np.stack([speaker.sum(axis=1, dtype=np.int64) for speaker in held], axis=1)
