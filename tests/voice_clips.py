"""Clips of made-up voices: noise through two resonances, whose places are the voice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 8000


def voice(seed: int, clips: int = 4, seconds: float = 1.0) -> list[NDArray[np.float32]]:
    """Return clips of one voice, at `RATE`."""
    rng = np.random.default_rng(seed)
    peaks = rng.uniform(np.log2(200), np.log2(3500), 2)
    count = round(RATE * seconds)
    frequencies = np.fft.rfftfreq(count, 1 / RATE)[1:]
    shape = sum(np.exp(-((np.log2(frequencies) - peak) ** 2) / 0.05) for peak in peaks) + 0.01
    spectra = rng.standard_normal((clips, len(frequencies))) * shape
    return [np.fft.irfft(np.append(0, row), count).astype(np.float32) for row in spectra]


def clip_folder(folder: Path, voices: int, clips: int = 6, seconds: float = 1.2) -> str:
    """Write a folder of clips, one folder a voice, and return its path."""
    for seed in range(voices):
        (folder / f"v{seed}").mkdir(parents=True)
        for index, clip in enumerate(voice(seed, clips, seconds)):
            soundfile.write(folder / f"v{seed}" / f"{index}.wav", clip / np.abs(clip).max() / 2, RATE)
    return str(folder)
