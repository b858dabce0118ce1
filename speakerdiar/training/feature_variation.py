"""Log-mel features varied while one learns from them: level, equalisation, and bands left out.

SpecAugment's masks (Park et al. 2019, arXiv:1904.08779), and gains that change smoothly over the bands, as microphones
and rooms do.
"""

from __future__ import annotations

import math

import torch

WIDEST_MASK = 8
"""Bands left out at most."""


def varied(features: torch.Tensor, level: float, tilt: float, wave: float, masked: float) -> torch.Tensor:
    """Return features (B, T, bands) with other levels and colours, each row with its own.

    Args:
        features: log-mel features.
        level: standard deviation of what is added to all bands.
        tilt: that of the difference between the highest and the lowest band.
        wave: that of the height of a wave over the bands.
        masked: chance that neighbouring bands of the batch are left out.
    """
    rows, bands = features.shape[0], features.shape[2]
    place = torch.linspace(0, 1, bands, device=features.device)

    def drawn(deviation: float) -> torch.Tensor:
        return torch.randn(rows, 1, 1, device=features.device) * deviation

    turns, phase = torch.rand(2, rows, 1, 1, device=features.device)
    waves = drawn(wave) * torch.cos(2 * math.pi * (2 * turns * place + phase))
    changed = features + drawn(level) + drawn(tilt) * (place - 0.5) + waves
    if masked and float(torch.rand(())) < masked:
        width = int(torch.randint(1, min(WIDEST_MASK, bands) + 1, ()))
        first = int(torch.randint(0, bands - width + 1, ()))
        changed[:, :, first : first + width] = changed.mean()
    return changed
