"""Log-mel features as SpeechBrain's speaker models take them: in decibels, less their mean over the utterance.

Frame `t` is centred on sample `t * 160`, under a Hamming window of 400 samples, with zeros beyond the ends; power
spectrum; triangles of height 1 on the HTK scale, whose left side is as wide as their right side; at most 80 dB below
the loudest value of the utterance. n samples give 1 + n // 160 frames.
"""

from __future__ import annotations

import torch

WINDOW, HOP = 400, 160
LEAST_POWER = 1e-10
RANGE_DB = 80.0


class CenteredLogMel(torch.nn.Module):
    """Features of utterances at 16 kHz.

    Args:
        n_mels: bands.
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self, n_mels: int = 80) -> None:
        super().__init__()
        self.register_buffer("window", torch.hamming_window(WINDOW), persistent=False)
        self.register_buffer("filters", one_sided_filters(n_mels), persistent=False)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the features of samples (B, n): (B, 1 + n // 160, n_mels)."""
        padded = torch.nn.functional.pad(samples, (WINDOW // 2, WINDOW // 2))
        spectrum = torch.fft.rfft(padded.unfold(1, WINDOW, HOP) * self.window)  # (B, T, 201)
        power = torch.matmul(spectrum.real.square() + spectrum.imag.square(), self.filters)
        decibels = 10 * power.clamp_min(LEAST_POWER).log10()
        heard = torch.maximum(decibels, decibels.amax(dim=(1, 2), keepdim=True) - RANGE_DB)
        return heard - heard.mean(dim=1, keepdim=True)


def one_sided_filters(n_mels: int) -> torch.Tensor:
    """Return triangles up to 8 kHz, each as wide to both sides as to the next lower peak: (201, n_mels)."""
    mel = torch.linspace(0, 2595 * torch.log10(torch.tensor(1 + 8000 / 700)).item(), n_mels + 2, dtype=torch.float64)
    edges = 700 * (10 ** (mel / 2595) - 1)
    width, peak = edges[1:-1] - edges[:-2], edges[1:-1]
    distance = (torch.linspace(0, 8000, WINDOW // 2 + 1, dtype=torch.float64)[:, None] - peak).abs() / width
    return (1 - distance).clamp_min(0).float()
