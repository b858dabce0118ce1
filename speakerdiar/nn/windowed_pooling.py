"""Mean and deviation of what lies around each frame, and of all frames.

Source: FunASR's statistic pooling, of Du et al. 2022, arXiv:2211.10243, section 2.2. B recordings, C channels, T frames
of F bands.
"""

from __future__ import annotations

import torch
from torch.nn import functional

LEAST_VARIANCE = 1e-12
"""Smaller variances are taken for this one."""


def windowed_statistics(images: torch.Tensor, window: int) -> torch.Tensor:
    """Return mean and deviation over all bands of the window around each frame: (B, C, T, F) to (B, T, 2 C).

    A window begins `window // 2` frames in front of its frame. The first and last frames are repeated where it passes
    the ends. Sums are float64: means are subtracted from squares.
    """
    exact = images.double()
    return _joined(_around(exact.mean(3), window), _around(exact.square().mean(3), window), images.dtype)


def whole_statistics(images: torch.Tensor) -> torch.Tensor:
    """Return mean and deviation over all frames and bands: (B, C, T, F) to (B, 2 C)."""
    exact = images.double().flatten(2)
    return _joined(exact.mean(2), exact.square().mean(2), images.dtype)


def _around(values: torch.Tensor, window: int) -> torch.Tensor:
    """Mean of the window around each frame: (B, C, T) to (B, T, C)."""
    padded = functional.pad(values, (window // 2, window - 1 - window // 2), mode="replicate")
    return functional.avg_pool1d(padded, window, stride=1).transpose(1, 2)


def _joined(means: torch.Tensor, squares: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    variances = (squares - means.square()).clamp_min(LEAST_VARIANCE)
    return torch.cat([means, variances.sqrt()], dim=-1).to(dtype)
