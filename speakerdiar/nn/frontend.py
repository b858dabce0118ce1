"""Mel spectrograms, computed once for a long piece of audio in memory that a single block of frames bounds."""

from __future__ import annotations

import math

import numpy as np
import torch

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError

FRAMES_AT_ONCE = 4096
"""Frames of which the spectrum is held at a time (13 MB at 400 points)."""


def hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Slaney's mel scale: 15 mel per kHz up to 1 kHz, 27 mel per factor of 6.4 above it.

    Source: M. Slaney, Auditory Toolbox, Interval Research technical report 1998-010.
    """
    hz = np.asarray(hz, dtype=np.float64)
    return np.where(hz < 1000, hz * 3 / 200, 15 + 27 * np.log(np.maximum(hz, 1000) / 1000) / math.log(6.4))


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """The inverse of `hz_to_mel`."""
    mel = np.asarray(mel, dtype=np.float64)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((np.maximum(mel, 15) - 15) * math.log(6.4) / 27))


def mel_filters(sample_rate: int, n_fft: int, n_mels: int) -> np.ndarray:
    """Return triangles on Slaney's scale up to half the rate, each of area 1: float32, (n_mels, n_fft // 2 + 1)."""
    bins = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    edges = mel_to_hz(np.linspace(0, hz_to_mel(np.array(sample_rate / 2)), n_mels + 2))
    low, peak, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((bins - low) / (peak - low), (high - bins) / (high - peak))
    return np.asarray(np.maximum(triangles, 0) * 2 / (high - low), dtype=np.float32)


class MelSpectrogram(torch.nn.Module):
    """Power mel spectrogram, without a logarithm.

    Frame `t` is centred on sample `t * hop`; what lies outside the audio counts as zeros.

    Args:
        sample_rate: Hz.
        n_fft: samples of a frame, under a periodic Hann window.
        hop: samples from frame to frame.
        n_mels: bands.
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self, sample_rate: int = 16000, n_fft: int = 400, hop: int = 160, n_mels: int = 40) -> None:
        super().__init__()
        for name, value in (("sample_rate", sample_rate), ("n_fft", n_fft), ("hop", hop), ("n_mels", n_mels)):
            if not is_count(value, least=1):
                raise ConfigError(f"{name}={value!r}: give a whole number, 1 or more.")
        self.n_fft, self.hop = n_fft, hop
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        filters = torch.from_numpy(mel_filters(sample_rate, n_fft, n_mels)).T.contiguous()
        self.register_buffer("filters", filters, persistent=False)

    def frames(self, samples: int) -> int:
        """Frames that so many samples give."""
        return 1 + samples // self.hop

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the spectrogram of samples (n,): (1 + n // hop, n_mels)."""
        count = self.frames(len(samples))
        padded = torch.nn.functional.pad(samples, (self.n_fft // 2, self.n_fft - self.n_fft // 2))
        framed = padded.unfold(0, self.n_fft, self.hop)[:count]  # (T, n_fft), a view
        mels = [self._mel(framed[first : first + FRAMES_AT_ONCE]) for first in range(0, count, FRAMES_AT_ONCE)]
        return torch.cat(mels)

    def _mel(self, framed: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft(framed * self.window)  # (T, n_fft // 2 + 1)
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.matmul(power, self.filters)
