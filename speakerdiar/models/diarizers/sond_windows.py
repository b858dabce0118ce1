"""The windows that SOND looks through, and what it says of each frame in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np
import torch
from numpy.typing import NDArray

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError
from speakerdiar.frames import FrameGrid, FrameScores
from speakerdiar.nn.sond import SondNetwork
from speakerdiar.postprocessing.powerset import wide_bits_of
from speakerdiar.postprocessing.window_votes import WindowVotes

FRAME_SECONDS = 0.01
"""Of a frame of the filter bank."""
REDUCTION = 8
"""Frames of the filter bank (10 ms) in one of the network (80 ms)."""
STEP_SECONDS = REDUCTION * FRAME_SECONDS
"""Of a frame of the network."""


@dataclass(frozen=True)
class SondPlan:
    """How long recordings are cut; the defaults are those of the published recipe (Wang et al. 2023, 1600 frames, 400).

    A recording that fits into one window is heard as a whole.

    Attributes:
        window: seconds of a window. Time and memory of attention grow with its square.
        step: seconds from one window to the next, at most `window`.
        share: someone talks where more than this share of the windows over a frame say so.
        at_once: windows that are scored together; None for 1 on a CPU, 16 on a GPU.
        encode: seconds of a longer recording that are encoded together, or one window, if that is more. Memory grows
            with it; less encodes more of the audio twice, as a stretch needs 2 s before and behind it.
    """

    window: float = 16.0
    step: float = 4.0
    share: float = 0.5
    at_once: int | None = None
    encode: float = 16.0

    def __post_init__(self) -> None:
        for name in ("window", "step", "encode"):
            frames = getattr(self, name) / STEP_SECONDS
            if not (1 <= frames < math.inf and abs(frames - round(frames)) < 1e-6):
                raise ConfigError(f"{name}={getattr(self, name)!r}: give a multiple of 0.08 seconds, above 0.")
        if self.step > self.window:
            raise ConfigError(f"Windows of {self.window} s every {self.step} s leave gaps: give a shorter step.")
        if not 0 <= self.share < 1:
            raise ConfigError(f"share={self.share!r}: give a number from 0 to less than 1.")
        if self.at_once is not None and not is_count(self.at_once, least=1):
            raise ConfigError(f"at_once={self.at_once!r}: give a whole number, 1 or more, or None.")

    @property
    def window_frames(self) -> int:
        """Frames of 80 ms in a window."""
        return round(self.window / STEP_SECONDS)

    @property
    def step_frames(self) -> int:
        """Frames of 80 ms from one window to the next."""
        return round(self.step / STEP_SECONDS)

    @property
    def stretch_frames(self) -> int:
        """Frames of 80 ms that are encoded together."""
        return max(self.window_frames, round(self.encode / STEP_SECONDS))


class Hearing:
    """What windows say of a recording, put together as they come.

    Args:
        speakers: whose activity it is.
        plan: how windows vote.
        shares: keep the mean over windows of each speaker's probability, too.
    """

    def __init__(self, speakers: int, plan: SondPlan, *, shares: bool) -> None:
        self._votes = WindowVotes(speakers, plan.share)
        self._settled: list[NDArray[np.bool_]] = []
        self._windows = 0
        self._tokens = np.zeros(0, dtype=np.int64)
        self._shares = _RunningMean(speakers) if shares else None

    def add(
        self, first: int, tokens: NDArray[np.int64], active: NDArray[np.bool_], shares: NDArray[np.float32]
    ) -> None:
        """Count a window.

        Args:
            first: frame of 10 ms at which it begins.
            tokens: the set of each of its frames of 10 ms, those of speakers without profile too, (T,).
            active: who talks in these frames, (T, speakers).
            shares: probability that someone talks, in frames of 80 ms, (L, speakers).
        """
        self._settled.append(self._votes.add(first, active))
        self._windows += 1
        self._tokens = tokens
        if self._shares is not None:
            self._shares.add(first // REDUCTION, shares)

    def activity(self) -> NDArray[np.bool_]:
        """Return who talks in each frame of 10 ms: (T, speakers). No window can be added then."""
        return np.concatenate([*self._settled, self._votes.finish()])

    def tokens(self, activity: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the set of each frame of 10 ms: what the only window said, or what several agreed on, (T,)."""
        return self._tokens if self._windows == 1 else wide_bits_of(activity)

    def scores(self, names: tuple[str, ...], step: float) -> FrameScores | None:
        """Return the probabilities, where they were kept, in frames of `step` seconds."""
        if self._shares is None:
            return None
        return FrameScores(self._shares.all(), FrameGrid(step), names)


