"""Losses that teach a network to tell voices apart: from their numbers, and from another network's vectors."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from speakerdiar.errors import ConfigError


class AamSoftmax(nn.Module):
    """Additive angular margin softmax: a vector's angle to its own class counts as `margin` greater than it is.

    Source: Deng et al. 2019, "ArcFace", arXiv:1801.07698, equation 3. Angles that the margin would push past pi get a
    penalty that goes on straight, so that the loss rises with the angle everywhere.

    Args:
        dimension: of vectors.
        classes: to tell apart.
        margin: radians.
        scale: what cosines are multiplied by.

    Raises:
        ConfigError: fewer than two classes, or a margin or scale that can't be.
    """

    def __init__(self, dimension: int, classes: int, margin: float = 0.2, scale: float = 30.0) -> None:
        super().__init__()
        if classes < 2:
            raise ConfigError(f"classes={classes}: give 2 or more to tell apart.")
        if not 0 <= margin < math.pi / 2:
            raise ConfigError(f"margin={margin!r}: give radians from 0 to below pi / 2.")
        if not scale > 0:
            raise ConfigError(f"scale={scale!r}: give a factor above 0.")
        self.margin, self.scale = margin, scale
        self.weight = nn.Parameter(torch.randn(classes, dimension) / dimension**0.5)

    def forward(self, vectors: torch.Tensor, classes: torch.Tensor, share: float = 1.0) -> torch.Tensor:
        """Return the mean loss.

        Args:
            vectors: of any length, (B, dimension).
            classes: of each vector, int64, (B,).
            share: of the margin, from 0 to 1: training begins better without it.
        """
        margin = self.margin * share
        cosines = functional.normalize(vectors, dim=1) @ functional.normalize(self.weight, dim=1).T  # (B, classes)
        own = cosines.gather(1, classes[:, None])
        sines = (1 - own.square()).clamp_min(1e-12).sqrt()
        shifted = own * math.cos(margin) - sines * math.sin(margin)
        harder = torch.where(own > -math.cos(margin), shifted, own - margin * math.sin(margin))
        return functional.cross_entropy(self.scale * cosines.scatter(1, classes[:, None], harder), classes)


def direction_loss(vectors: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    """Return 1 less the mean cosine of vectors (B, D) and those of a teacher (B, D)."""
    return 1 - functional.cosine_similarity(vectors, taught, dim=1).mean()


def relation_loss(vectors: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    """Return the mean squared difference of the cosines among vectors (B, D) and of those among a teacher's (B, E).

    Source: Park et al. 2019, "Relational knowledge distillation", arXiv:1904.05068; here of cosines.
    """
    ours, theirs = (functional.normalize(found, dim=1) for found in (vectors, taught))
    between = ~torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    return (ours @ ours.T - theirs @ theirs.T)[between].square().mean()
