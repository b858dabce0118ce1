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
from speakerdiar.nn.sortformer import Heard, SortformerNetwork
from speakerdiar.nn.speaker_cache import Chunk, SpeakerCache, pack_step, update_step
from speakerdiar.nn.speaker_cache_params import CacheParams, ChunkSpan, chunk_spans
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


def streamed(
    network: SortformerNetwork,
    mels: torch.Tensor,
    lengths: Sequence[int],
    params: CacheParams,
    right: int | None = None,
) -> Heard:
    """Hear sessions chunk by chunk, as the streaming diarizer does; logits come back by channel.

    Gradients pass through the chunks. What the cache keeps of earlier ones is a constant.

    Args:
        network: in training mode or not.
        mels: (B, T, n_mels).
        lengths: mel frames of each session, 1 or more.
        params: how sessions are cut and remembered.
        right: frames ahead that each layer's attention sees; None for all.
    """
    caches = [ShuffledCache.empty(params, network.shape.d_model, device=mels.device) for _ in lengths]
    spans = [list(chunk_spans(length, params)) for length in lengths]
    found: list[list[Heard]] = [[] for _ in lengths]
    for step in range(max(map(len, spans))):
        rows = [row for row, own in enumerate(spans) if step < len(own)]
        chunks = _chunks(network, [(mels[row], spans[row][step]) for row in rows])
        own = [caches[row] for row in rows]
        heard = network.heard(*pack_step(own, chunks), right)
        for place, row in enumerate(rows):
            begin = len(own[place]) + chunks[place].left
            part = slice(begin, begin + chunks[place].frames)
            found[row].append(Heard(own[place].by_channel(heard.logits[place, part]), heard.encoded[place, part]))
        with torch.no_grad():
            update_step(own, chunks, heard.logits.float().sigmoid())
    joined = [[torch.cat(parts) for parts in zip(*steps, strict=True)] for steps in found]
    return Heard(*(pad_sequence(list(rows), batch_first=True) for rows in zip(*joined, strict=True)))


def _chunks(network: SortformerNetwork, cuts: Sequence[tuple[torch.Tensor, ChunkSpan]]) -> list[Chunk]:
    """Pre-encode spans of sessions (T, n_mels) together."""
    pieces = [mels[span.first : span.first + span.mels] for mels, span in cuts]
    embedded = network.pre_encode(pad_sequence(pieces, batch_first=True))
    return [
        Chunk(frames[: -(-span.mels // REDUCTION)], span.left_frames, span.frames)
        for frames, (_, span) in zip(embedded, cuts, strict=True)
    ]
