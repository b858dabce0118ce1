"""Mean and deviation over time, weighted by how much each channel attends to each frame.

Source: Desplanques et al. 2020, "ECAPA-TDNN", arXiv:2005.07143, section 2.2; after Okabe et al. 2018, arXiv:1803.10963.
"""

from __future__ import annotations

import torch


class AttentiveStatistics(torch.nn.Module):
    """Pools frames (B, channels, T) to (B, 2 * channels).

    Args:
        channels: of the frames.
        attention: channels in between.
        context: let attention see mean and deviation of the utterance beside each frame.
        norm: rectify and normalise in between, before the tanh.
        floor: least variance.
        unbiased: whether the deviation that attention sees is the unbiased one, to whose variance the floor is added.
    """

    def __init__(
        self,
        channels: int,
        attention: int = 128,
        *,
        context: bool = True,
        norm: bool = True,
        floor: float = 1e-10,
        unbiased: bool = False,
    ) -> None:
        super().__init__()
        self.context, self.floor, self.unbiased = context, floor, unbiased
        self.first = torch.nn.Conv1d(channels * (3 if context else 1), attention, 1)
        self.norm = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.BatchNorm1d(attention)) if norm else None
        self.second = torch.nn.Conv1d(attention, channels, 1)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return mean and deviation of each channel."""
        hidden = self.first(self._with_context(frames) if self.context else frames)
        if self.norm is not None:
            hidden = self.norm(hidden)
        weights = torch.softmax(self.second(torch.tanh(hidden)), dim=-1)
        return torch.cat(self._statistics(frames, weights), dim=1).squeeze(-1)

    def _with_context(self, frames: torch.Tensor) -> torch.Tensor:
        if self.unbiased:
            variance, mean = torch.var_mean(frames, dim=-1, keepdim=True)
            deviation = (variance + self.floor).sqrt()
        else:
            mean, deviation = self._statistics(frames, frames.new_tensor(1 / frames.shape[-1]))
        return torch.cat([frames, mean.expand_as(frames), deviation.expand_as(frames)], dim=1)

    def _statistics(self, frames: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation, each (B, channels, 1)."""
        mean = (weights * frames).sum(-1, keepdim=True)
        variance = (weights * (frames - mean).square()).sum(-1, keepdim=True)
        return mean, variance.clamp_min(self.floor).sqrt()
