"""Frame scores that come in pieces to turns that come out as soon as nothing can change them any more.

`binarize` and `filter_durations` do the work; this file only finds out which of their segments are settled. Two ways
for the stream to go on bound all the others: silence for ever, and speech for ever (a run that never ends, from now on
or from where the speaker has begun). What comes out of both alike comes out of every way in between, since speech that
is still to come can only touch what lies behind its own start. So, of one speaker:

    speech for ever    all segments but the last, endless one are settled
    silence for ever   holds the same, and perhaps one more: that one exists for certain and can only become longer

Settled segments wait for two things more. The audio may end inside the last frame, so what reaches past the start of
that frame may be cut. And speakers are named by first appearance, so the first turn of a speaker waits until nobody
who has no name can come before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from speakerdiar.annotation import Turn
from speakerdiar.config import PostProcessingParams, is_count
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.frames import FrameGrid
from speakerdiar.postprocessing import segments as algebra
from speakerdiar.postprocessing.binarize import as_columns, filter_durations, talking
from speakerdiar.postprocessing.confidence import frames_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class LiveStep:
    """What a piece of scores settles.

    Attributes:
        final: complete turns that this step settles, sorted. Each is given once and never changes.
        tentative: the other turns as they would be if the stream ended here; the next step replaces them.
        final_until: seconds before which who speaks when is settled: all final turns so far and the tentative ones,
            cropped to it, never change. A tentative turn that begins before it can only become longer, or be cut by
            the end of the audio, which lies behind it. It never goes back.
    """

    final: tuple[Turn, ...]
    tentative: tuple[Turn, ...]
    final_until: float


class LiveTurns:
    """Turns frame scores into named turns while they come in, exactly as offline post-processing does.

    All `final` turns, joined and sorted, are those of `binarize.to_turns` on all the scores at once, with the same
    `end`, rounded to the microsecond, speakers named `SPEAKER_00`, ... by first appearance. How the scores are cut
    makes no difference to them. Memory doesn't grow with the stream; with `confidence` it grows with the longest turn.

    Args:
        params: thresholds, pads and durations.
        grid: where the frames lie; the first one pushed begins at `grid.start`.
        speakers: columns of the scores.
        subframe: equal parts that each frame is cut into; see `binarize`.
        confidence: put the mean score of their frames on the turns, as `with_confidence` does.

    Raises:
        ConfigError: `speakers` or `subframe` isn't a whole number that can be used.
    """

    def __init__(
        self,
        params: PostProcessingParams,
        grid: FrameGrid,
        speakers: int,
        subframe: int = 1,
        confidence: bool = False,
    ) -> None:
        if not is_count(speakers, least=0):
            raise ConfigError(f"speakers={speakers!r}: give the number of columns that the scores have.")
        if not is_count(subframe, least=1):
            raise ConfigError(f"subframe={subframe!r}: give a whole number, 1 or more.")
        self._params = params
        # Joins what nothing can come between any more; whether it is long enough shows only when all is joined.
        self._joining = params if params.filter_speech_first else replace(params, min_duration_on=0.0)
        self._grid = grid
        self._subframe = subframe
        self._parts = subframe if params.offset > params.onset else 1  # see `binarize`
        self._tracks = [_Track(f"SPEAKER_{column:02d}") for column in range(speakers)]
        self._talking = np.zeros(speakers, dtype=bool)
        self._heard = 0  # subframes
        self._naming = _Naming(limit=grid.start)
        self._totals = _Totals(grid, speakers) if confidence else None
        self._finished = False

    def push(self, scores: ArrayLike) -> LiveStep:
        """Take the scores of the next frames, (n, speakers) with n >= 0, and return what they settle.

        Raises:
            InputError: scores of another shape, or with NaN in them, or after `finish`.
        """
        data = self._checked(scores)
        edges = self._edges(data)
        ahead = float(self._clipped(self._padded([self._heard, inf]))[0, 0])
        for track, own in zip(self._tracks, edges, strict=True):
            self._follow(track, own, ahead)
        frames = self._heard // self._subframe
        self._naming.limit = float(self._grid.time(max(frames - 1, 0)))
        if self._totals is not None:
            self._totals.push(data)
        step = self._step()
        if self._totals is not None:
            self._totals.forget(min((track.first for track in self._tracks), default=ahead))
        return step

    def finish(self, end: float | None = None) -> LiveStep:
        """Settle everything, cut at `end` seconds, the end of the audio (None: pads may stick out).

        Raises:
            InputError: the last frame begins after `end`, or the turns are finished already.
        """
        self._check_open()
        limit = self._naming.limit
        if end is not None and not end >= limit - algebra.TOLERANCE:
            raise InputError(
                f"end={end!r}: the last frame begins at {limit} s; leave out frames behind the audio's end."
            )
        for track in self._tracks:
            rows = algebra.clip([*track.settled, *track.standing], end=end)
            track.settled, track.standing, track.begins = _pairs(rows), [], inf
        self._naming.limit = inf
        self._naming.end = inf if end is None else end
        self._finished = True
        step = self._step()
        if end is None:
            heard = float(self._grid.start + self._heard * self._width)
            end = max([heard, *(turn.end for turn in step.final)])
        return replace(step, final_until=end)

    @property
    def _width(self) -> float:
        return self._grid.step / self._subframe

    def _check_open(self) -> None:
        if self._finished:
            raise InputError("These turns are finished: make a new LiveTurns for another stream.")

    def _checked(self, scores: ArrayLike) -> NDArray[np.float32]:
        self._check_open()
        data = np.asarray(scores, dtype=np.float32)  # as FrameScores
        if data.ndim != 2 or data.shape[1] != len(self._tracks):
            raise InputError(f"Scores have shape {data.shape}: give (frames, {len(self._tracks)}).")
        return as_columns(data)

    def _edges(self, data: NDArray[np.float32]) -> list[list[int]]:
        """Return the subframes at which each speaker starts or stops, counted from the first of the stream."""
        onset, offset = float(self._params.onset), float(self._params.offset)
        states = np.concatenate((self._talking[None], talking(data, onset, offset, self._parts, before=self._talking)))
        columns, places = np.nonzero((states[1:] != states[:-1]).T)
        each = self._subframe // self._parts
        edges: list[list[int]] = [[] for _ in self._tracks]
        for column, place in zip(columns.tolist(), (places * each + self._heard).tolist(), strict=True):
            edges[column].append(place)
        self._talking = states[-1]
        self._heard += (len(states) - 1) * each
        return edges

    def _follow(self, track: _Track, edges: list[int], ahead: float) -> None:
        """Find out what is settled of a speaker who starts and stops at `edges`; other speech begins `ahead`."""
        edges = track.run + edges
        if not edges and not len(track.closed):
            track.standing, track.begins = [], ahead
            return
        whole = len(edges) // 2 * 2
        track.run = edges[whole:]
        lasting = [track.run[0], self._heard] if track.run else []
        endless = [track.run[0] if track.run else self._heard, inf]
        padded = self._padded([*edges[:whole], *lasting, *endless])
        closed = np.concatenate((track.closed, self._clipped(padded[: whole // 2])))
        silence = self._filtered(np.concatenate((closed, padded[whole // 2 : -1])))
        speech = self._filtered(np.concatenate((closed, padded[-1:])))
        settled = len(speech) - 1
        track.settled += _pairs(silence[:settled])
        track.standing = _pairs(silence[settled:])
        track.begins = float(speech[-1, 0])
        track.closed = self._compact(closed[closed[:, 0] >= track.begins])

    def _compact(self, closed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Join pending segments as far as their future doesn't matter, so that there are never more than two."""
        if len(closed) < 3:
            return closed
        merged = algebra.merge(closed)
        return np.concatenate((filter_durations(merged[:-1], self._joining), merged[-1:]))

    def _padded(self, edges: Sequence[float]) -> NDArray[np.float64]:
        times = self._grid.start + np.array(edges, dtype=np.float64).reshape(-1, 2) * self._width
        return algebra.pad(times, self._params.pad_onset, self._params.pad_offset)

    def _clipped(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return algebra.clip(rows, start=self._grid.start)

    def _filtered(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return filter_durations(self._clipped(rows), self._params)

    def _step(self) -> LiveStep:
        naming = self._naming
        naming.name(self._tracks)
        until = naming.settled_until(self._tracks)
        final = [(i, row) for i, track in enumerate(self._tracks) for row in naming.released(track)]
        tentative = [(i, row) for i, track in enumerate(self._tracks) for row in track.waiting]
        names = naming.provisional([(row, self._tracks[i].column) for i, row in tentative])
        turns = self._turns(final + tentative, names)
        return LiveStep(tuple(sorted(turns[: len(final)])), tuple(sorted(turns[len(final) :])), until)

    def _turns(self, rows: list[tuple[int, _Row]], names: dict[str, str]) -> list[Turn]:
        means: Sequence[float | None] = [None] * len(rows)
        if self._totals is not None and rows:
            means = self._totals.means([i for i, _ in rows], [row for _, row in rows])
        clock = self._naming.clock
        return [
            Turn(clock(start), clock(end), names[self._tracks[i].column], mean)
            for (i, (start, end)), mean in zip(rows, means, strict=True)
        ]


_Row = tuple[float, float]


def _pairs(rows: NDArray[np.float64]) -> list[_Row]:
    return [(start, end) for start, end in rows.tolist()]


@dataclass
class _Track:
    """What one speaker has said that isn't given out yet; times are padded seconds, not rounded."""

    column: str
    run: list[int] = field(default_factory=list)
    """The subframe at which speech began that still lasts, if it does."""
    closed: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    """Segments of finished runs that later ones may yet join, or that may yet be too short."""
    settled: list[_Row] = field(default_factory=list)
    """Segments that wait for a name, or for audio that reaches behind them."""
    standing: list[_Row] = field(default_factory=list)
    """None, or the one segment that exists for certain but may become longer."""
    begins: float = 0.0
    """No segment but those settled begins before this."""

    @property
    def waiting(self) -> list[_Row]:
        return self.settled + self.standing

    @property
    def first(self) -> float:
        return self.settled[0][0] if self.settled else self.begins


class _First(NamedTuple):
    """The first turn of a speaker without a name. The order of names is the order of these."""

    start: float  # or, without a turn so far, the earliest that it may be
    end: float  # or the earliest that it may be
    column: str
    exists: bool
    ended: bool


class _Naming:
    """Names speakers by first appearance, and releases the turns of those who have a name.

    Attributes:
        limit: seconds before which the audio doesn't end.
        end: where it does end, once that is known.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.end = inf
        self._names: dict[str, str] = {}

    def clock(self, time: float) -> float:
        """A time to the microsecond (what is finer comes of adding floats), not past the end of the audio."""
        return min(round(time, 6), self.end)

    def name(self, tracks: list[_Track]) -> None:
        """Name those whose first turn nobody can come before any more."""
        firsts = [self._first(track) for track in tracks if track.column not in self._names]
        while any(first.exists for first in firsts):
            earliest = min(firsts)
            firsts.remove(earliest)
            alone = all(other.start > earliest.start for other in firsts)
            if not (earliest.exists and (earliest.ended or alone)):
                return  # what has no end yet may be overtaken by what began with it
            self._names[earliest.column] = f"SPEAKER_{len(self._names):02d}"

    def provisional(self, rows: list[tuple[_Row, str]]) -> dict[str, str]:
        """Return all names, with those that the columns of `rows` would get if nothing else came."""
        names = dict(self._names)
        for _, _, column in sorted((self.clock(start), self.clock(end), column) for (start, end), column in rows):
            names.setdefault(column, f"SPEAKER_{len(names):02d}")
        return names

    def released(self, track: _Track) -> list[_Row]:
        """Take the segments that can't change any more from those settled, if their speaker has a name."""
        ready = 0
        if track.column in self._names:
            while ready < len(track.settled) and self._ended(track.settled[ready]):
                ready += 1
        released, track.settled = track.settled[:ready], track.settled[ready:]
        return released

    def settled_until(self, tracks: list[_Track]) -> float:
        """Return the earliest time at which anything but the end of a certain turn may change."""
        moments = [min(self.limit, self.clock(self.limit))]
        for track in tracks:
            moments.append(self.clock(track.standing[0][1] if track.standing else track.begins))
            # The end of the audio may leave less of a turn than counts as one.
            sure = self.limit - 2 * algebra.TOLERANCE if track.column in self._names else -inf
            moments += [self.clock(start) for start, _ in track.waiting if start >= sure]
        return min(moments)

    def _first(self, track: _Track) -> _First:
        if not track.waiting:
            begins = self.clock(track.begins)
            return _First(begins, begins, track.column, exists=False, ended=False)
        row = track.waiting[0]
        start, end = self.clock(row[0]), self.clock(min(row[1], self.limit))
        ended = bool(track.settled) and self._ended(row)
        return _First(start, end, track.column, exists=True, ended=ended)

    def _ended(self, row: _Row) -> bool:
        """Whether the end of the audio can't touch a settled segment, rounded or not."""
        return max(row[1], self.clock(row[1])) <= self.limit


class _Totals:
    """Sums of each speaker's scores from the first frame on, kept as far back as a turn may need them.

    Sums begin with the stream, so that they hold the very floats that `turn_confidence` has.
    """

    def __init__(self, grid: FrameGrid, speakers: int) -> None:
        self._grid = grid
        self._forgotten = 0  # frames
        self._sums: list[list[float]] = [[0.0] * speakers]  # before the first frame kept, and after each

    def push(self, data: NDArray[np.float32]) -> None:
        """Take the scores of the next frames, (n, speakers)."""
        sums = np.cumsum(np.concatenate(([self._sums[-1]], data)), axis=0, dtype=np.float64)
        self._sums += sums[1:].tolist()

    def means(self, columns: list[int], rows: list[_Row]) -> list[float]:
        """Return the mean score of each row's frames in its column."""
        frames = self._forgotten + len(self._sums) - 1
        first, last = frames_of(np.array(rows), self._grid, frames)
        spans = zip(columns, (first - self._forgotten).tolist(), (last - self._forgotten).tolist(), strict=True)
        return [(self._sums[b][column] - self._sums[a][column]) / (b - a) for column, a, b in spans]

    def forget(self, time: float) -> None:
        """Drop what turns that begin at `time` or later don't need."""
        # A turn behind the frames has the last of them.
        first = min(int(self._grid.index(time)), self._forgotten + len(self._sums) - 2)
        if first > self._forgotten:
            del self._sums[: first - self._forgotten]
            self._forgotten = first
