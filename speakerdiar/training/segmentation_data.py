"""Windows to learn local segmentation from: cut from conversations, simulated on the fly or recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from speakerdiar.annotation import Turn
from speakerdiar.audio.loudness import levelled
from speakerdiar.errors import ConfigError
from speakerdiar.frames import FrameGrid, activity
from speakerdiar.mixins.local_segmentation import LocalSegmentationMixin
from speakerdiar.postprocessing.powerset import Powerset
from speakerdiar.simulation.conversation import Conversation
from speakerdiar.training.chance import DrawnExamples
from speakerdiar.windows import WindowGrid

Source: TypeAlias = Callable[[np.random.Generator], Iterator[Conversation]]
LEVEL = -26.0
"""dBFS of conversations whose windows a network takes (`speakerdiar.audio.loudness.levelled`)."""


class Window(NamedTuple):
    """A window to learn from; T frames of features, F frames that are scored.

    Attributes:
        inputs: what the network's `classify` takes, (T, bands), or samples (n,).
        labels: which of the local speakers talks, uint8, (F, speakers).
        teacher: log-probabilities of the classes by another network, (F, classes); NaN where it wasn't asked.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    teacher: torch.Tensor


@dataclass(frozen=True)
class WindowCutter:
    """Cuts conversations into windows with labels.

    Attributes:
        grid: windows and frames of the network that learns.
        powerset: classes of the network; windows with more speakers are left out.
        front: what is done to samples (1, n) before they are kept, e.g. `MelSegmenter.features`.
        level_jitter: standard deviation of the level of windows around `LEVEL`, in dB.
        cut_short: share of windows that end early, with silence behind, as short recordings do.
        teacher: a trained segmenter of the same window and powerset, whose scores are learnt, too; None for none.
        teacher_share: share of windows that the teacher is asked about.
    """

    grid: WindowGrid
    powerset: Powerset
    front: Callable[[torch.Tensor], torch.Tensor]
    level_jitter: float = 4.0
    cut_short: float = 0.0
    teacher: LocalSegmentationMixin | None = None
    teacher_share: float = 0.0

    def __post_init__(self) -> None:
        known = None if self.teacher is None else self.teacher.powerset
        if self.teacher is not None and known != self.powerset:
            raise ConfigError(f"A teacher of {known} for {self.powerset}: give one with the same classes.")
        if self.teacher is not None and self.teacher.grid.window != self.grid.window:
            raise ConfigError(
                f"A teacher of windows of {self.teacher.grid.window} samples, not {self.grid.window}: give another."
            )

    def cut(self, conversation: Conversation, rng: np.random.Generator) -> Iterator[Window]:
        """Yield the windows of a conversation, one behind the other from a random place on."""
        level = LEVEL + rng.normal(0, self.level_jitter)
        sound = levelled(conversation.samples, self.grid.rate, level)
        spare = len(sound) - self.grid.window
        first = int(rng.integers(min(spare, self.grid.window) + 1)) if spare > 0 else 0
        while first + self.grid.window <= len(sound):
            window = self.window(sound[first : first + self.grid.window], conversation, first, rng)
            if window is not None:
                yield window
            first += self.grid.window

    def window(
        self, samples: NDArray[np.float32], conversation: Conversation, first: int, rng: np.random.Generator
    ) -> Window | None:
        """Return the window that begins at sample `first`; None where too many people talk in it."""
        labels = self._labels(conversation, first)
        if labels is None:
            return None
        if rng.random() < self.cut_short:
            samples, labels = self._shortened(samples, labels, float(rng.uniform(0.1, 0.9)))
        with torch.inference_mode():
            inputs = self.front(torch.from_numpy(np.ascontiguousarray(samples))[None])[0]
        return Window(inputs, torch.from_numpy(labels), self._taught(samples, rng))

    def _labels(self, conversation: Conversation, first: int) -> NDArray[np.uint8] | None:
        grid = self.grid
        start = (first + grid.receptive / 2 - grid.frame_step / 2) / grid.rate
        moved = [
            Turn(max(0.0, turn.start - start), turn.end - start, turn.speaker)
            for turn in conversation.turns
            if turn.end > start
        ]
        names = sorted({turn.speaker for turn in conversation.turns})
        active = activity(moved, names, FrameGrid(grid.frame_step / grid.rate), grid.frames)
        talking = active[:, active.any(axis=0)]
        if talking.shape[1] > self.powerset.speakers:
            return None
        labels = np.zeros((grid.frames, self.powerset.speakers), dtype=np.uint8)
        labels[:, : talking.shape[1]] = talking
        return labels

    def _shortened(
        self, samples: NDArray[np.float32], labels: NDArray[np.uint8], share: float
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Put silence behind a share of a window."""
        samples, labels = samples.copy(), labels.copy()
        samples[round(share * len(samples)) :] = 0
        labels[round(share * len(labels)) :] = 0
        return samples, labels

    def _taught(self, samples: NDArray[np.float32], rng: np.random.Generator) -> torch.Tensor:
        if self.teacher is None or rng.random() >= self.teacher_share:
            return torch.full((self.grid.frames, self.powerset.classes), torch.nan, dtype=torch.half)
        scores = self.teacher.score_windows(samples[None])[0]
        theirs = self.teacher.grid
        centres = self.grid.receptive / 2 + np.arange(self.grid.frames) * self.grid.frame_step
        nearest = np.rint((centres - theirs.receptive / 2) / theirs.frame_step).astype(int)
        return torch.from_numpy(scores[nearest.clip(0, theirs.frames - 1)]).half()


class ShuffledWindows(DrawnExamples[Window]):
    """Windows of conversations without end, in random order, each several times.

    Making a window takes longer than learning from it. So windows are kept, and for each new one some of those that are
    kept come out; what learns varies them.

    Args:
        sources: given the generator that all chance comes from, conversations without end; each source alike.
        cutter: makes windows of them.
        seed: where chance begins.
        uses: how often each window comes, on average.
        kept: windows to choose from, the latest ones; about 140 KB each.
    """

    def __init__(
        self, sources: Sequence[Source], cutter: WindowCutter, seed: int = 0, uses: int = 5, kept: int = 4096
    ) -> None:
        super().__init__(seed)
        self.sources, self.cutter, self.uses, self.kept = sources, cutter, uses, kept

    def stream(self, rng: np.random.Generator) -> Iterator[Window]:
        """Yield windows."""
        held: _Held | None = None
        for window in self._windows(rng):
            held = held or _Held(window, self.kept)
            held.put(window)
            for _ in range(self.uses):
                yield held.drawn(rng)

    def _windows(self, rng: np.random.Generator) -> Iterator[Window]:
        streams = [source(rng) for source in self.sources]
        while True:
            yield from self.cutter.cut(next(streams[int(rng.integers(len(streams)))]), rng)


class _Held:
    """The latest windows, in one piece of memory: thousands of small ones between large ones would tear it to shreds.

    Args:
        like: a window of the shapes of all.
        most: how many are held.
    """

    def __init__(self, like: Window, most: int) -> None:
        self._parts = Window(*(torch.empty((most, *part.shape), dtype=part.dtype) for part in like))
        self._most, self._count = most, 0

    def put(self, window: Window) -> None:
        """Hold one more, in place of the oldest."""
        for held, part in zip(self._parts, window, strict=True):
            held[self._count % self._most] = part
        self._count += 1

    def drawn(self, rng: np.random.Generator) -> Window:
        """Return one of them."""
        place = int(rng.integers(min(self._count, self._most)))
        return Window(*(part[place].clone() for part in self._parts))


class HeldOutWindows(IterableDataset[Window]):
    """The windows of a validation, the same ones each time.

    Args:
        make: begins its conversations anew.
        cutter: makes windows of them.
    """

    def __init__(self, make: Callable[[], Iterator[Conversation]], cutter: WindowCutter) -> None:
        self.make, self.cutter = make, cutter

    def __iter__(self) -> Iterator[Window]:
        for number, conversation in enumerate(self.make()):
            yield from self.cutter.cut(conversation, np.random.default_rng(number))
