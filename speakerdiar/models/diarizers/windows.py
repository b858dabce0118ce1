"""Where a clustering diarizer listens: windows over the stretches of speech, and whose time each window decides."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from speakerdiar.annotation import Turn


@dataclass(frozen=True)
class WindowPlan:
    """How windows are laid over speech.

    Attributes:
        window: length of a window in seconds.
        hop: seconds between the starts of windows of one stretch, at most.
        shortest: the shortest window in seconds.
        inset: seconds at either end of a stretch that windows keep out of: they are padding, with little voice in them.
    """

    window: float = 1.6
    hop: float = 0.4
    shortest: float = 0.4
    inset: float = 0.05

    def halved(self) -> WindowPlan:
        """Windows half as long and twice as dense, as far as `shortest` allows."""
        return replace(self, window=max(self.window / 2, self.shortest), hop=self.hop / 2)

    def lay(self, regions: NDArray[np.float64]) -> Windows:
        """Lay windows over stretches of speech.

        A stretch longer than a window gets as many as keep their starts at most `hop` apart, evenly spread, the first
        at its start and the last at its end. A shorter one gets one window of its own length, rounded to tenths of a
        second, around its middle.

        Args:
            regions: (start, end) of each stretch in seconds, (stretches, 2), sorted.
        """
        inner = [(start + self.inset, end - self.inset) for start, end in regions]
        spans = [np.zeros((0, 2)), *(self._over(start, end) for start, end in inner)]
        owners = np.repeat(np.arange(len(regions)), [len(part) for part in spans[1:]])
        return Windows(np.concatenate(spans), owners.astype(np.int64), regions)

    def _over(self, start: float, end: float) -> NDArray[np.float64]:
        length = float(np.clip(round((end - start) * 10) / 10, self.shortest, self.window))
        if end - start <= self.window:
            first = np.array([max(0.0, (start + end - length) / 2)])
        else:
            first = np.linspace(start, end - length, int(np.ceil((end - start - length) / self.hop - 1e-9)) + 1)
        return np.stack([first, first + length], axis=1)


@dataclass(frozen=True)
class Windows:
    """Windows over stretches of speech.

    Attributes:
        spans: (start, end) of each window in seconds, (windows, 2), in order of time.
        owners: index of the stretch that each window lies over, int64, (windows,).
        regions: (start, end) of each stretch in seconds, (stretches, 2).
    """

    spans: NDArray[np.float64]
    owners: NDArray[np.int64]
    regions: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.spans)

    def change_cost(self, inside: float, between: float) -> NDArray[np.float64]:
        """The price of a change of speaker at each window: `inside` a stretch, or from one to the next."""
        new = np.diff(self.owners, prepend=self.owners[:1]) > 0
        return np.where(new, between, inside)

    def domains(self) -> NDArray[np.float64]:
        """The (start, end) that each window decides: the part of its stretch that is nearest to its middle."""
        middles = self.spans.mean(axis=1)
        borders = (middles[1:] + middles[:-1]) / 2
        same = self.owners[1:] == self.owners[:-1]
        start, end = self.regions[self.owners].T.copy()
        start[1:] = np.where(same, borders, start[1:])
        end[:-1] = np.where(same, borders, end[:-1])
        return np.stack([start, end], axis=1)

    def turns(self, labels: NDArray[np.int64], certainty: NDArray[np.float64] | None = None) -> tuple[Turn, ...]:
        """Return the turns of labelled windows; speakers are named by their labels.

        Args:
            labels: (windows,).
            certainty: (windows,) in 0..1; a turn's confidence is the mean over its windows, by their time.
        """
        if not len(labels):
            return ()
        domains = self.domains()
        follows = (labels[1:] == labels[:-1]) & (domains[1:, 0] <= domains[:-1, 1])
        heads = np.flatnonzero(np.concatenate([[True], ~follows]))
        ends = domains[np.append(heads[1:], len(labels)) - 1, 1]
        confidence: list[float | None] = [None] * len(heads)
        if certainty is not None:
            seconds = np.diff(domains, axis=1)[:, 0]
            confidence = (np.add.reduceat(certainty * seconds, heads) / np.add.reduceat(seconds, heads)).tolist()
        rows = zip(domains[heads, 0].tolist(), ends.tolist(), labels[heads].tolist(), confidence, strict=True)
        return tuple(Turn(start, end, str(label), sure) for start, end, label, sure in rows)
