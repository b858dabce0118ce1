"""Speech, by what a local segmentation model hears: for whoever doesn't ask who talks."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.audio.loudness import LoudnessMeter
from speakerdiar.mixins.local_segmentation import LocalSegmentationMixin
from speakerdiar.mixins.segmentation import SegmentationMixin

QUIET = -15.0
"""dB that live recordings are taken to be below the model's level before anything was heard."""
PRIOR_SECONDS = 0.2
"""So much of that is remembered: it counts until ten times as much was heard."""


@dataclass(frozen=True, eq=False)
class _State:
    """What samples leave to the next: those of the last window, and how loud the recording is."""

    past: NDArray[np.float32]
    meter: LoudnessMeter


class WindowedSpeech(SegmentationMixin):
    """The probability of speech in each frame, from the windows of a local segmentation model.

    A recording is scored window by window. Live, the window is the one that ends with the newest samples.

    Args:
        model: whose windows are scored.
    """

    def __init__(self, model: LocalSegmentationMixin) -> None:
        self.model = model

    @property
    def sample_rate(self) -> int:
        """Hz of the samples that the model takes."""
        return self.model.grid.rate

    @property
    def frame_samples(self) -> int:
        """Samples from one frame to the next."""
        return self.model.grid.frame_step

    @property
    def block_samples(self) -> int:
        """Samples that are scored at a time: the whole frames of a window."""
        return self.model.grid.window // self.frame_samples * self.frame_samples

    def _segment_block(self, samples: NDArray[np.float32], state: Any) -> tuple[NDArray[np.float32], Any]:
        meter = LoudnessMeter(self.sample_rate) if state is None else copy.deepcopy(state.meter)
        meter.add(samples)
        return self._score(samples, len(samples), meter), _State(samples, meter)

    def _segment_live(self, samples: NDArray[np.float32], state: Any) -> tuple[NDArray[np.float32], Any]:
        past: _State = state or self._silence_before()
        meter = copy.deepcopy(past.meter)
        meter.add(samples)
        parts, reach = [], self.block_samples // 2
        heard = past.past
        for first in range(0, len(samples), reach):
            part = samples[first : first + reach]
            kept = (self.block_samples - len(part)) // self.frame_samples * self.frame_samples
            heard = np.concatenate([heard[max(0, len(heard) - kept) :], part])
            parts.append(self._score(heard, len(part), meter))
        return np.concatenate(parts), _State(heard, meter)

    def _silence_before(self) -> _State:
        """What was heard before a live recording: nothing, at a level that lies between near and far voices."""
        meter = LoudnessMeter(self.sample_rate)
        if self.model.level is not None:
            amplitude = 10 ** ((self.model.level + QUIET) / 20)
            meter.add(np.full(round(PRIOR_SECONDS * self.sample_rate), amplitude, dtype=np.float32))
        return _State(np.zeros(0, np.float32), meter)

    def _score(self, heard: NDArray[np.float32], newest: int, meter: LoudnessMeter) -> NDArray[np.float32]:
        """Score the newest samples of a window that may be shorter than the model's: (frames, 1)."""
        grid = self.model.grid
        window = np.zeros(grid.window, dtype=np.float32)
        window[: len(heard)] = heard
        if self.model.level is not None:
            window *= meter.gain(self.model.level)
        scores = self.model.score_windows(window[None])[0]  # (frames, classes)
        speech = 1 - np.exp(scores[:, 0]) if self.model.powerset is not None else scores.max(axis=1)
        frames = -(-newest // grid.frame_step)
        first = (len(heard) - newest) / grid.frame_step
        # Frames of networks lie a little inside of their windows; the nearest one stands for those at the borders.
        shift = (grid.receptive / grid.frame_step - 1) / 2
        places = np.rint(first + np.arange(frames) - shift).astype(int)
        return np.asarray(speech[places.clip(0, grid.frames - 1), None], dtype=np.float32)
