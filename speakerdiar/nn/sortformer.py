"""Sortformer: FastConformer frames, a transformer over them, and the chance that each speaker talks.

Source: Park et al. 2024, arXiv:2409.06656. Speakers are the channels, in the order in which they are first heard.
Parameters are named as NVIDIA's checkpoints name them. B recordings, L frames of 80 ms, S speakers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError
from speakerdiar.nn.fast_conformer import FastConformer
from speakerdiar.nn.relative_attention import within_reach


@dataclass(frozen=True)
class SortformerShape:
    """Sizes of the network; the defaults are those of `diar_streaming_sortformer_4spk-v2`."""

    n_mels: int = 128
    speakers: int = 4
    channels: int = 256
    """Channels of the reduction."""
    d_model: int = 512
    heads: int = 8
    layers: int = 17
    d_inner: int = 2048
    kernel: int = 9
    """Width of the conformer's convolution, in frames; odd."""
    xscaling: bool = True
    """Multiply frames by sqrt(d_model) on their way into the conformer."""
    d_transformer: int = 192
    transformer_heads: int = 8
    transformer_layers: int = 18
    transformer_inner: int = 768

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "xscaling" and not is_count(value, least=1):
                raise ConfigError(f"{field.name}={value!r}: give a whole number, 1 or more.")
        if self.kernel % 2 == 0:
            raise ConfigError(f"kernel={self.kernel}: give an odd number of frames.")
        for width, heads in (("d_model", "heads"), ("d_transformer", "transformer_heads")):
            if getattr(self, width) % getattr(self, heads):
                raise ConfigError(
                    f"{width}={getattr(self, width)} can't be divided by {heads}={getattr(self, heads)}: give a "
                    "multiple of it."
                )


class Heard(NamedTuple):
    """What the network says of frames.

    Attributes:
        logits: of the chance that each speaker talks, (B, L, S).
        encoded: the frames out of the conformer, (B, L, D).
    """

    logits: torch.Tensor
    encoded: torch.Tensor


class SelfAttention(nn.Module):
    """Multi-head attention of all frames to all frames, without positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_net = nn.Linear(width, width)
        self.key_net = nn.Linear(width, width)
        self.value_net = nn.Linear(width, width)
        self.out_projection = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, valid: torch.Tensor | None, right: int | None = None) -> torch.Tensor:
        """Map (B, L, D) to (B, L, D).

        Args:
            x: the frames.
            valid: which of them are there, (B, L); None where all are.
            right: frames ahead that each one sees; None for all.
        """
        query, key, value = (
            net(x).view(*x.shape[:2], self.heads, -1).transpose(1, 2)
            for net in (self.query_net, self.key_net, self.value_net)
        )
        mask = None if valid is None else valid[:, None, None, :]
        if right is not None:
            near = within_reach(slice(0, x.shape[1]), x.shape[1], right, x.device)
            mask = near if mask is None else mask & near
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        out: torch.Tensor = self.out_projection(mixed.transpose(1, 2).flatten(2))
        return out


class TransformerFeedForward(nn.Module):
    """Two linear layers with a rectifier between them."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.dense_in = nn.Linear(width, inner)
        self.dense_out = nn.Linear(inner, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, L, D) to (B, L, D)."""
        out: torch.Tensor = self.dense_out(functional.relu(self.dense_in(x), inplace=not torch.is_grad_enabled()))
        return out


class TransformerLayer(nn.Module):
    """Attention and feed-forward, each followed by the layer norm of its sum (post-LN)."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.layer_norm_1 = nn.LayerNorm(width)
        self.first_sub_layer = SelfAttention(width, heads)
        self.layer_norm_2 = nn.LayerNorm(width)
        self.second_sub_layer = TransformerFeedForward(width, inner)
        self.dropout = nn.Dropout(0.0)

    def forward(self, x: torch.Tensor, valid: torch.Tensor | None, right: int | None = None) -> torch.Tensor:
        """Map (B, L, D) to (B, L, D); see `SelfAttention.forward` for the arguments."""
        x = self.layer_norm_1(x + self.dropout(self.first_sub_layer(x, valid, right)))
        normed: torch.Tensor = self.layer_norm_2(x + self.dropout(self.second_sub_layer(x)))
        return normed


