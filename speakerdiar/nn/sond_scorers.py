"""How SOND compares frames with speakers: each frame by itself, and frames in the light of all others.

A context-independent score is the dot product of frame and speaker, or what a `ConvEncoder` makes of the two. A
context-dependent one is a transformer's, over the frames of one recording with one speaker's profile beside each.

Source: Du et al. 2022, arXiv:2211.10243, section 2.3. Parameters are named as FunASR's checkpoints name them. P pairs
of a recording and a speaker, T frames, D numbers of frame and speaker together.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

EPSILON = 1e-12
"""Of all layer norms."""


class SelfAttention(nn.Module):
    """Multi-head attention of all frames to all frames, without positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.linear_q_k_v = nn.Linear(width, 3 * width)
        self.linear_out = nn.Linear(width, width)

    def forward(self, rows: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Map (P, T, D) to (P, T, D); `valid` (P, T) is None where all frames are there."""
        query, key, value = self.linear_q_k_v(rows).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mask = None if valid is None else valid[:, None, None, :]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        out: torch.Tensor = self.linear_out(mixed.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """Two linear layers with a rectifier between them."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.w_1 = nn.Linear(width, inner)
        self.w_2 = nn.Linear(inner, width)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map (P, T, D) to (P, T, D)."""
        out: torch.Tensor = self.w_2(self.w_1(rows).relu())
        return out


class EncoderLayer(nn.Module):
    """Attention and feed-forward part, each behind a norm and added to its input."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, EPSILON)
        self.self_attn = SelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, EPSILON)
        self.feed_forward = FeedForward(width, inner)

    def forward(self, rows: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Map (P, T, D) to (P, T, D)."""
        rows = rows + self.self_attn(self.norm1(rows), valid)
        out: torch.Tensor = rows + self.feed_forward(self.norm2(rows))
        return out


class ContextScorer(nn.Module):
    """The context-dependent scorer, with random weights.

    Args:
        width: D.
        layers: of the transformer.
        heads: of its attention; divides `width`.
        inner: numbers inside of its feed-forward parts.
    """

    def __init__(self, width: int, layers: int, heads: int, inner: int) -> None:
        super().__init__()
        self.scale = width**0.5
        self.encoders = nn.ModuleList(EncoderLayer(width, heads, inner) for _ in range(layers))
        self.after_norm = nn.LayerNorm(width, EPSILON)
        self.output_linear = nn.Linear(width, 1)

    def forward(self, rows: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
        """Score frames beside profiles (P, T, D): (P, T, 1).

        Args:
            rows: frames; whatever lies where `valid` is false changes nothing elsewhere.
            valid: (P, T) bool, or None where all frames are there.
        """
        rows = rows * self.scale
        for layer in self.encoders:
            rows = layer(rows, valid)
        out: torch.Tensor = self.output_linear(self.after_norm(rows))
        return out


def pairs(present: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the pairs of recording and speaker that need a score, for present (B, S).

    The absent speakers of a recording have one profile, zero, and so one score: only the first of them is computed.

    Returns:
        Recording and speaker of each pair, both (P,), and the pair that each speaker's score is that of, (B, S).
    """
    absent = ~present
    first = absent & (absent.cumsum(1) == 1)
    needed = present | first
    recordings, speakers = needed.nonzero(as_tuple=True)
    own = needed.flatten().cumsum(0).view_as(needed) - 1
    shared = (own * first).sum(1, keepdim=True)
    return recordings, speakers, torch.where(present, own, shared)
