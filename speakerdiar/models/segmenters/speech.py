"""From a segmenter's scores to stretches of speech."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from speakerdiar.config import PostProcessingParams
from speakerdiar.mixins.segmentation import SegmentationMixin
from speakerdiar.postprocessing.binarize import binarize


def find_speech(
    segmenter: SegmentationMixin, blocks: Iterable[NDArray[np.float32]], params: PostProcessingParams
) -> tuple[NDArray[np.float64], float]:
    """Return where there is speech in a recording, and how long the recording is.

    Args:
        segmenter: its first class is speech.
        blocks: the recording's samples, (n,) each, mono, at the segmenter's rate.
        params: how scores become segments.

    Returns:
        Start and end of each stretch in seconds, (N, 2), and the length of the recording in seconds.
    """
    samples = 0

    def counted() -> Iterator[NDArray[np.float32]]:
        nonlocal samples
        for block in blocks:
            samples += len(block)
            yield block

    scores = segmenter.segment_blocks(counted())
    seconds = samples / segmenter.sample_rate
    [regions] = binarize(scores.data[:, :1], params, grid=scores.grid, end=seconds)
    return regions, seconds