class Transformer(nn.Module):
    """A stack of post-LN layers."""

    def __init__(self, width: int, heads: int, inner: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TransformerLayer(width, heads, inner) for _ in range(layers))

    def forward(self, x: torch.Tensor, valid: torch.Tensor | None = None, right: int | None = None) -> torch.Tensor:
        """Map (B, L, D) to (B, L, D); see `SelfAttention.forward` for the arguments."""
        for layer in self.layers:
            x = layer(x, valid, right)
        return x


class SortformerHead(nn.Module):
    """What the conformer's frames pass through on their way to the transformer, and its frames on their way out."""

    def __init__(self, d_model: int, width: int, speakers: int) -> None:
        super().__init__()
        self.encoder_proj = nn.Linear(d_model, width)
        self.first_hidden_to_hidden = nn.Linear(width, width)
        self.single_hidden_to_spks = nn.Linear(width, speakers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map transformer frames (B, L, D) to the logits of chances (B, L, S)."""
        hidden = functional.relu(self.first_hidden_to_hidden(functional.relu(x)))
        logits: torch.Tensor = self.single_hidden_to_spks(hidden)
        return logits


class SortformerNetwork(nn.Module):
    """Mel frames in, the chance that each speaker talks out.

    `pre_encode` makes frames; `forward` takes frames, so that those of a speaker cache can stand in front of new ones.
    """

    def __init__(self, shape: SortformerShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = FastConformer(
            shape.n_mels,
            shape.channels,
            shape.d_model,
            shape.heads,
            shape.layers,
            shape.d_inner,
            shape.kernel,
            shape.xscaling,
        )
        self.transformer_encoder = Transformer(
            shape.d_transformer, shape.transformer_heads, shape.transformer_inner, shape.transformer_layers
        )
        self.sortformer_modules = SortformerHead(shape.d_model, shape.d_transformer, shape.speakers)

    def pre_encode(self, mels: torch.Tensor) -> torch.Tensor:
        """Return frames (B, ceil(T / 8), D) of mel frames (B, T, n_mels), all rows of full length."""
        frames: torch.Tensor = self.encoder.pre_encode(mels)
        return frames

    def forward(self, frames: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Return the chances (B, L, S) of frames (B, L, D).

        Args:
            frames: as `pre_encode` makes them.
            lengths: frames of each row, (B,); what lies behind is not seen and gets chances of 0. None: all of them.
        """
        valid = present(frames, lengths)
        chances = torch.sigmoid(self._heard(frames, valid).logits)
        return chances if valid is None else chances * valid[:, :, None]

    def heard(self, frames: torch.Tensor, lengths: torch.Tensor | None = None, right: int | None = None) -> Heard:
        """Return what training looks at; behind the end of a row may be anything.

        Args:
            frames: as `pre_encode` makes them.
            lengths: frames of each row, (B,); None: all of them.
            right: frames ahead that each layer's attention sees; None: all of them.
        """
        return self._heard(frames, present(frames, lengths), right)

    def _heard(self, frames: torch.Tensor, valid: torch.Tensor | None, right: int | None = None) -> Heard:
        encoded = self.encoder(frames, valid, right)
        mixed = self.transformer_encoder(self.sortformer_modules.encoder_proj(encoded), valid, right)
        return Heard(self.sortformer_modules(mixed), encoded)


def set_dropout(network: nn.Module, share: float) -> None:
    """Have training leave out a share of what each part of each layer adds; a network as it is made leaves out none."""
    for part in network.modules():
        if isinstance(part, nn.Dropout):
            part.p = share


def present(frames: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor | None:
    """Return which of frames (B, L, D) are there, (B, L), given those of each row; None where all are."""
    return None if lengths is None else torch.arange(frames.shape[1], device=frames.device) < lengths[:, None]
