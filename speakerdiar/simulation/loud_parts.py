"""Where someone talks in a clip of one voice, by loudness alone: for clean recordings, read or acted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from speakerdiar.annotation import Segment
from speakerdiar.frames import FrameGrid, segments_of

FRAME = 0.02
NEAR = 7
"""A frame with a loud one within so many, 0.14 s, is speech: words have quiet parts."""
SHARE = 0.05
"""Of the loudest frames' peak, -26 dB: quieter frames of a clean recording are pauses."""


def loud_parts(samples: NDArray[np.float32], rate: int = 16000) -> list[Segment]:
    """Return the stretches of samples (n,) that are near loud frames; none of silence."""
    grid, size = FrameGrid(FRAME), round(FRAME * rate)
    frames = np.abs(samples[: len(samples) // size * size].reshape(-1, size))
    if not frames.any():
        return []
    peaks = frames.max(axis=1)
    loud = peaks > SHARE * np.percentile(peaks, 99)
    near = np.convolve(loud, np.ones(2 * NEAR + 1), "full")[NEAR:-NEAR] > 0
    return segments_of(near, grid)
