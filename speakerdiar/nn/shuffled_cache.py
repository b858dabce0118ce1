"""The speaker cache in training: each time it is compressed, the speakers in it come in another order.

The channel of a speaker must follow from where the cache holds their frames, not from who spoke first in what the cache
has kept. So the order is drawn anew, and what the network says is read in that order. Source: "Streaming Sortformer",
arXiv:2507.18446.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pad_sequence

from speakerdiar.nn.fast_conformer import REDUCTION
from speakerdiar.nn.sortformer import SortformerNetwork
from speakerdiar.nn.speaker_cache import Chunk, SpeakerCache, pack_step, update_step
from speakerdiar.nn.speaker_cache_params import CacheParams, chunk_spans
from speakerdiar.nn.speaker_cache_scores import compress


@dataclass
class ShuffledCache(SpeakerCache):
    """A cache whose speakers stand in random order; predictions are kept by channel all the same.

    Attributes:
        order: (S,) int64, the channel whose frames come first, second and so on; None before the first compression.
    """

    order: torch.Tensor | None = None

    def by_channel(self, said: torch.Tensor) -> torch.Tensor:
        """Return what the network says of frames (n, S), whose columns follow the cache, by channel."""
        return said if self.order is None else said[:, self.order.argsort()]

    def update(self, chunk: torch.Tensor, preds: torch.Tensor, left: int = 0) -> torch.Tensor:
        """Take in one step; see `SpeakerCache.update`. Columns of `preds` follow the cache, not the channels."""
        return super().update(chunk, self.by_channel(preds), left)

    def _compress(self, preds: torch.Tensor) -> None:
        self.order = drawn_order(preds)
        self.embeddings, self.preds = compress(self.embeddings, preds, self.mean_silence, self.params, self.order)


def drawn_order(preds: torch.Tensor) -> torch.Tensor:
    """Return the channels of predictions (n, S) in an order by chance: (S,).

    Those from the first one never heard on stay where they are: new speakers go on taking channels in turn.
    """
    heard = int((preds > 0.5).any(dim=0).long().cumprod(dim=0).sum())
    drawn = torch.randperm(heard, device=preds.device)
    return torch.cat([drawn, torch.arange(heard, preds.shape[1], device=preds.device)])


def streamed_logits(
    network: SortformerNetwork,
    mels: torch.Tensor,
    lengths: Sequence[int],
    params: CacheParams,
    right: int | None = None,
) -> torch.Tensor:
    """Hear sessions chunk by chunk, as the streaming diarizer does, and return the logits by channel: (B, L, S).

    Gradients pass through the chunks. What the cache keeps of earlier ones is a constant.

    Args:
        network: in training mode or not.
        mels: (B, T, n_mels).
        lengths: mel frames of each session.
        params: how sessions are cut and remembered.
        right: frames ahead that each layer's attention sees; None for all.
    """
    shape = network.shape
    caches = [ShuffledCache.empty(params, shape.d_model, device=mels.device) for _ in lengths]
    spans = [list(chunk_spans(length, params)) for length in lengths]
    found: list[list[torch.Tensor]] = [[mels.new_zeros(0, shape.speakers)] for _ in lengths]
    for step in range(max(map(len, spans), default=0)):
        rows = [row for row, own in enumerate(spans) if step < len(own)]
        now = [spans[row][step] for row in rows]
        pieces = [mels[row, span.first : span.first + span.mels] for row, span in zip(rows, now, strict=True)]
        embedded = network.pre_encode(pad_sequence(pieces, batch_first=True))
        chunks = [
            Chunk(frames[: -(-span.mels // REDUCTION)], span.left_frames, span.frames)
            for frames, span in zip(embedded, now, strict=True)
        ]
        own = [caches[row] for row in rows]
        logits = network.logits(*pack_step(own, chunks), right)
        for row, cache, chunk, said in zip(rows, own, chunks, logits, strict=True):
            begin = len(cache) + chunk.left
            found[row].append(cache.by_channel(said[begin : begin + chunk.frames]))
        with torch.no_grad():
            update_step(own, chunks, logits.float().sigmoid())
    return pad_sequence([torch.cat(parts) for parts in found], batch_first=True)
