"""A weightless local segmentation model, for diarizers that cluster local speakers."""

from __future__ import annotations

import numpy as np
import torch
from fakes import RATE, TONES
from fakes_roles import FakeEmbedder
from numpy.typing import NDArray

from speakerdiar.mixins.local_segmentation import LocalSegmentationMixin
from speakerdiar.models.diarizers.eend_vc import EendVcDiarizer
from speakerdiar.postprocessing.powerset import bits_of
from speakerdiar.windows import WindowGrid

SURE = 0.97


class ToneSegmenter(torch.nn.Module, LocalSegmentationMixin):
    """Hears which of `TONES` sound in each tenth of a second of two; slots go to tones as they come up.

    In training mode dropout would spoil the scores.
    """

    def __init__(self) -> None:
        super().__init__()
        self.dropout = torch.nn.Dropout(0.9)

    @property
    def grid(self) -> WindowGrid:
        return WindowGrid(RATE, window=2 * RATE, step=RATE // 5, frames=20, frame_step=RATE // 10, receptive=RATE // 10)

    def _score_batch(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        assert self.powerset is not None
        size = self.grid.frame_step
        spectrum = np.abs(np.fft.rfft(windows.reshape(len(windows), -1, size) / size))
        heard = spectrum[..., [round(tone * size / RATE) for tone in TONES]] > 0.03  # (B, frames, tones)
        slots = np.stack([_in_slots(window, self.speakers) for window in heard])
        places = {int(bits): at for at, bits in enumerate(self.powerset.bits)}
        wanted = np.vectorize(lambda bits: places.get(int(bits), 4))(bits_of(slots))  # three at once: two of them
        rest = (1 - SURE) / (self.powerset.classes - 1)
        scores = np.where(wanted[..., None] == np.arange(self.powerset.classes), SURE, rest)
        dropped: NDArray[np.float32] = self.dropout(torch.from_numpy(np.log(scores).astype(np.float32))).numpy()
        return dropped


def _in_slots(heard: NDArray[np.bool_], slots: int) -> NDArray[np.bool_]:
    """Put tones (frames, tones) into slots in the order in which they come up."""
    present = np.flatnonzero(heard.any(axis=0))
    order = present[np.argsort(heard[:, present].argmax(axis=0), kind="stable")][:slots]
    found = np.zeros((len(heard), slots), dtype=bool)
    found[:, : len(order)] = heard[:, order]
    return found


def tone_pipeline(**options: object) -> EendVcDiarizer:
    """A diarizer that tells tones apart by local segmentation and clustering."""
    return EendVcDiarizer(ToneSegmenter(), FakeEmbedder(), "ahc", **options)  # type: ignore[arg-type]
