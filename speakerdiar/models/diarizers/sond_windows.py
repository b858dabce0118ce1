"""The windows that SOND looks through, and what it says of each frame in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np
import torch
from numpy.typing import NDArray

from speakerdiar.audio import read_blocks
from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.frames import FrameGrid, FrameScores
from speakerdiar.models.diarizers.sond_inputs import FEATURES
from speakerdiar.nn.kaldi_fbank import KaldiFbank
from speakerdiar.nn.sond import SondNetwork
from speakerdiar.postprocessing.powerset import wide_bits_of
from speakerdiar.postprocessing.window_votes import WindowVotes
from speakerdiar.recording import Recording

SILENCE_PEAK = 2.0**-15
"""Peak of digital silence: no sample is louder than the smallest step of 16 bits. Nobody talks in such a window."""
FRAME_SECONDS = 0.01
"""Of a frame of the filter bank."""
REDUCTION = 8
"""Frames of the filter bank (10 ms) in one of the network (80 ms)."""


@dataclass(frozen=True)
class SondPlan:
    """How long recordings are cut; the defaults are those of the published recipe (Wang et al. 2023, 1600 frames, 400).

    A recording that fits into one window is heard as a whole.

    Attributes:
        window: seconds of a window. Time and memory of attention grow with its square.
        step: seconds from one window to the next, at most `window`.
        share: someone talks where more than this share of the windows over a frame say so.
        at_once: windows that go through the network together; None for 1 on a CPU, 16 on a GPU.
    """

    window: float = 16.0
    step: float = 4.0
    share: float = 0.5
    at_once: int | None = None

    def __post_init__(self) -> None:
        for name in ("window", "step"):
            frames = getattr(self, name) / 0.08
            if not (frames >= 1 and abs(frames - round(frames)) < 1e-6):
                raise ConfigError(f"{name}={getattr(self, name)!r}: give a multiple of 0.08 seconds, above 0.")
        if self.step > self.window:
            raise ConfigError(f"Windows of {self.window} s every {self.step} s leave gaps: give a shorter step.")
        if not 0 <= self.share < 1:
            raise ConfigError(f"share={self.share!r}: give a number from 0 to less than 1.")
        if self.at_once is not None and not is_count(self.at_once, least=1):
            raise ConfigError(f"at_once={self.at_once!r}: give a whole number, 1 or more, or None.")


def cut(blocks: Iterable[NDArray[np.float32]], size: int, step: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield windows and where they begin, as soon as they are there; the last one is as long as what is left.

    Args:
        blocks: samples (n,) or frames (n, bands), which no more than a block and a window of are held.
        size: samples or frames of a window.
        step: from one to the next.
    """
    rest, first = None, 0
    for block in blocks:
        rest = block if rest is None else np.concatenate([rest, block])
        while len(rest) > size:
            yield first, rest[:size]
            rest, first = rest[step:], first + step
    if rest is not None and len(rest):
        yield first, rest


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
class FeatureWindow:
    """A window: its first frame of 10 ms, its features (T, bands), whether it is silent, and its end in seconds."""

    first: int
    features: torch.Tensor
    silent: bool
    end: float


def windows_of(recording: Recording, fbank: KaldiFbank, plan: SondPlan) -> Iterator[FeatureWindow]:
    """Read a recording, or its features, window by window."""
    if FEATURES in recording.extra:
        yield from _feature_windows(recording, fbank, plan)
        return
    rate, shift, device = fbank.options.sample_rate, fbank.options.shift, fbank.window.device
    blocks = read_blocks(recording, rate, plan.window)
    for first, samples in cut(blocks, round(plan.window * rate), round(plan.step * rate)):
        silent = float(np.abs(samples).max()) <= SILENCE_PEAK
        features = fbank(torch.from_numpy(samples).to(device))
        yield FeatureWindow(first // shift, features, silent, (first + len(samples)) / rate)


def _feature_windows(recording: Recording, fbank: KaldiFbank, plan: SondPlan) -> Iterator[FeatureWindow]:
    matrix = recording.extra[FEATURES].read()
    bands = fbank.options.mel_bins
    if matrix.ndim != 2 or matrix.shape[1] != bands:
        raise InputError(f"{recording.id}: features of shape {matrix.shape}: give (frames, {bands}).")
    most = len(matrix) if recording.duration is None else round(recording.duration / FRAME_SECONDS)
    size, step = (round(seconds / FRAME_SECONDS) for seconds in (plan.window, plan.step))
    for first, rows in cut([matrix[:most]], size, step):
        features = torch.tensor(rows, dtype=torch.float32, device=fbank.window.device)
        yield FeatureWindow(first, features, False, (first + len(rows)) * FRAME_SECONDS)


def batches(windows: Iterator[FeatureWindow], at_once: int) -> Iterator[list[FeatureWindow]]:
    """Yield the windows in order, together those that are alike, `at_once` at most."""
    for _, alike in groupby(windows, key=lambda window: (len(window.features), window.silent)):
        while batch := list(islice(alike, at_once)):
            yield batch


def logits_of(network: SondNetwork, batch: list[FeatureWindow], vectors: torch.Tensor) -> torch.Tensor:
    """Return the logits (B, L, classes) of windows that are alike; where nobody can be heard, those of silence."""
    features = torch.stack([window.features for window in batch])
    if batch[0].silent or not features.shape[1]:
        nobody = features.new_full((len(batch), -(-features.shape[1] // REDUCTION), network.shape.classes), -torch.inf)
        nobody[..., 0] = 0
        return nobody
    lengths = torch.full((len(batch),), features.shape[1], device=features.device)
    found: torch.Tensor = network(features.to(vectors.dtype), lengths, vectors.expand(len(batch), -1, -1))
    return found.float()
