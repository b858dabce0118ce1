"""Post-processing of an hour with eight speakers at 80 ms, against a plain loop over frames.

Run `python benchmarks/postprocessing.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from speakerdiar.config import PostProcessingParams
from speakerdiar.frames import FrameGrid
from speakerdiar.postprocessing.binarize import binarize

STEP = 0.08
HOUR = int(3600 / STEP)
SPEAKERS = 8
PRESETS = {
    "onset >= offset": PostProcessingParams(0.641, 0.561, 0.229, 0.079, 0.511, 0.296),
    "onset < offset (toggles)": PostProcessingParams(0.56, 1.0, 0.063, 0.002, 0.007, 0.151),
}


def loop(scores: Any, params: PostProcessingParams, subframe: int) -> list[list[tuple[float, float]]]:
    """Find the segments frame by frame, pads included; durations aren't filtered, which favours the loop."""
    found, step = [], STEP / subframe
    for column in np.repeat(scores, subframe, axis=0).T.tolist():
        segments, start = [], None
        for index, score in enumerate(column):
            if start is None and score > params.onset:
                start = index
            elif start is not None and score < params.offset:
                segments.append((start * step - params.pad_onset, index * step + params.pad_offset))
                start = None
        found.append(segments)
    return found


def seconds(work: Callable[[], object], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def random_scores() -> Any:
    noise = np.random.default_rng(0).normal(size=(HOUR + 50, SPEAKERS))
    smooth = np.apply_along_axis(lambda c: np.convolve(c, np.ones(25) / 5, "valid"), 0, noise)[:HOUR]
    return (1 / (1 + np.exp(-2 * smooth))).astype(np.float32)


def main() -> None:
    scores, grid = random_scores(), FrameGrid(STEP)
    print(f"{SPEAKERS} speakers, {HOUR} frames of {STEP * 1000:.0f} ms; best of several runs")
    for name, params in PRESETS.items():
        for subframe in (1, 8):
            ours = seconds(lambda p=params, s=subframe: binarize(scores, p, grid=grid, subframe=s), 5)  # type: ignore[misc]
            theirs = seconds(lambda p=params, s=subframe: loop(scores, p, s), 2)  # type: ignore[misc]
            size = f"{STEP * 1000 / subframe:.0f} ms"
            print(f"{name:26} {size:>6}: {ours * 1e3:7.1f} ms, loop {theirs * 1e3:7.1f} ms, ratio {theirs / ours:5.1f}")


if __name__ == "__main__":
    main()
