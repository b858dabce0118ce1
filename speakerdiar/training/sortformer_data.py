"""Sessions to learn Sortformer from: cut from conversations, with the features of the diarizer's own front end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import IterableDataset

from speakerdiar.annotation import Turn
from speakerdiar.frames import FrameGrid, activity
from speakerdiar.models.diarizers.sortformer import session_features
from speakerdiar.models.diarizers.sortformer_latency import FRAME_SECONDS
from speakerdiar.nn.fast_conformer import REDUCTION
from speakerdiar.nn.log_mel import LogMel
from speakerdiar.simulation import Conversation
from speakerdiar.training.chance import DrawnExamples
from speakerdiar.training.segmentation_data import Source

GRID = FrameGrid(FRAME_SECONDS)


class Session(NamedTuple):
    """A session to learn from: mel frames (T, n_mels), and who talks in each frame of 80 ms, float32 (L, S)."""

    mels: torch.Tensor
    labels: torch.Tensor


class Sessions(NamedTuple):
    """Sessions side by side, zeros behind the shorter ones.

    Attributes:
        mels: (B, T, n_mels).
        labels: (B, L, S).
        lengths: mel frames of each, int64 (B,).
    """

    mels: torch.Tensor
    labels: torch.Tensor
    lengths: torch.Tensor

    @classmethod
    def of(cls, sessions: Sequence[Session]) -> Sessions:
        """Lay sessions side by side."""
        mels, labels = (pad_sequence(list(parts), batch_first=True) for parts in zip(*sessions, strict=True))
        return cls(mels, labels, torch.tensor([len(session.mels) for session in sessions]))

    @property
    def frames(self) -> torch.Tensor:
        """Frames of 80 ms of each, int64 (B,)."""
        return -(-self.lengths // REDUCTION)


@dataclass(frozen=True)
class SessionCutter:
    """Cuts conversations to sessions of some length.

    Attributes:
        mel: the diarizer's front end.
        speakers: channels of the network; of more people, those who come first are heard.
        seconds: least and most length of a session.
        normalize, scale_peak: what the diarizer does to recordings, see `SortformerDiarizer`.
    """

    mel: LogMel
    speakers: int
    seconds: tuple[float, float]
    normalize: bool
    scale_peak: bool

    def cut(self, conversation: Conversation, rng: np.random.Generator) -> Session:
        """Return a stretch of a conversation, from a random place on; a short one whole."""
        rate = self.mel.sample_rate
        count = min(round(rng.uniform(*self.seconds) * rate), len(conversation.samples))
        first = int(rng.integers(len(conversation.samples) - count + 1))
        turns = [
            replace(turn, start=max(0.0, turn.start - first / rate), end=turn.end - first / rate)
            for turn in conversation.turns
            if turn.start < (first + count) / rate and turn.end > first / rate
        ]
        with torch.inference_mode():
            samples = torch.from_numpy(conversation.samples[first : first + count])
            mels = session_features(self.mel, samples, normalize=self.normalize, scale_peak=self.scale_peak)
        return Session(mels.clone(), self.labels(turns, -(-len(mels) // REDUCTION)))

    def labels(self, turns: Sequence[Turn], frames: int) -> torch.Tensor:
        """Return who talks, speakers in the order in which they begin: (frames, S)."""
        names = list(dict.fromkeys(turn.speaker for turn in sorted(turns)))[: self.speakers]
        labels = torch.zeros(frames, self.speakers)
        labels[:, : len(names)] = torch.from_numpy(activity(turns, names, GRID, frames))
        return labels


class DrawnSessions(DrawnExamples[Session]):
    """Sessions without end, of conversations of several sources alike.

    Args:
        sources: given the generator that all chance comes from, conversations without end.
        cutter: makes sessions of them.
        seed: where chance begins.
    """

    def __init__(self, sources: Sequence[Source], cutter: SessionCutter, seed: int = 0) -> None:
        super().__init__(seed)
        self.sources, self.cutter = sources, cutter

    def stream(self, rng: np.random.Generator) -> Iterator[Session]:
        """Yield sessions."""
        streams = [source(rng) for source in self.sources]
        while True:
            yield self.cutter.cut(next(streams[int(rng.integers(len(streams)))]), rng)


class HeldOut(IterableDataset[Conversation]):
    """The conversations of a validation, the same ones each time.

    Args:
        make: begins them anew.
    """

    def __init__(self, make: Callable[[], Iterator[Conversation]]) -> None:
        self.make = make

    def __iter__(self) -> Iterator[Conversation]:
        return self.make()


class HeldOutBatch:
    """Conversations of a validation; no collection, into which Lightning would look for tensors to move."""

    def __init__(self, conversations: list[Conversation]) -> None:
        self.conversations = conversations
