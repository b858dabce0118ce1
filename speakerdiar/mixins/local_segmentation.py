"""The template of models that tell a few local speakers apart in a window of audio."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from speakerdiar.errors import InputError, ModelError
from speakerdiar.mixins.neural import inference_state
from speakerdiar.postprocessing.binarize import talking
from speakerdiar.postprocessing.powerset import Powerset, bits_of
from speakerdiar.windows import WindowGrid


class LocalSegmentationMixin(ABC):
    """Gives a model `score_windows()` and `segment_windows()`.

    A subclass says what its windows are (`grid`), who is told apart (`powerset`, or `speakers` and `onset`), and writes

        _score_batch(windows (B, window)) -> scores (B, frames, classes)

    Scores are logarithms of the probabilities of the powerset's classes or, without a powerset, probabilities that each
    local speaker talks. Batch size and neighbours never change a score.
    """

    onset: float = 0.5
    """Without a powerset: score above which a local speaker starts to talk, and below which they stop."""
    windows_at_once: int = 32
    """Windows of a batch."""
    level: float | None = None
    """Level in dBFS that windows are best brought to (`speakerdiar.audio.loudness`), with the recording they are of;
    None where it doesn't matter."""

    @property
    @abstractmethod
    def grid(self) -> WindowGrid:
        """Windows and frames; every tenth of a window begins the next, unless the model knows better."""

    @property
    def powerset(self) -> Powerset | None:
        """The classes that the scores stand for; None where each score is one speaker's own."""
        return Powerset()

    @property
    def speakers(self) -> int:
        """Local speakers of a window."""
        assert self.powerset is not None, "a model without a powerset says how many speakers it has"
        return self.powerset.speakers

    @property
    def sample_rate(self) -> int:
        """Hz of the samples that the model takes."""
        return self.grid.rate

    @abstractmethod
    def _score_batch(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score windows (B, window) of samples, in eval and inference mode: (B, frames, classes)."""

    def score_windows(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score windows of audio.

        Args:
            windows: (B, window) mono samples at `sample_rate`; silence where the audio ends earlier.

        Returns:
            float32, (B, frames, classes): log-probabilities of the powerset's classes, or probabilities of speakers.

        Raises:
            InputError: windows of another shape, or samples that aren't finite.
        """
        given = np.asarray(windows, dtype=np.float32)
        if given.ndim != 2 or given.shape[1] != self.grid.window:
            raise InputError(f"Windows of shape {given.shape}: give (windows, {self.grid.window}).")
        if not np.isfinite(given).all():
            raise InputError("Windows hold NaN or infinity: give finite numbers.")
        classes = self.speakers if self.powerset is None else self.powerset.classes
        scores = np.zeros((len(given), self.grid.frames, classes), dtype=np.float32)
        with inference_state(self):
            for first in range(0, len(given), self.windows_at_once):
                # A copy: windows may be a view of overlapping samples that nobody may write to.
                batch = np.array(given[first : first + self.windows_at_once])
                found = self._score_batch(batch)
                if found.shape != (len(batch), *scores.shape[1:]):
                    raise ModelError(f"{type(self).__name__} gave {found.shape} for {len(batch)} windows.")
                scores[first : first + len(batch)] = found
        return scores

    def segment_windows(self, windows: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Say who of the local speakers talks when; arguments and errors as for `score_windows`.

        Returns:
            bits and certainty, uint8 (B, frames): see `speakerdiar.postprocessing.local_speech.LocalSpeech`.
        """
        return self.decide(self.score_windows(windows))

    def decide(self, scores: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return bits and certainty (B, frames) of scores (B, frames, classes): the likeliest class of each frame."""
        if self.powerset is not None:
            chosen = scores.argmax(axis=2)
            likely = np.exp(np.take_along_axis(scores, chosen[..., None], axis=2))[..., 0]
            return self.powerset.bits[chosen], _in_255ths(likely)
        active = np.stack([talking(window, self.onset, self.onset) for window in scores])
        return bits_of(active), _in_255ths(np.where(active, scores, 1 - scores).prod(axis=2))


def _in_255ths(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(np.clip(probabilities, 0, 1) * 255).astype(np.uint8)
