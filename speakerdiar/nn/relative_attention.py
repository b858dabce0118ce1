"""Self-attention that sees how far apart frames are (Dai et al. 2019, arXiv:1901.02860, section 3.3).

score(i, j) = (q_i + u) . k_j + (q_i + v) . W r(i - j), with learned u, v per head and sinusoids r. The second term is
handed to `scaled_dot_product_attention` as a bias. It is computed for a block of queries at a time: a block needs the
distances that it sees and no others, and memory grows with the length of a recording, not with its square.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

QUERIES_AT_ONCE = 208
"""Queries of a block. R queries to L keys take R + L - 1 distances: small blocks spare work, large ones calls."""
QUERIES_AT_ONCE_GPU = 2048


class RelativePositions(nn.Module):
    """Sinusoids of the distances L - 1 down to -(L - 1), base 10000."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.d_model = d_model

    def forward(self, length: int, like: torch.Tensor) -> torch.Tensor:
        """Return (2 length - 1, d_model), on the device and of the type of `like`."""
        distance = torch.arange(length - 1, -length, -1, dtype=torch.float32, device=like.device)
        exponent = torch.arange(0, self.d_model, 2, dtype=torch.float32, device=like.device)
        angle = distance[:, None] * torch.exp(exponent * -(math.log(10000.0) / self.d_model))
        table = torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)
        return table.to(like.dtype)


class RelativeAttention(nn.Module):
    """Multi-head attention with relative positions, of all frames to all frames."""

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.linear_q = nn.Linear(d_model, d_model)
        self.linear_k = nn.Linear(d_model, d_model)
        self.linear_v = nn.Linear(d_model, d_model)
        self.linear_out = nn.Linear(d_model, d_model)
        self.linear_pos = nn.Linear(d_model, d_model, bias=False)
        self.pos_bias_u = nn.Parameter(torch.zeros(heads, d_model // heads))
        self.pos_bias_v = nn.Parameter(torch.zeros(heads, d_model // heads))

    def project(self, positions: torch.Tensor) -> torch.Tensor:
        """Return W r of the sinusoids (2 L - 1, D), divided as scores are: (H, d, 2 L - 1).

        It depends on nothing that is heard.
        """
        projected = torch.matmul(self.linear_pos.weight, positions.T)  # laid out as the scores want it
        return projected.div_(math.sqrt(self.pos_bias_u.shape[1])).view(self.heads, -1, len(positions))

    def forward(
        self, x: torch.Tensor, distances: torch.Tensor, valid: torch.Tensor | None, right: int | None = None
    ) -> torch.Tensor:
        """Map (B, L, D) to (B, L, D); see `ConformerLayer.forward` for the arguments."""
        length = x.shape[1]
        query = self._per_head(self.linear_q(x))  # (B, L, H, d)
        key = self._per_head(self.linear_k(x)).transpose(1, 2)  # (B, H, L, d)
        value = self._per_head(self.linear_v(x)).transpose(1, 2)
        content = (query + self.pos_bias_u).transpose(1, 2)
        place = (query + self.pos_bias_v).transpose(1, 2).contiguous()
        parts = []
        for rows in _blocks(length, x.device):
            bias = relative_bias(place[:, :, rows], distances, rows.start)
            if valid is not None:
                bias = bias.masked_fill(~valid[:, None, None, :], -torch.inf)
            if right is not None:
                bias = bias.masked_fill(~within_reach(rows, length, right, x.device), -torch.inf)
            parts.append(functional.scaled_dot_product_attention(content[:, :, rows], key, value, attn_mask=bias))
        mixed = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
        out: torch.Tensor = self.linear_out(mixed.transpose(1, 2).flatten(2))
        return out

    def _per_head(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:-1], self.heads, -1)


def within_reach(queries: slice, length: int, right: int, device: torch.device) -> torch.Tensor:
    """Return which of L frames some queries see, that look at the whole past and `right` frames ahead: (R, L)."""
    query = torch.arange(queries.start, queries.stop, device=device)
    return torch.arange(length, device=device) <= query[:, None] + right


def _blocks(length: int, device: torch.device) -> list[slice]:
    """Cut the queries into blocks."""
    if torch.compiler.is_compiling():
        return [slice(0, length)]  # a number of blocks would tie the compiled program to one length
    at_once = QUERIES_AT_ONCE if device.type == "cpu" else QUERIES_AT_ONCE_GPU
    return [slice(first, min(first + at_once, length)) for first in range(0, length, at_once)]


def relative_bias(place: torch.Tensor, distances: torch.Tensor, first: int) -> torch.Tensor:
    """Return what positions add to the scores of some queries: (B, H, R, L).

    Args:
        place: queries first .. first + R - 1 with their bias v, (B, H, R, d).
        distances: projected sinusoids of L - 1 .. -(L - 1), divided by sqrt(d), (H, d, 2 L - 1).
        first: index of the first query.
    """
    rows, length = place.shape[2], (distances.shape[2] + 1) // 2
    # Query i meets key j at column L - 1 - i + j: rows first .. first + R - 1 need R + L - 1 columns of it.
    start = length - first - rows
    needed = distances[:, :, start : start + rows + length - 1]
    scores = torch.matmul(place, needed)  # (B, H, R, R + L - 1)
    if rows == 1:
        return scores
    # Row r begins at column R - 1 - r. Laid end to end, rows that are a column shorter begin there: a view, no copy.
    shorter = rows + length - 2
    shifted = scores.flatten(2)[:, :, rows - 1 : rows - 1 + rows * shorter]
    return shifted.view(*shifted.shape[:2], rows, shorter)[:, :, :, :length]
