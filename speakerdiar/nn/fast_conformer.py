"""FastConformer: eight mel frames to one, then layers of attention and convolution.

Sources: Rekesh et al. 2023, arXiv:2305.05084 (the eightfold depthwise reduction); Gulati et al. 2020, arXiv:2005.08100
(the layer); Dai et al. 2019, arXiv:1901.02860, section 3.3 (relative positions). Parameters are named as NVIDIA's
checkpoints name them. B recordings, T mel frames, L = ceil(T / 8) frames of D numbers, H heads.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from speakerdiar.nn.relative_attention import RelativeAttention, RelativePositions

REDUCTION = 8
"""Mel frames to a frame."""
FRAMES_AT_ONCE = 48
"""Frames whose reduction is computed at a time: what the first convolution gives is large (256 KB a frame)."""
KEPT_FRAMES = 1024
"""Longest input whose projected positions are kept for the next (42 MB for 609 frames of the published network)."""


class StridingReduction(nn.Module):
    """Three convolutions of stride 2 over time and bands, the last two of them depthwise, and a projection.

    Zeros surround what is handed in, whatever it was cut from. A frame sees its own 8 mel frames and the 7 in front.

    Args:
        n_mels: bands.
        channels: channels of the convolutions.
        d_model: numbers of a frame.
    """

    def __init__(self, n_mels: int, channels: int, d_model: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, channels, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, stride=2, padding=1, groups=channels),
            nn.Conv2d(channels, channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, stride=2, padding=1, groups=channels),
            nn.Conv2d(channels, channels, 1),
            nn.ReLU(inplace=True),
        )
        self.out = nn.Linear(channels * math.ceil(n_mels / REDUCTION), d_model)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        """Reduce mels (B, T, n_mels) to (B, ceil(T / 8), d_model). All rows are of full length."""
        frames = -(-mels.shape[1] // REDUCTION)
        if not frames:
            return mels.new_zeros(len(mels), 0, self.out.out_features)
        parts = [self._reduced(mels, at, min(at + FRAMES_AT_ONCE, frames)) for at in range(0, frames, FRAMES_AT_ONCE)]
        return torch.cat(parts, dim=1)

    def _reduced(self, mels: torch.Tensor, first: int, last: int) -> torch.Tensor:
        # One frame more in front: at a cut, the zeros around a piece spoil its first frame, and only that.
        spoilt = int(first > 0)
        piece = mels[:, (first - spoilt) * REDUCTION : last * REDUCTION]
        maps = self.conv(piece[:, None].contiguous(memory_format=torch.channels_last))  # (B, C, L, n_mels / 8)
        out: torch.Tensor = self.out(maps[:, :, spoilt:].transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """Two linear layers with a swish between them."""

    def __init__(self, d_model: int, d_inner: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(d_model, d_inner)
        self.linear2 = nn.Linear(d_inner, d_model)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, L, D) to (B, L, D)."""
        out: torch.Tensor = self.linear2(functional.silu(self.linear1(x), inplace=not torch.is_grad_enabled()))
        return out


