"""What a streaming Sortformer remembers of one recording: the arrival-order speaker cache and the FIFO before it.

A step hears [cache | FIFO | chunk] with full attention. Both memories hold frames as they leave the pre-encoder, so
that every step encodes them anew beside the new ones. Source: "Streaming Sortformer", arXiv:2507.18446.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from typing_extensions import Self

from speakerdiar.errors import ModelError
from speakerdiar.nn.speaker_cache_params import CacheParams
from speakerdiar.nn.speaker_cache_scores import compress


@dataclass
class SpeakerCache:
    """The memory of one recording; `update` moves it on by a chunk.

    The tensors are replaced, never written into: a reference to one stays as it was.

    Attributes:
        params: lengths and thresholds.
        embeddings: (n, D), the speaker cache: by speaker and then by time once it is compressed, by time before.
        preds: (n, S) float32, or None before the first compression: until then the cache is simply the past,
            and each step's own predictions of it are better than those of the steps before.
        fifo: (m, D), the frames between the cache and the chunk.
        fifo_preds: (m, S) float32, as the latest step saw them.
        mean_silence: (D,) float32, mean of the silent frames that have left the FIFO.
        silence_frames: () int64, how many those were; a tensor, so that a GPU needn't be waited for.
        max_speakers: channels from this one on stay 0 in what is stored and given out, but still count as sound
            when silence is looked for; None for all channels.
    """

    params: CacheParams
    embeddings: torch.Tensor
    preds: torch.Tensor | None
    fifo: torch.Tensor
    fifo_preds: torch.Tensor
    mean_silence: torch.Tensor
    silence_frames: torch.Tensor
    max_speakers: int | None = None

    @classmethod
    def empty(
        cls,
        params: CacheParams,
        dimension: int,
        *,
        max_speakers: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """Return the memory of a recording of which nothing was heard; `dtype` is that of the embeddings."""
        frames = torch.zeros(0, dimension, device=device, dtype=dtype)
        preds = torch.zeros(0, params.num_speakers, device=device)
        silence = torch.zeros(dimension, device=device)
        none = torch.zeros((), device=device, dtype=torch.int64)
        return cls(params, frames, None, frames, preds, silence, none, max_speakers)

    def __len__(self) -> int:
        """Frames that stand in front of a chunk."""
        return len(self.embeddings) + len(self.fifo)

    @property
    def compressed(self) -> bool:
        """Whether the cache has been full, so that what it holds is a choice."""
        return self.preds is not None

    def context(self) -> torch.Tensor:
        """Return what stands in front of a chunk, [cache | FIFO]: (n + m, D)."""
        return torch.cat([self.embeddings, self.fifo])

    def clone(self) -> SpeakerCache:
        """Return a memory of its own that goes on from here."""
        return dataclasses.replace(self)  # sharing is safe: no tensor is ever written into

    def update(self, chunk: torch.Tensor, preds: torch.Tensor, left: int = 0) -> torch.Tensor:
        """Take in one step, and return the predictions of its chunk: (c, S) float32.

        Args:
            chunk: (c, D), pre-encoder embeddings of the chunk, without its contexts.
            preds: (n + m + left + c or more, S), predictions of the whole input of the step; what follows the
                chunk (right context, padding) is not looked at.
            left: frames of left context in front of the chunk.

        Raises:
            ModelError: the predictions are of other speakers or of fewer frames than that.
        """
        begin = len(self) + left
        end = begin + len(chunk)
        if preds.shape[0] < end or preds.shape[1:] != (self.params.num_speakers,):
            raise ModelError(
                f"predictions {tuple(preds.shape)} don't fit a step of {end} frames and {self.params.num_speakers} "
                f"speakers: give those of [cache | FIFO | left context | chunk]."
            )
        heard = preds.float()
        allowed = self._allowed(heard)
        old = slice(len(self.embeddings), len(self))
        emitted = allowed[begin:end].clone()  # else it would keep the whole step's predictions for as long as it lives
        surplus = len(self.fifo) + len(chunk) - self.params.fifo_len
        self.fifo_preds = torch.cat([allowed[old], emitted])
        self.fifo = torch.cat([self.fifo, chunk])
        if surplus > 0:
            count = min(max(self.params.update_period, surplus), len(self.fifo))
            activity = torch.cat([heard[old], heard[begin:end]])[:count].sum(dim=1)  # every channel's
            self._leave_fifo(count, activity < self.params.sil_threshold, allowed)
        return emitted

    def _allowed(self, preds: torch.Tensor) -> torch.Tensor:
        """Predictions with the channels beyond `max_speakers` at 0."""
        if self.max_speakers is None or self.max_speakers >= self.params.num_speakers:
            return preds
        return torch.nn.functional.pad(preds[:, : self.max_speakers], (0, self.params.num_speakers - self.max_speakers))

    def _leave_fifo(self, count: int, silent: torch.Tensor, preds: torch.Tensor) -> None:
        """Move the oldest `count` frames of the FIFO into the cache, and compress the cache if it overflows."""
        leaving, leaving_preds = self.fifo[:count], self.fifo_preds[:count]
        self.fifo, self.fifo_preds = self.fifo[count:].clone(), self.fifo_preds[count:].clone()  # a view keeps it all
        self._learn_silence(leaving, silent)
        before = preds[: len(self.embeddings)] if self.preds is None else self.preds
        self.embeddings = torch.cat([self.embeddings, leaving])
        if len(self.embeddings) > self.params.cache_len:
            self._compress(torch.cat([before, leaving_preds]))

    def _compress(self, preds: torch.Tensor) -> None:
        """Keep of the cache what is worth most, by predictions (n, S) of what it holds."""
        self.embeddings, self.preds = compress(self.embeddings, preds, self.mean_silence, self.params)

    def _learn_silence(self, frames: torch.Tensor, silent: torch.Tensor) -> None:
        """Carry the running mean of silent frames on: mean_N = (mean_M * M + sum of the N - M new ones) / N."""
        total = self.silence_frames + silent.sum()
        new = torch.where(silent.unsqueeze(1), frames, 0).sum(dim=0, dtype=torch.float32)
        self.mean_silence = (self.mean_silence * self.silence_frames + new) / total.clamp(min=1)
        self.silence_frames = total


@dataclass(frozen=True)
class Chunk:
    """One recording's share of a step, out of the pre-encoder.

    Attributes:
        embeddings: (l, D): left context, the chunk itself, right context.
        left: frames of left context.
        frames: frames of the chunk itself.
    """

    embeddings: torch.Tensor
    left: int
    frames: int


def pack_step(caches: Sequence[SpeakerCache], chunks: Sequence[Chunk]) -> tuple[torch.Tensor, torch.Tensor]:
    """Lay the inputs [cache | FIFO | chunk with contexts] of several recordings side by side.

    Returns:
        The inputs, zeros behind the shorter ones: (B, L, D); and their lengths in frames: (B,) int64, on the same
        device.
    """
    pairs = zip(caches, chunks, strict=True)
    rows = [torch.cat([cache.embeddings, cache.fifo, chunk.embeddings]) for cache, chunk in pairs]
    lengths = torch.tensor([len(row) for row in rows], device=rows[0].device)
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths


def update_step(caches: Sequence[SpeakerCache], chunks: Sequence[Chunk], preds: torch.Tensor) -> list[torch.Tensor]:
    """Give each recording its own part of a step's predictions (B, L, S); return those of the chunks: (c, S) each.

    Every cache goes by its own lengths, so a row becomes what it would be alone, whatever is beside it.
    """
    return [
        cache.update(chunk.embeddings[chunk.left : chunk.left + chunk.frames], row, chunk.left)
        for cache, chunk, row in zip(caches, chunks, preds, strict=True)
    ]
