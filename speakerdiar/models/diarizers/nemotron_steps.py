"""Steps of Nemotron-3-Diarization: samples in, scores out, for several recordings in one forward.

The network and its speaker cache are those of transformers; nothing of them is copied here. One cache object of theirs
holds recordings that all stand at the same point, so recordings are joined for a forward where their caches and chunks
have the same lengths, and taken apart behind it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from speakerdiar.models.diarizers.nemotron_latency import NemotronLatency
from speakerdiar.nn.log_mel import MelStream
from speakerdiar.postprocessing.live import LiveTurns

SILENCE_PEAK = 2.0**-15
"""Peak of digital silence: no sample is louder than the smallest step of 16 bits."""
MEL_FRAMES = 8
"""Mel frames, and scores, in an encoder frame."""


@dataclass(frozen=True, eq=False)
class Window:
    """What one forward hears of a recording.

    Attributes:
        mels: (n, n_mels), look-back and look-ahead included.
        lookback: encoder frames in front that were decided before.
        lookahead: encoder frames behind that the next step decides.
        padded: mel frames behind the end of the recording, which are heard and neither attended to nor decided.
    """

    mels: torch.Tensor
    lookback: int
    lookahead: int
    padded: int = 0


@dataclass(eq=False)
class NemotronStream:
    """The memory of one recording.

    Attributes:
        preset: how it is cut.
        features: turns samples into mel frames.
        cache: transformers' speaker cache, of this recording alone.
        live: turns scores into turns.
        open: which speakers it may have: bool, (speakers,).
        waiting: mel frames that aren't decided yet, (n, n_mels).
        before: mel frames in front of them that are heard again, (m, n_mels).
        decided: mel frames that are decided.
        samples: how many were heard.
        audible: whether anything but digital silence was heard.
    """

    preset: NemotronLatency
    features: MelStream
    cache: Any
    live: LiveTurns
    open: torch.Tensor
    waiting: torch.Tensor
    before: torch.Tensor
    decided: int = 0
    samples: int = 0
    audible: bool = False

    @property
    def due(self) -> int:
        """Mel frames that must have been heard for the next step."""
        return self.decided + MEL_FRAMES * (self.preset.chunk_length + self.preset.chunk_right_context)

    def take(self, samples: torch.Tensor, last: bool) -> None:
        """Hear the next samples (n,)."""
        self.samples += len(samples)
        self.audible = self.audible or (bool(len(samples)) and float(samples.abs().max()) > SILENCE_PEAK)
        found = [self.waiting, self.features.push(samples)]
        self.waiting = torch.cat([*found, self.features.finish()] if last else found)

    def next_window(self, last: bool) -> Window | None:
        """Return what the next forward hears; None where it isn't whole yet, or at the end, where nothing is left."""
        whole = self.due - self.decided
        if not len(self.waiting) or (len(self.waiting) < whole and not last):
            return None
        heard = self.waiting[:whole]
        # Transformers' extractor gives one frame more than it counts. Stacked with the last ones it is the zeros that
        # would fill them up anyhow; alone it makes an encoder frame, which the upsampler sees next to the last.
        padded = int(last and not self.preset.end_at_once and len(heard) < whole and len(heard) % MEL_FRAMES == 0)
        mels = torch.cat([self.before, heard, heard.new_zeros(padded, heard.shape[1])])
        behind = -(-(len(heard) + padded) // MEL_FRAMES) - self.preset.chunk_length
        lookahead = 0 if last and self.preset.end_at_once else max(0, behind)
        return Window(mels, len(self.before) // MEL_FRAMES, lookahead, padded)

    def decide(self, window: Window) -> int:
        """Move on behind a window's chunk, and forget what no later one needs; return its mel frames."""
        heard = len(window.mels) - len(self.before) - window.padded
        decided = MEL_FRAMES * self.preset.chunk_length if window.lookahead else heard
        known = torch.cat([self.before, self.waiting[:decided]])
        keep = min(len(known), MEL_FRAMES * self.preset.chunk_left_context)
        self.before = known[len(known) - keep :].clone()
        self.waiting = self.waiting[decided:].clone()
        self.decided += decided
        return decided


class OpenSpeakers:
    """A speaker cache of transformers that takes the speakers who are closed for silent.

    Stands in for the cache in the network's forward, which asks it for these two methods and nothing else.

    Args:
        cache: of all rows.
        open: which speakers each row may have: bool, (rows, speakers).
    """

    def __init__(self, cache: Any, open: torch.Tensor) -> None:
        self.cache = cache
        self.open = open

    def get_embeds(self, chunk_embeds: torch.Tensor) -> torch.Tensor:
        """Return what the network hears in front of a chunk, (rows, frames, hidden)."""
        found: torch.Tensor = self.cache.get_embeds(chunk_embeds)
        return found

    def update(self, chunk_input_embeds: torch.Tensor, chunk_logits: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """Take a step's frames and logits (rows, frames, speakers), those of closed speakers as minus infinity."""
        self.cache.update(chunk_input_embeds, self.masked(chunk_logits), *args, **kwargs)

    def masked(self, logits: torch.Tensor) -> torch.Tensor:
        """Return logits (rows, frames, speakers) with minus infinity for closed speakers."""
        return logits.masked_fill(~self.open[:, None, :], float("-inf"))


def advance(network: Any, states: Sequence[NemotronStream], last: bool, together: bool) -> list[torch.Tensor]:
    """Decide all that can be decided of what was heard; return the scores (frames, speakers) of each recording.

    Args:
        network: `Nemotron3DiarizationForAudioFrameClassification`.
        states: changed in place.
        last: whether the recordings end here.
        together: step recordings at the same point in one forward.
    """
    found = [[state.open.new_zeros((0, len(state.open)), dtype=torch.float32)] for state in states]
    while True:
        windows = [(index, state.next_window(last)) for index, state in enumerate(states)]
        ready = {index: window for index, window in windows if window is not None}
        if not ready:
            return [torch.cat(parts) for parts in found]
        for rows in _alike(states, ready) if together else [[index] for index in ready]:
            chosen = [states[index] for index in rows]
            scores = _forward(network, chosen, [ready[index] for index in rows])
            for index, row in zip(rows, scores, strict=True):
                decided = states[index].decide(ready[index])
                found[index].append(row[:decided] * states[index].audible)


def _alike(states: Sequence[NemotronStream], ready: dict[int, Window]) -> list[list[int]]:
    """Return which recordings go through one forward."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, window in ready.items():
        cache = states[index].cache
        filled = (cache.num_cache_frames, cache.num_fifo_frames, cache.is_compressed)
        sizes = (cache.fifo_length, cache.speaker_cache_update_period, cache.speaker_cache_length)
        key = (len(window.mels), window.lookback, window.lookahead, window.padded, filled, sizes)
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def _forward(network: Any, states: Sequence[NemotronStream], windows: Sequence[Window]) -> torch.Tensor:
    """Step recordings whose windows and caches are of the same lengths; return scores (rows, frames, speakers)."""
    memory = OpenSpeakers(_joined([state.cache for state in states]), torch.stack([state.open for state in states]))
    mels = torch.stack([window.mels for window in windows])
    first = windows[0]
    mask = None
    if first.padded:
        mask = mels.new_ones(mels.shape[:2], dtype=torch.bool)
        mask[:, -first.padded :] = False
    output = network(
        input_features=mels.to(network.dtype),
        attention_mask=mask,
        speaker_cache=memory,
        num_lookahead_frames=first.lookahead,
        num_lookback_frames=first.lookback,
    )
    for row, state in enumerate(states):
        state.cache = _row(memory.cache, row)
    scores: torch.Tensor = memory.masked(output.logits.float()).sigmoid()
    return scores


def _joined(caches: Sequence[Any]) -> Any:
    """Return a cache with the rows of all, which is free to change."""
    joined = copy.copy(caches[0])
    if joined.is_initialized:
        for name in ("embeds", "probs", "fifo"):
            setattr(joined, name, torch.cat([getattr(cache, name) for cache in caches]))
    return joined


def _row(cache: Any, row: int) -> Any:
    """Return a cache with one row of several."""
    alone = copy.copy(cache)
    for name in ("embeds", "probs", "fifo"):
        setattr(alone, name, getattr(cache, name)[row : row + 1])
    return alone