class ConvolutionModule(nn.Module):
    """Gated pointwise, depthwise and pointwise convolution; in eval mode the batch norm is folded into the second."""

    def __init__(self, d_model: int, kernel: int) -> None:
        super().__init__()
        self.pointwise_conv1 = nn.Conv1d(d_model, 2 * d_model, 1)
        self.depthwise_conv = nn.Conv1d(d_model, d_model, kernel, padding=(kernel - 1) // 2, groups=d_model)
        self.batch_norm = nn.BatchNorm1d(d_model)
        self.pointwise_conv2 = nn.Conv1d(d_model, d_model, 1)

    def forward(self, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Map (B, L, D) to (B, L, D); `valid` (B, L) is None where all rows are of full length."""
        first, second = self.pointwise_conv1, self.pointwise_conv2
        gated = functional.glu(functional.linear(x, first.weight[:, :, 0], first.bias))
        if valid is not None:
            gated = gated * valid[:, :, None]
        mixed = functional.silu(self._depthwise(gated))
        return functional.linear(mixed, second.weight[:, :, 0], second.bias)

    def _depthwise(self, x: torch.Tensor) -> torch.Tensor:
        """Mix each channel of (B, L, D) over time, and norm it: (B, L, D)."""
        conv, norm = self.depthwise_conv, self.batch_norm
        if self.training:
            mixed: torch.Tensor = norm(conv(x.transpose(1, 2)))
            return mixed.transpose(1, 2)
        assert norm.running_var is not None
        assert norm.running_mean is not None
        assert conv.bias is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        bias = (conv.bias - norm.running_mean) * scale + norm.bias
        weight = (conv.weight * scale[:, None, None]).unsqueeze(2)
        # As an image one row high, whose channels lie side by side as they do in x: nothing is copied either way.
        image = x.transpose(1, 2).unsqueeze(2)
        rows = functional.conv2d(image, weight, bias, padding=(0, *conv.padding), groups=conv.groups)
        return rows.squeeze(2).transpose(1, 2)


class ConformerLayer(nn.Module):
    """Half a feed-forward, attention, convolution, half a feed-forward; each behind its own layer norm."""

    def __init__(self, d_model: int, heads: int, d_inner: int, kernel: int) -> None:
        super().__init__()
        self.norm_feed_forward1 = nn.LayerNorm(d_model)
        self.feed_forward1 = FeedForward(d_model, d_inner)
        self.norm_self_att = nn.LayerNorm(d_model)
        self.self_attn = RelativeAttention(d_model, heads)
        self.norm_conv = nn.LayerNorm(d_model)
        self.conv = ConvolutionModule(d_model, kernel)
        self.norm_feed_forward2 = nn.LayerNorm(d_model)
        self.feed_forward2 = FeedForward(d_model, d_inner)
        self.norm_out = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(0.0)  # whoever trains the network sets its share

    def forward(
        self, x: torch.Tensor, distances: torch.Tensor, valid: torch.Tensor | None, right: int | None = None
    ) -> torch.Tensor:
        """Map (B, L, D) to (B, L, D).

        Args:
            x: the frames.
            distances: what `self_attn.project` makes of the sinusoids of L - 1 down to -(L - 1), (H, d, 2 L - 1).
            valid: which frames are there, (B, L); None where all are.
            right: frames ahead that each one's attention sees; None for all.
        """
        x = x.add(self.dropout(self.feed_forward1(self.norm_feed_forward1(x))), alpha=0.5)
        x = x + self.dropout(self.self_attn(self.norm_self_att(x), distances, valid, right))
        x = x + self.dropout(self.conv(self.norm_conv(x), valid))
        x = x.add(self.dropout(self.feed_forward2(self.norm_feed_forward2(x))), alpha=0.5)
        normed: torch.Tensor = self.norm_out(x)
        return normed


class FastConformer(nn.Module):
    """The encoder: `pre_encode` makes frames of mel frames, `forward` lets frames see one another.

    Args:
        n_mels: bands of the features.
        channels: channels of the reduction.
        d_model: numbers of a frame.
        heads: attention heads.
        layers: conformer layers.
        d_inner: width of the feed-forward layers.
        kernel: width of the depthwise convolution, in frames; odd.
        xscaling: multiply frames by sqrt(d_model) on their way in.
    """

    def __init__(
        self,
        n_mels: int,
        channels: int,
        d_model: int,
        heads: int,
        layers: int,
        d_inner: int,
        kernel: int,
        xscaling: bool = True,
    ) -> None:
        super().__init__()
        self.pre_encode = StridingReduction(n_mels, channels, d_model)
        self.positions = RelativePositions(d_model)
        self.layers = nn.ModuleList(ConformerLayer(d_model, heads, d_inner, kernel) for _ in range(layers))
        self._kept: tuple[Any, list[torch.Tensor]] | None = None
        self.scale = math.sqrt(d_model) if xscaling else 1.0

    def forward(
        self, frames: torch.Tensor, valid: torch.Tensor | None = None, right: int | None = None
    ) -> torch.Tensor:
        """Encode frames (B, L, D), as `pre_encode` makes them, to (B, L, D).

        Args:
            frames: the frames.
            valid: which of them are there, bool (B, L); None where all are.
            right: frames ahead that the attention of each layer sees, as in training for low latency; None for all.
        """
        x = frames * self.scale
        for layer, distances in zip(self.layers, self._distances(x), strict=True):
            x = layer(x, distances, valid, right)
        return x

    def _distances(self, x: torch.Tensor) -> list[torch.Tensor]:
        """What positions become in each layer. The last ones are kept: the steps of a stream are of one length."""
        length = x.shape[1]
        attentions = [layer.self_attn for layer in self.layers if isinstance(layer, ConformerLayer)]
        passing = torch.is_grad_enabled() or torch.compiler.is_compiling()
        if passing or length > KEPT_FRAMES:
            positions = self.positions(length, x)
            return [attention.project(positions) for attention in attentions]
        key = (length, x.dtype, x.device, *(_stamp(attention.linear_pos.weight) for attention in attentions))
        kept = self._kept
        if kept is None or kept[0] != key:
            positions = self.positions(length, x)
            kept = self._kept = (key, [attention.project(positions) for attention in attentions])
        return kept[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}


def _stamp(weight: torch.Tensor) -> tuple[int, int]:
    """Changes when a weight does."""
    return weight.data_ptr(), 0 if weight.is_inference() else weight._version
