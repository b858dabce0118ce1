"""Filter-bank features as Kaldi computes them, in batches, in memory that a single block of frames bounds.

Most speaker embedders were trained on them. Unlike other front ends, each frame by itself loses its mean and is
pre-emphasized, and the triangles are even in mel, not in Hz.

Source: Kaldi, `compute-fbank-feats`; the scale is that of the HTK book, section 5.6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError

FRAMES_AT_ONCE = 1024
"""Frames, of all rows together, that are transformed at a time: what fits a cache."""
FLOOR = float(np.finfo(np.float32).eps)
"""Least power that has a logarithm: digital silence gives log(FLOOR) = -15.94."""
WINDOWS = ("povey", "hamming", "hanning", "rectangular")


@dataclass(frozen=True, kw_only=True)
class FbankOptions:
    """What Kaldi lets one choose, with Kaldi's defaults but for 80 bands.

    Attributes:
        sample_rate: Hz.
        mel_bins: bands.
        frame_length: milliseconds of a frame.
        frame_shift: milliseconds from frame to frame.
        window: "povey" (a Hann window to the power of 0.85), "hamming", "hanning" or "rectangular".
        low: Hz where the lowest band begins.
        high: Hz where the highest band ends; 0 or less is added to half the rate.
        snip_edges: take only frames that lie inside the audio; otherwise one for each shift, the audio mirrored at
            its ends.
        preemphasis: share of the sample before that each sample of a frame loses.
        remove_dc: subtract the mean of each frame.
        round_to_power_of_two: pad frames with zeros to a power of two before the transform.
        energy: put the logarithm of each frame's energy (without window and pre-emphasis) in front of the bands.
        power: add up squares of magnitudes; otherwise magnitudes.
        log: take logarithms of the bands.
        scale: what samples in [-1, 1] are multiplied by.
    """

    sample_rate: int = 16000
    mel_bins: int = 80
    frame_length: float = 25.0
    frame_shift: float = 10.0
    window: str = "povey"
    low: float = 20.0
    high: float = 0.0
    snip_edges: bool = True
    preemphasis: float = 0.97
    remove_dc: bool = True
    round_to_power_of_two: bool = True
    energy: bool = False
    power: bool = True
    log: bool = True
    scale: float = 32768.0

    def __post_init__(self) -> None:
        for name in ("sample_rate", "mel_bins"):
            if not is_count(getattr(self, name), least=1):
                raise ConfigError(f"{name}={getattr(self, name)!r}: give a whole number, 1 or more.")
        if self.window not in WINDOWS:
            raise ConfigError(f"window={self.window!r}: give one of {', '.join(WINDOWS)}.")
        if not 0 <= self.preemphasis <= 1:
            raise ConfigError(f"preemphasis={self.preemphasis!r}: give a share between 0 and 1.")
        if not 0 < self.scale < math.inf:
            raise ConfigError(f"scale={self.scale!r}: give a number above 0.")
        if self.shift < 1 or self.length < 2:
            raise ConfigError(
                f"frame_length={self.frame_length!r}, frame_shift={self.frame_shift!r}: give milliseconds that hold 2"
                f" samples or more, and 1 or more, at {self.sample_rate} Hz."
            )
        if self.points % 2:
            raise ConfigError(f"A transform of {self.points} points: give an even frame, or round to a power of two.")
        if not 0 <= self.low < self.top <= self.sample_rate / 2:
            raise ConfigError(f"low={self.low!r}, high={self.high!r}: give 0 <= low < high <= {self.sample_rate / 2}.")

    @property
    def length(self) -> int:
        """Samples of a frame."""
        return int(self.sample_rate * 0.001 * self.frame_length)

    @property
    def shift(self) -> int:
        """Samples from frame to frame."""
        return int(self.sample_rate * 0.001 * self.frame_shift)

    @property
    def points(self) -> int:
        """Points of the transform."""
        return 1 << (self.length - 1).bit_length() if self.round_to_power_of_two else self.length

    @property
    def top(self) -> float:
        """Hz where the highest band ends."""
        return self.high if self.high > 0 else self.sample_rate / 2 + self.high


def kaldi_window(name: str, length: int) -> np.ndarray:
    """Return one of `WINDOWS`, symmetric: float32, (length,)."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - 1))
    shapes = {"povey": hann**0.85, "hanning": hann, "hamming": 0.08 + 0.92 * hann, "rectangular": np.ones(length)}
    return np.asarray(shapes[name], dtype=np.float32)


