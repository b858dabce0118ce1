"""Mean and deviation of frames over time, for several weightings of one stretch of audio.

Source: D. Snyder, D. Garcia-Romero, D. Povey and S. Khudanpur, Deep neural network embeddings for text-independent
speaker verification, Interspeech 2017; with weights as pyannote.audio has them.
"""

from __future__ import annotations

import torch

GUARD = 1e-8
"""Added to sums of weights, so that weights of 0 give numbers."""
RUNS_AT_ONCE = 256
"""Runs of which sums are held at a time (10 MB at 2560 channels)."""


def statistics(frames: torch.Tensor) -> torch.Tensor:
    """Return mean and deviation (by one frame less; 0 of a single one) of frames (B, T, C): (B, 2 C)."""
    deviations = frames.std(dim=1) if frames.shape[1] > 1 else torch.zeros_like(frames[:, 0])
    return torch.cat([frames.mean(dim=1), deviations], dim=1)


def weighted_statistics(frames: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return weighted mean and deviation of frames (B, T, C) for weights (B, S, F): (B, S, 2 C).

    Where F isn't T, each frame gets the weight at its place. The deviation is that of reliability weights; weights that
    are all 0 give statistics of 0.
    """
    if weights.shape[2] != frames.shape[1]:
        weights = torch.nn.functional.interpolate(weights, size=frames.shape[1], mode="nearest")
    total = weights.sum(dim=2, keepdim=True) + GUARD  # (B, S, 1)
    means = torch.bmm(weights, frames) / total
    free = total - weights.square().sum(dim=2, keepdim=True) / total + GUARD
    speakers = range(weights.shape[1])
    squares = [torch.bmm(weights[:, s : s + 1], (frames - means[:, s : s + 1]).square()) for s in speakers]
    variances = torch.cat(squares, dim=1) / free
    spreads = variances > 0  # a root has no slope at 0, which training would take for NaN
    return torch.cat([means, torch.where(spreads, variances, 1).sqrt() * spreads], dim=2)


class PrefixSums:
    """Sums of frames up to each frame, from which statistics of any runs of frames take no time.

    Args:
        frames: (T, C). Sums are held in float64, since the squares of many frames are subtracted from one another.
    """

    def __init__(self, frames: torch.Tensor) -> None:
        exact = frames.double()
        start = exact.new_zeros((1, frames.shape[1]))
        self.sums = torch.cat([start, exact.cumsum(dim=0)])  # (T + 1, C)
        self.squares = torch.cat([start, exact.square_().cumsum(dim=0)])

    def statistics(self, runs: torch.Tensor, rows: torch.Tensor, count: int) -> torch.Tensor:
        """Return mean and deviation over runs of frames, as `weighted_statistics` with weights of 0 and 1.

        Args:
            runs: first frame and the one behind the last of each run, (R, 2).
            rows: the row that each run belongs to, (R,).
            count: number of rows.

        Returns:
            float32, (count, 2 C).
        """
        weight = self.sums.new_zeros(count).index_add_(0, rows, (runs[:, 1] - runs[:, 0]).double())[:, None]
        sums = self._added(self.sums, runs, rows, count)
        squares = self._added(self.squares, runs, rows, count)
        means = sums / weight.clamp_min(1)
        spread = (squares - means.square() * weight).clamp_min(0)
        deviations = (spread / (weight - 1).clamp_min(1)).sqrt()
        return torch.cat([means, deviations], dim=1).float()

    @staticmethod
    def _added(prefix: torch.Tensor, runs: torch.Tensor, rows: torch.Tensor, count: int) -> torch.Tensor:
        found = prefix.new_zeros((count, prefix.shape[1]))
        for some in range(0, len(runs), RUNS_AT_ONCE):
            chunk = slice(some, some + RUNS_AT_ONCE)
            found.index_add_(0, rows[chunk], prefix[runs[chunk, 1]] - prefix[runs[chunk, 0]])
        return found
