"""Where someone talks in a clip of one voice, by a voice activity detector: for recordings that aren't clean."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from speakerdiar.annotation import Segment
from speakerdiar.config import PostProcessingParams
from speakerdiar.models.segmenters import make_segmenter
from speakerdiar.models.segmenters.speech import find_speech

SPOKEN = PostProcessingParams(
    onset=0.5, offset=0.35, pad_onset=0.02, pad_offset=0.02, min_duration_on=0.1, min_duration_off=0.3
)
"""Where pauses shorter than 0.3 s are part of what is said."""


def spoken_parts(segmenter: str = "silero") -> Callable[[NDArray[np.float32]], list[Segment]]:
    """Return a function from the samples (n,) of a clip at 16 kHz to stretches of speech.

    Args:
        segmenter: a name in SEGMENTERS, or weights.
    """
    detector = make_segmenter(segmenter)

    def spoken(samples: NDArray[np.float32]) -> list[Segment]:
        regions, _ = find_speech(detector, [samples], SPOKEN)
        return [Segment(float(start), float(end)) for start, end in regions]

    return spoken