def kaldi_filters(options: FbankOptions) -> np.ndarray:
    """Return triangles of height 1, even in mel, without the bin at half the rate: float32, (mel_bins, points // 2)."""

    def mel(hz: np.ndarray) -> np.ndarray:
        return np.asarray(1127 * np.log1p(hz / 700))

    first, last = mel(np.array([options.low, options.top]))
    edges = np.linspace(first, last, options.mel_bins + 2)
    low, peak, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = mel(np.arange(options.points // 2) * options.sample_rate / options.points)
    triangles = np.minimum((bins - low) / (peak - low), (high - bins) / (high - peak))
    return np.asarray(np.maximum(triangles, 0), dtype=np.float32)


class KaldiFbank(torch.nn.Module):
    """Kaldi's filter bank, without dither.

    Args:
        options: Kaldi's choices.
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self, options: FbankOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or FbankOptions()
        window = torch.from_numpy(kaldi_window(options.window, options.length))
        self.register_buffer("window", window, persistent=False)
        filters = torch.from_numpy(kaldi_filters(options)).T.contiguous()
        self.register_buffer("filters", filters, persistent=False)

    def frames(self, samples: int) -> int:
        """Frames that so many samples give; 0 for those that hold no frame."""
        if not self.options.snip_edges:
            return (samples + self.options.shift // 2) // self.options.shift
        return max(0, 1 + (samples - self.options.length) // self.options.shift)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the features of samples (..., n) in [-1, 1]: (..., frames, mel_bins), one more with the energy."""
        count = self.frames(samples.shape[-1])
        width = self.options.mel_bins + self.options.energy
        if count == 0 or samples.numel() == 0:
            return samples.new_zeros((*samples.shape[:-1], count, width))
        rows = samples.reshape(-1, samples.shape[-1])
        rows = rows if self.options.snip_edges else self._mirrored(rows, count)
        framed = rows.unfold(1, self.options.length, self.options.shift)[:, :count]  # (B, T, length), a view
        block = max(1, FRAMES_AT_ONCE // len(rows))
        bands = [self._bands(framed[:, first : first + block]) for first in range(0, count, block)]
        return torch.cat(bands, dim=1).reshape(*samples.shape[:-1], count, width)

    def _mirrored(self, rows: torch.Tensor, count: int) -> torch.Tensor:
        """Return rows (B, n) with what their frames see beyond both ends: the samples again, backwards."""
        n, length, shift = rows.shape[1], self.options.length, self.options.shift
        first = shift // 2 - length // 2
        last = first + (count - 1) * shift + length

        def reflected(begin: int, end: int) -> torch.Tensor:
            places = torch.arange(begin, end, device=rows.device) % (2 * n)  # there and back again, and again
            return rows[:, torch.minimum(places, 2 * n - 1 - places)]

        return torch.cat([reflected(min(first, 0), 0), rows[:, max(first, 0) :], reflected(n, max(n, last))], dim=1)

    def _bands(self, framed: torch.Tensor) -> torch.Tensor:
        """Features of frames (B, T, length): (B, T, width)."""
        options = self.options
        frames = framed * options.scale
        if options.remove_dc:
            frames = frames - frames.mean(dim=-1, keepdim=True)
        energy = frames.square().sum(dim=-1, keepdim=True) if options.energy else None
        if options.preemphasis:
            before = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
            frames = frames - options.preemphasis * before
        spectrum = torch.fft.rfft(frames * self.window, n=options.points)[..., :-1]
        strengths = spectrum.real.square() + spectrum.imag.square()
        bands = torch.matmul(strengths if options.power else strengths.sqrt(), self.filters)
        if options.log:
            bands = bands.clamp_min(FLOOR).log()
        return bands if energy is None else torch.cat([energy.clamp_min(FLOOR).log(), bands], dim=-1)
