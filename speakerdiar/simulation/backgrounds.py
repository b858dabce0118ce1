"""What is heard behind a conversation: noise of all colours, babble, and clicks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
BABBLE_VOICES = (4, 8)
CLICK_SECONDS = 0.01


def coloured(count: int, rng: np.random.Generator, slope: float | None = None) -> Samples:
    """Draw noise (n,) of variance 1 whose power falls by `slope` dB an octave: 0 white, 3 pink, 6 brown; drawn if None.

    A block of noise is repeated where `count` is large: nobody tells noise from the same noise a minute later.
    """
    if slope is None:
        slope = float(rng.uniform(0, 9))
    block = min(count, 1 << 19)
    size = 1 << max(1, (block - 1).bit_length())
    spectrum = rng.standard_normal(size // 2 + 1) + 1j * rng.standard_normal(size // 2 + 1)
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (slope / 20 * np.log2(10))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum)[:block]
    noise /= np.sqrt(np.square(noise).mean()) or 1.0
    return np.resize(noise, count).astype(np.float32)


def babble(clips: Sequence[Samples], count: int, rng: np.random.Generator) -> Samples:
    """Lay several voices over one another until no word can be made out: (count,), of variance 1."""
    total = np.zeros(count, dtype=np.float32)
    for _ in range(int(rng.integers(*BABBLE_VOICES))):
        parts, have = [], 0
        while have < count:
            clip = clips[int(rng.integers(len(clips)))]
            parts.append(clip / (np.sqrt(np.square(clip).mean()) or 1.0))
            have += len(clip)
        total += np.concatenate(parts)[:count]
    return total / np.float32(np.sqrt(np.square(total).mean()) or 1.0)


def clicks(count: int, rate: int, rng: np.random.Generator, per_second: float) -> Samples:
    """Draw short noises such as those of keys and tables, (count,), the loudest with a peak of 1."""
    sound = np.zeros(count, dtype=np.float32)
    for _ in range(int(rng.poisson(per_second * count / rate))):
        length = max(2, round(rng.uniform(0.2, 4) * CLICK_SECONDS * rate))
        first = int(rng.integers(max(1, count - length)))
        decay = np.exp(-np.arange(length) * rng.uniform(3, 8) / length)
        click = rng.standard_normal(length) * decay * rng.uniform(0.1, 1)
        sound[first : first + length] += click[: count - first].astype(np.float32)
    return sound / np.float32(np.abs(sound).max(initial=0.0) or 1.0)
