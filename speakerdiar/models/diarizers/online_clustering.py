"""The live side of the clustering diarizer: speech as it comes, windows over it, speakers decided a little later."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speakerdiar.annotation import Turn
from speakerdiar.clustering.online import UNKNOWN, OnlineClusterer
from speakerdiar.config import PostProcessingParams, checked_options
from speakerdiar.errors import ConfigError
from speakerdiar.frames import FrameGrid
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.mixins.segmentation import SegmentationMixin
from speakerdiar.mixins.streaming import StreamStep
from speakerdiar.models.diarizers.live_windows import TOLERANCE, LiveAudio, LiveWindow, SpeechWindows
from speakerdiar.models.diarizers.windows import WindowPlan
from speakerdiar.postprocessing.live import LiveTurns


@dataclass(frozen=True)
class OnlineLatency:
    """How soon speakers are decided.

    Attributes:
        step: seconds from one update to the next.
        wait: seconds that are heard behind a moment before it is decided who speaks.
    """

    step: float
    wait: float

    def __post_init__(self) -> None:
        if not 0.1 <= self.step <= 60:
            raise ConfigError(f"step={self.step!r}: give seconds from 0.1 to 60.")
        if not 0 <= self.wait <= 60:
            raise ConfigError(f"wait={self.wait!r}: give seconds from 0 to 60.")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> OnlineLatency:
        """Make a preset from a mapping.

        Raises:
            UnknownOptionError: a name that doesn't exist; the message has the closest.
            ConfigError: one is missing, or can't be used.
        """
        given = checked_options(cls, values)
        missing = [name for name in ("step", "wait") if name not in given]
        if missing:
            raise ConfigError(f"latency={dict(values)!r} lacks {', '.join(missing)}: give seconds.")
        return cls(**given)

    @classmethod
    def of_seconds(cls, seconds: float) -> OnlineLatency:
        """Make a preset of so many seconds in all, a quarter of them the step.

        Raises:
            ConfigError: below 0.4 or above 60 seconds.
        """
        if not 0.4 <= seconds <= 60:
            raise ConfigError(f"latency={seconds!r} s: give from 0.4 to 60 seconds.")
        return cls(seconds / 4, seconds * 3 / 4)

    @property
    def seconds(self) -> float:
        """Algorithmic latency: at most so many seconds after a moment was heard, it is decided who spoke."""
        return self.step + self.wait


LATENCIES: Mapping[str, OnlineLatency] = {
    "5s": OnlineLatency(1.0, 4.0),
    "2s": OnlineLatency(0.5, 1.5),
    "1s": OnlineLatency(0.25, 0.75),
}
"""Presets, by the sum of step and wait."""
SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")
"""How a latency is named that is no preset."""


class _Stretch(NamedTuple):
    """A stretch of speech; `closed` says whether its end is settled."""

    start: float
    end: float
    closed: bool


class _Piece(NamedTuple):
    """A stretch of time in which one speaker speaks, and how like the speaker it sounds on average."""

    start: float
    end: float
    speaker: int
    likeness: float


class _Label(NamedTuple):
    """Who speaks in a window, and how like the speaker it sounds."""

    window: LiveWindow
    speaker: int
    likeness: float


class OnlineStream:
    """The memory of one live recording: everything that its next steps need.

    Args:
        preset: how soon speakers are decided.
        segmenter: finds speech.
        embedder: embeds windows.
        plan: how windows are laid.
        params: post-processing of the speech scores.
        clusterer: labels the windows.
        confidence: put on turns how like their speaker they sound.
    """

    def __init__(
        self,
        preset: OnlineLatency,
        segmenter: SegmentationMixin,
        embedder: EmbeddingMixin,
        plan: WindowPlan,
        params: PostProcessingParams,
        clusterer: OnlineClusterer,
        *,
        confidence: bool = False,
    ) -> None:
        self._preset, self._segmenter, self._embedder = preset, segmenter, embedder
        self._clusterer, self._confidence = clusterer, confidence
        self.audio = LiveAudio(embedder.sample_rate, embedder.hop_samples)
        self._live = LiveTurns(params, FrameGrid(segmenter.grid.step), 1)
        self._windows = SpeechWindows(plan)
        self._reach = plan.window + plan.shortest
        self._segmenter_state: Any = None
        self._closed: list[_Stretch] = []  # those that aren't decided to their end
        self._waiting: list[LiveWindow] = []  # whose speaker isn't decided
        self._before: _Label | None = None  # the last window whose speaker is
        self._until = 0.0  # decided up to here
        self._open: _Piece | None = None  # the last decided turn, where it may go on
        self._names: dict[int, str] = {}
        self._named = 0

    @property
    def need(self) -> int:
        """Samples that the next step takes: whole frames, the last of them heard when the step is due."""
        audio, frame = self.audio, self._segmenter.frame_samples
        due = self._due + self._preset.step
        return max(frame, int(due * audio.rate + TOLERANCE) // frame * frame - audio.heard)

    @property
    def _due(self) -> float:
        """Seconds at which the last step was due; whole frames may end a little earlier."""
        return math.ceil(self.audio.seconds / self._preset.step - TOLERANCE) * self._preset.step

    def step(self, block: NDArray[np.float32], last: bool) -> StreamStep:
        """Hear the next samples; return what that decides, all where they are the last."""
        self.audio.push(block)
        ended, running, settled = self._speech(block, last)
        fresh, passing = self._lay(ended, running, settled)
        labels, relabelled = self._label(fresh, passing, last)
        self._closed.extend(ended)
        until = math.inf if last else max(self._until, min(settled, self._due - self._preset.wait))
        pieces = self._pieces([*self._closed, *running], labels)
        final, tentative = self._decide(pieces, until)
        self._settle(labels, until)
        self.audio.forget(settled - self._reach)
        return StreamStep(final, tentative, min(until, self.audio.seconds), relabelled)

    def _speech(self, block: NDArray[np.float32], last: bool) -> tuple[list[_Stretch], list[_Stretch], float]:
        """Return the stretches of speech that have ended now, those that may go on, and until when they are settled."""
        scores, self._segmenter_state = self._segmenter.score_next(block, self._segmenter_state)
        step = self._live.push(scores[:, :1])
        if last:
            rest = self._live.finish(self.audio.seconds)
            step = replace(rest, final=step.final + rest.final)
        ended = [_Stretch(turn.start, turn.end, True) for turn in step.final]
        return ended, [_Stretch(turn.start, turn.end, False) for turn in step.tentative], step.final_until

    def _lay(
        self, ended: Sequence[_Stretch], running: Sequence[_Stretch], settled: float
    ) -> tuple[list[LiveWindow], list[LiveWindow]]:
        """Return the new windows of all stretches, and those that only pass."""
        fresh: list[LiveWindow] = []
        passing: list[LiveWindow] = []
        for stretch in (*ended, *running):
            if stretch.closed or stretch.start < settled:
                new, tail = self._windows.lay(stretch.start, min(stretch.end, settled), stretch.closed)
                fresh, passing = fresh + new, passing + tail
            else:  # perhaps it is none
                passing.append(self._windows.tail(*stretch[:2]))
        return fresh, passing

    def _label(
        self, fresh: list[LiveWindow], passing: list[LiveWindow], last: bool
    ) -> tuple[list[_Label], dict[str, str]]:
        """Return who speaks in the windows that aren't decided, and which speakers were found to be another one."""
        vectors = self.audio.embed(self._embedder, [*fresh, *passing])
        self._clusterer.push(vectors[: len(fresh)])
        self._waiting += fresh
        windows = [*self._waiting, *passing]
        if not windows:
            return [], {}
        found = self._clusterer.label(vectors[len(fresh) :], last=last)
        relabelled = self._relabel(found.relabelled)
        rows = zip(windows, found.labels.tolist(), found.likeness.tolist(), strict=True)
        return [_Label(*row) for row in rows], relabelled

    def _relabel(self, found: Mapping[int, int]) -> dict[str, str]:
        """Make one of two speakers; return the name that goes, and the earlier one that stays."""
        gone: dict[str, str] = {}
        for later, earlier in found.items():
            stays, goes = sorted((self._names.pop(later), self._names[earlier]))
            self._names[earlier] = stays
            gone = {old: stays if new == goes else new for old, new in gone.items()} | {goes: stays}
            if self._open is not None and self._open.speaker == later:
                self._open = self._open._replace(speaker=earlier)
            if self._before is not None and self._before.speaker == later:
                self._before = self._before._replace(speaker=earlier)
        return gone

    def _pieces(self, stretches: Sequence[_Stretch], labels: Sequence[_Label]) -> list[_Piece]:
        """Return who speaks when, behind what is decided: each window has the time that is nearest to its middle."""
        known = labels if self._before is None else [self._before, *labels]
        found = []
        for start, end, _ in stretches:
            own = [label for label in known if label.window.stretch == start]
            borders = [(one.window.middle + other.window.middle) / 2 for one, other in pairwise(own)]
            edges = np.clip([start, *borders, end], max(start, self._until), max(end, self._until)).tolist()
            for label, (begin, stop) in zip(own, pairwise(edges), strict=True):
                if stop - begin > TOLERANCE:
                    found.append(_Piece(begin, stop, label.speaker, label.likeness))
        return found

    def _decide(self, pieces: Sequence[_Piece], until: float) -> tuple[tuple[Turn, ...], tuple[Turn, ...]]:
        """Return the turns that are complete up to a time, and the others; remember the one that may go on."""
        head = [] if self._open is None else [self._open]
        decided = [piece._replace(end=min(piece.end, until)) for piece in pieces if piece.start < until]
        rest = [piece._replace(start=max(piece.start, until)) for piece in pieces if piece.end > until]
        for piece in decided:
            self._name(piece.speaker)
        turns = _merged([*head, *decided])
        lasting = bool(turns) and turns[-1].end >= until - TOLERANCE
        self._open = turns.pop() if lasting else None
        self._until = min(until, self.audio.seconds)
        tentative = _merged([*([] if self._open is None else [self._open]), *rest])
        names = dict(self._names)
        for piece in tentative:
            names.setdefault(piece.speaker, f"SPEAKER_{self._named + len(names) - len(self._names):02d}")
        return self._turns(turns, names), self._turns(tentative, names)

    def _name(self, speaker: int) -> None:
        if speaker not in self._names:
            self._names[speaker] = f"SPEAKER_{self._named:02d}"
            self._named += 1

    def _turns(self, pieces: Sequence[_Piece], names: Mapping[int, str]) -> tuple[Turn, ...]:
        return tuple(
            Turn(start, end, names[speaker], float(np.clip(likeness, 0, 1)) if self._confidence else None)
            for start, end, speaker, likeness in pieces
        )

    def _settle(self, labels: Sequence[_Label], until: float) -> None:
        """Tell the clusterer whose the windows are that are decided, and drop what no later step needs."""
        count = sum(window.middle <= until for window in self._waiting)
        decided = [
            label if label.speaker in self._names else label._replace(speaker=UNKNOWN) for label in labels[:count]
        ]
        self._clusterer.settle([label.speaker for label in decided], self._names)
        if count:
            self._before = labels[count - 1]
        self._waiting = self._waiting[count:]
        self._closed = [stretch for stretch in self._closed if stretch.end > until]


def _merged(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Join pieces of one speaker that follow on one another."""
    joined: list[_Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if last is None or last.speaker != piece.speaker or piece.start - last.end > TOLERANCE:
            joined.append(piece)
            continue
        before, after = last.end - last.start, piece.end - piece.start
        likeness = (last.likeness * before + piece.likeness * after) / (before + after)
        joined[-1] = _Piece(last.start, piece.end, last.speaker, likeness)
    return joined
