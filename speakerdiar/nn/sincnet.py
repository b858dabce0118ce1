"""SincNet: convolutions over samples, the first of them a bank of band-pass filters that know only their edges.

The filters stay as they are once training is over, so they are computed once and stand in an ordinary convolution.

Sources: Ravanelli and Bengio 2018, arXiv:1808.00158; with a cosine and a sine of each band, Pariente et al. 2020,
arXiv:1910.10400.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional

FILTERS, KERNEL = 80, 251
CHANNELS = 60
"""Numbers of an encoded frame."""
MIN_LOW_HZ, MIN_BAND_HZ = 50.0, 50.0
_KERNEL, _POOL = 5, 3


class SincNet(nn.Module):
    """Encodes windows of samples; every window is brought to mean 0 and deviation 1 first.

    Args:
        stride: samples from one position of the filters to the next.
    """

    def __init__(self, stride: int = 10) -> None:
        super().__init__()
        self.stride = stride
        self.wav_norm1d = nn.InstanceNorm1d(1, affine=True)
        sizes = (FILTERS, CHANNELS, CHANNELS)
        first = nn.Conv1d(1, FILTERS, KERNEL, stride=stride, bias=False)
        others = [nn.Conv1d(given, made, _KERNEL) for given, made in itertools.pairwise(sizes)]
        self.conv1d = nn.ModuleList([first, *others])
        self.norm1d = nn.ModuleList([nn.InstanceNorm1d(size, affine=True) for size in sizes])

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Encode windows (B, n) of samples, float32: (B, CHANNELS, frames)."""
        norm = self.wav_norm1d
        x = functional.instance_norm(
            samples.unsqueeze(1), weight=norm.weight.float(), bias=norm.bias.float(), eps=norm.eps
        ).to(norm.weight.dtype)  # (B, 1, n); half precisions would lose quiet voices before this
        for layer, (conv, normed) in enumerate(zip(self.conv1d, self.norm1d, strict=True)):
            x = conv(x)
            x = functional.max_pool1d(x.abs() if layer == 0 else x, _POOL)
            x = functional.leaky_relu(normed(x))
        return x

    @property
    def layers(self) -> list[tuple[int, int]]:
        """Kernel and stride of every convolution and pooling, in order."""
        pool = (_POOL, _POOL)
        return [(KERNEL, self.stride), pool, (_KERNEL, 1), pool, (_KERNEL, 1), pool]

    @property
    def frame_step(self) -> int:
        """Samples from one frame to the next."""
        return self.stride * _POOL**3

    @property
    def receptive(self) -> int:
        """Samples that a frame sees."""
        seen, step = 1, 1
        for kernel, stride in self.layers:
            seen, step = seen + (kernel - 1) * step, step * stride
        return seen

    def frames(self, samples: int) -> int:
        """Frames of so many samples; none where they are fewer than a frame sees."""
        count = samples
        for kernel, stride in self.layers:
            count = max(0, (count - kernel) // stride + 1)
        return count


def sinc_filters(
    low_hz: torch.Tensor, band_hz: torch.Tensor, window: torch.Tensor, angles: torch.Tensor, *, rate: int
) -> torch.Tensor:
    """Return the filters of learned bands: a cosine of each, then a sine of each, (2n, 1, KERNEL).

    Args:
        low_hz: (n, 1), what the lower edge lies above MIN_LOW_HZ; the sign doesn't count.
        band_hz: (n, 1), what the width is above MIN_BAND_HZ; the sign doesn't count.
        window: (KERNEL // 2,), the first half of the window on each filter.
        angles: (1, KERNEL // 2), 2 pi times the seconds of that half, below 0.
        rate: samples a second.
    """
    low = MIN_LOW_HZ + low_hz.abs()
    high = (low + MIN_BAND_HZ + band_hz.abs()).clamp(MIN_LOW_HZ, rate / 2)
    width = 2 * (high - low)  # (n, 1)
    low_angles, high_angles = low @ angles, high @ angles  # (n, KERNEL // 2)
    even = (high_angles.sin() - low_angles.sin()) / (angles / 2) * window
    odd = (low_angles.cos() - high_angles.cos()) / (angles / 2) * window
    cosines = torch.cat([even, width, even.flip(1)], dim=1)
    sines = torch.cat([odd, torch.zeros_like(width), -odd.flip(1)], dim=1)
    return (torch.cat([cosines, sines]) / width.repeat(2, 1)).unsqueeze(1)