class _RunningMean:
    """Means over windows of numbers of each frame; only the frames that windows may still reach are held twice."""

    def __init__(self, columns: int) -> None:
        self._done: list[NDArray[np.float32]] = []
        self._sum = np.zeros((0, columns), dtype=np.float32)
        self._seen = np.zeros((0, 1), dtype=np.float32)
        self._first = 0

    def add(self, first: int, values: NDArray[np.float32]) -> None:
        self._settle(first - self._first)
        more = max(0, len(values) - len(self._sum))
        self._sum = np.pad(self._sum, ((0, more), (0, 0)))
        self._seen = np.pad(self._seen, ((0, more), (0, 0)))
        self._sum[: len(values)] += values
        self._seen[: len(values)] += 1
        self._first = first

    def all(self) -> NDArray[np.float32]:
        self._settle(len(self._sum))
        return np.concatenate([self._sum[:0], *self._done])

    def _settle(self, frames: int) -> None:
        self._done.append(self._sum[:frames] / self._seen[:frames])
        self._sum, self._seen = self._sum[frames:], self._seen[frames:]


@dataclass(frozen=True, eq=False)
class Stretch:
    """Next frames of a recording: (L, D), whether each has more than silence (L,), and their end in seconds.

    The end of stretches that aren't the last lies behind their frames.
    """

    frames: torch.Tensor
    loud: torch.Tensor
    end: float


@dataclass(frozen=True, eq=False)
class FrameWindow:
    """A window: its first frame of 80 ms, its frames (L, D), whether it is silent, and its end in seconds."""

    first: int
    frames: torch.Tensor
    silent: bool
    end: float


def windows_of(stretches: Iterable[Stretch], plan: SondPlan) -> Iterator[FrameWindow]:
    """Yield the windows of a recording as soon as they are there; the last one is as long as what is left."""
    size, first, end = plan.window_frames, 0, None
    frames, loud = torch.zeros(0), torch.zeros(0, dtype=torch.bool)
    for stretch in stretches:
        frames = stretch.frames if end is None else torch.cat([frames, stretch.frames])
        loud, end = torch.cat([loud, stretch.loud]), stretch.end
        while len(frames) > size:
            yield FrameWindow(first, frames[:size], not loud[:size].any(), (first + size) * STEP_SECONDS)
            frames, loud, first = frames[plan.step_frames :], loud[plan.step_frames :], first + plan.step_frames
    if end is not None:
        yield FrameWindow(first, frames, not loud.any(), end)


def batches(windows: Iterable[FrameWindow], at_once: int) -> Iterator[list[FrameWindow]]:
    """Yield the windows in order, together those that are alike, `at_once` at most."""
    for _, alike in groupby(windows, key=lambda window: (len(window.frames), window.silent)):
        while batch := list(islice(alike, at_once)):
            yield batch


def logits_of(
    network: SondNetwork, batch: list[FrameWindow], encoded: torch.Tensor, present: torch.Tensor
) -> torch.Tensor:
    """Return the logits (B, L, classes) of windows that are alike; where nobody can be heard, those of silence.

    Args:
        network: that made the frames.
        batch: the windows.
        encoded: profiles of the recording, (1, S, D), from `SondNetwork.profiles`.
        present: who is there, (1, S), from the same.
    """
    frames = torch.stack([window.frames for window in batch])
    if batch[0].silent or not frames.shape[1]:
        nobody = frames.new_full((*frames.shape[:2], network.shape.classes), -torch.inf, dtype=torch.float32)
        nobody[..., 0] = 0
        return nobody
    lengths = torch.full((len(batch),), REDUCTION * frames.shape[1], device=frames.device)
    each = encoded.expand(len(batch), -1, -1), present.expand(len(batch), -1)
    return network.logits(network.scores(frames, *each, lengths), lengths).float()
