"""Losses of local segmentation: which set of speakers talks, up to the order of speakers; and deep clustering.

Sources: Plaquet and Bredin, "Powerset multi-class cross entropy loss for neural speaker diarization", Interspeech 2023;
permutation-free training: Fujita et al. 2019, arXiv:1909.05952; deep clustering: Hershey et al. 2016, arXiv:1508.04306.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from speakerdiar.postprocessing.powerset import Powerset


class PowersetLoss(nn.Module):
    """Cross entropy of the classes of a powerset, for the order of speakers that makes it least.

    Args:
        powerset: what classes stand for.
    """

    orders: torch.Tensor
    bits: torch.Tensor

    def __init__(self, powerset: Powerset) -> None:
        super().__init__()
        self.powerset = powerset
        members = powerset.members
        number = {tuple(row): place for place, row in enumerate(members.tolist())}
        orders = [
            [number[tuple(row)] for row in members[:, list(order)].tolist()]
            for order in permutations(range(powerset.speakers))
        ]
        # orders[p][c]: the class that class c becomes under the order p.
        self.register_buffer("orders", torch.tensor(orders), persistent=False)
        lookup = np.full(1 << powerset.speakers, -1, dtype=np.int64)
        lookup[powerset.bits] = np.arange(powerset.classes)
        self.register_buffer("bits", torch.from_numpy(lookup), persistent=False)

    def classes(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the class of each frame of labels (B, T, speakers): (B, T); -1 where no class has so many."""
        numbers = (labels.long() << torch.arange(labels.shape[-1], device=labels.device)).sum(dim=-1)
        return self.bits[numbers]

    def forward(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of scores (B, T, classes), log-probabilities, for labels (B, T, speakers) of 0 and 1.

        Frames in which more speakers talk at once than any class has don't count.
        """
        classes = self.classes(labels)
        known = classes >= 0
        wanted = self.orders[:, classes.clamp(min=0)]  # (P, B, T)
        found = scores[None].expand(len(wanted), -1, -1, -1).gather(3, wanted[..., None])[..., 0]
        errors = -(found * known).sum(dim=2) / known.sum(dim=1).clamp(min=1)  # (P, B)
        return errors.min(dim=0).values.mean()

    def distilled(self, scores: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """Return the mean cross entropy between probabilities of a teacher and scores, both (B, T, classes) of logs."""
        probabilities = teacher.exp()[:, :, self.orders].permute(2, 0, 1, 3)  # (P, B, T, classes)
        errors = -(probabilities * scores[None]).sum(dim=3).mean(dim=2)  # (P, B)
        return errors.min(dim=0).values.mean()


def deep_clustering(vectors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return how far affinities of vectors are from those of labels, in frames with speech.

    The squared difference of V V^T and Y Y^T, a mean over pairs of frames (Hershey et al. 2016, eq. 3).

    Args:
        vectors: one a frame, of length 1, (B, T, D).
        labels: who talks, (B, T, speakers), 0 and 1.
    """
    labels = labels.float()
    spoken = labels.any(dim=2, keepdim=True)
    own = functional.normalize(labels, dim=2)
    v, y = vectors * spoken, own * spoken
    squares = [(a.transpose(1, 2) @ b).square().sum(dim=(1, 2)) for a, b in ((v, v), (v, y), (y, y))]
    pairs = spoken.sum(dim=(1, 2)).clamp(min=1).square()
    return ((squares[0] - 2 * squares[1] + squares[2]) / pairs).mean()
