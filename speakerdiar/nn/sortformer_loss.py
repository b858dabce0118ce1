"""What Sortformer is trained on: the speakers in order of arrival, and in whichever order fits best.

Source: Park et al. 2024, arXiv:2409.06656, section 3. B sessions, L frames, S channels of the network.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from speakerdiar.errors import ConfigError, InputError
from speakerdiar.matching import best_pairs

TRIED = 4
"""Most channels whose permutations are all tried; of more, the Hungarian method finds the best."""


class SortformerLosses(NamedTuple):
    """What a batch lost, each a tensor of no axes.

    Attributes:
        total: what is minimised, the weighted mean of the others.
        ats: against the speakers in order of arrival.
        pil: against them in the order that fits best.
    """

    total: torch.Tensor
    ats: torch.Tensor
    pil: torch.Tensor


@dataclass(frozen=True)
class SortformerObjective:
    """Weighted mean of two binary cross-entropies: (ats ATS + pil PIL) / (ats + pil).

    Attributes:
        ats: weight of the arrival-time-sorted loss, which gives speakers their channels.
        pil: weight of the permutation-invariant loss.

    Raises:
        ConfigError: a weight below 0, or none above it.
    """

    ats: float = 0.5
    pil: float = 0.5

    def __post_init__(self) -> None:
        if not (self.ats >= 0 and self.pil >= 0 and self.ats + self.pil > 0):
            raise ConfigError(f"weights ats={self.ats!r}, pil={self.pil!r}: give 0 or more, and one of them above 0.")

    def __call__(
        self, logits: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> SortformerLosses:
        """Compare what the network said with who talks.

        Args:
            logits: (B, L, S), before the sigmoid.
            labels: who talks, 0 or 1, (B, L, S); columns in any order, those of nobody 0.
            lengths: frames of each session, (B,); those behind don't count. None: all of them.

        Raises:
            InputError: labels of another shape.
        """
        if logits.shape != labels.shape:
            raise InputError(f"labels {tuple(labels.shape)} for {tuple(logits.shape)}: give one for each chance.")
        with torch.autocast(logits.device.type, enabled=False):  # sums over a session want all digits
            logits, labels = logits.float(), labels.float()
            mask = frame_mask(labels, lengths)
            ats = cross_entropy(logits, by_arrival(labels, mask), mask)
            pil = cross_entropy(logits, best_order(logits, labels, mask), mask)
        return SortformerLosses((self.ats * ats + self.pil * pil) / (self.ats + self.pil), ats, pil)


def frame_mask(labels: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
    """Return 1 for frames that are there, 0 for those behind the end: (B, L, 1), of the type of labels (B, L, S)."""
    if lengths is None:
        return torch.ones_like(labels[:, :, :1])
    there = torch.arange(labels.shape[1], device=labels.device) < lengths[:, None]
    return there[:, :, None].to(labels.dtype)


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean binary cross-entropy of (B, L, S) over the frames of a mask (B, L, 1) and all channels."""
    each = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return (each * mask).sum() / (mask.sum() * labels.shape[2]).clamp(min=1)


def by_arrival(labels: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return labels (B, L, S) with columns in the order in which they are first active; the silent ones last.

    Columns that begin in one frame stay as they stand.
    """
    heard = (labels * mask) > 0
    frames = heard.shape[1]
    waiting = frames - torch.arange(frames, device=labels.device)[:, None]  # largest in the first frame
    first = frames - (heard * waiting).amax(dim=1)  # (B, S); `frames` where nobody talks
    return _ordered(labels, first.argsort(dim=1, stable=True))


def best_order(logits: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return labels (B, L, S) with columns in the order in which the cross-entropy is least."""
    with torch.no_grad():
        gains = shared_logits(logits, labels, mask)
        find = every_order if labels.shape[2] <= TRIED else hungarian_order
        return _ordered(labels, find(gains))


def shared_logits(logits: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return by how much channel i falls in cost when column j is put on it: (B, S, S).

    The cross-entropy of logit z and label y is log(1 + exp z) - z y; only z y depends on the order.
    """
    return torch.einsum("bli,blj->bij", logits * mask, labels)


def every_order(gains: torch.Tensor) -> torch.Tensor:
    """Return the column for each channel, (B, S), that has the greatest total gain (B, S, S), by trying all S!."""
    size = gains.shape[1]
    orders = torch.tensor(list(itertools.permutations(range(size))), device=gains.device)  # (S!, S)
    totals = gains[:, torch.arange(size, device=gains.device), orders].sum(dim=2)  # (B, S!)
    return orders[totals.argmax(dim=1)]


def hungarian_order(gains: torch.Tensor) -> torch.Tensor:
    """Return what `every_order` does, by the Hungarian method."""
    # A constant more for every pair changes no order, and each channel gets a column.
    above = (gains - gains.amin(dim=(1, 2), keepdim=True) + 1).double().cpu().numpy()
    orders = [[column for _, column in sorted(best_pairs(gain))] for gain in above]
    return torch.tensor(orders, device=gains.device)


class SameSpeaker(nn.Module):
    """Says of pairs of encoded frames whether one speaker says both, by the cosine of projections, in training alone.

    From random weights a network that is told only who talks when takes long to find out that voices matter: until then
    the best that it can say is the same for every channel. This tells it at once, as deep clustering does (Hershey et
    al. 2016, arXiv:1508.04306).

    Args:
        d_model: numbers of an encoded frame.
        width: numbers of its projection.
    """

    def __init__(self, d_model: int, width: int = 64) -> None:
        super().__init__()
        self.projection = nn.Linear(d_model, width)
        self.scale = nn.Parameter(torch.tensor(5.0))
        self.bias = nn.Parameter(torch.tensor(-2.0))

    def forward(self, encoded: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Return the mean binary cross-entropy of all pairs of frames in which one speaker talks.

        Args:
            encoded: (B, L, D).
            labels: who talks, 0 or 1, (B, L, S).
            lengths: frames of each session, (B,); None: all of them.
        """
        with torch.autocast(encoded.device.type, enabled=False):
            vectors = functional.normalize(self.projection(encoded.float()), dim=2)
            labels = labels.float()
            alone = (labels.sum(dim=2) == 1) * frame_mask(labels, lengths)[:, :, 0]  # (B, L)
            logits = self.scale * (vectors @ vectors.transpose(1, 2)) + self.bias
            each = functional.binary_cross_entropy_with_logits(
                logits, labels @ labels.transpose(1, 2), weight=alone[:, :, None] * alone[:, None, :], reduction="sum"
            )
            return each / alone.sum(dim=1).square().sum().clamp(min=1)


def _ordered(labels: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Return columns of (B, L, S) in an order (B, S)."""
    return labels.gather(2, order[:, None, :].expand_as(labels))
