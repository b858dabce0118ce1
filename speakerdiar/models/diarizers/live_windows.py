"""Windows over speech that is still going on, and the audio that they are cut from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.models.diarizers.windows import WindowPlan

MARGIN_SECONDS = 0.1
"""Audio kept around windows, which their features may reach into."""
LEAST_TAIL = 0.1
"""Seconds of speech behind the last window that are worth one more."""
TOLERANCE = 1e-6
"""Seconds that roundings may make of nothing."""


class LiveWindow(NamedTuple):
    """A window over a stretch of speech, which is known by where it begins."""

    start: float
    end: float
    stretch: float

    @property
    def middle(self) -> float:
        """Seconds at which its middle lies."""
        return (self.start + self.end) / 2


@dataclass
class SpeechWindows:
    """Lays windows over speech that is still going on, as `WindowPlan.lay` does over speech that is over.

    Windows of a stretch begin one `hop` after the other; the last one, once the stretch is over, ends with it.
    """

    plan: WindowPlan
    stretch: float = -inf
    laid: int = 0

    def lay(self, start: float, end: float, closed: bool) -> tuple[list[LiveWindow], list[LiveWindow]]:
        """Return new windows of a stretch, and one over its last part that will be replaced, while it isn't closed."""
        plan, fresh = self.plan, []
        if start != self.stretch:
            self.stretch, self.laid = start, 0
        first, last = start + plan.inset, end - plan.inset
        while first + self.laid * plan.hop + plan.window <= last + TOLERANCE:
            begin = first + self.laid * plan.hop
            fresh.append(LiveWindow(begin, begin + plan.window, start))
            self.laid += 1
        covered = first + (self.laid - 1) * plan.hop + plan.window if self.laid else -inf
        if last - covered < LEAST_TAIL:
            return fresh, []
        tail = self.tail(start, end)
        return ([*fresh, tail], []) if closed else (fresh, [tail])

    def tail(self, start: float, end: float) -> LiveWindow:
        """Return the window at the end of a stretch; that of a short one lies around its middle."""
        plan = self.plan
        first, last = start + plan.inset, end - plan.inset
        length = float(np.clip(round((last - first) * 10) / 10, plan.shortest, plan.window))
        begin = max(0.0, (first + last - length) / 2 if last - first <= plan.window else last - length)
        return LiveWindow(begin, begin + length, start)


@dataclass
class LiveAudio:
    """The newest samples of a recording, as far back as windows may reach."""

    rate: int
    hop: int
    samples: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    first: int = 0

    @property
    def heard(self) -> int:
        """Samples heard so far."""
        return self.first + len(self.samples)

    @property
    def seconds(self) -> float:
        """Seconds heard so far."""
        return self.heard / self.rate

    def push(self, block: NDArray[np.float32]) -> None:
        """Take the next samples (n,)."""
        self.samples = np.concatenate([self.samples, block])

    def embed(self, embedder: EmbeddingMixin, windows: Sequence[LiveWindow]) -> NDArray[np.float32]:
        """Return the vectors (N, D) of windows."""
        if not windows:
            return np.zeros((0, embedder.dimension), np.float32)
        per_hop = self.rate / self.hop
        starts = np.rint(np.array([window.start for window in windows]) * per_hop).astype(np.int64)
        lengths = np.rint(np.array([window.end - window.start for window in windows]) * per_hop).astype(np.int64)
        begin = max(self.first, int(starts.min()) * self.hop - round(MARGIN_SECONDS * per_hop) * self.hop)
        spans = np.stack([starts, starts + lengths], axis=1) * self.hop - begin
        return embedder.embed_spans(self.samples[begin - self.first :], spans)

    def forget(self, before: float) -> None:
        """Drop samples before a time in seconds, with a margin."""
        keep = int(max(0.0, before - MARGIN_SECONDS) * self.rate) // self.hop * self.hop
        if keep > self.first:
            self.samples, self.first = self.samples[keep - self.first :].copy(), keep
