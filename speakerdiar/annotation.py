"""Who spoke when, as small frozen values. Times are seconds (float) on the recording's own clock.

>>> from speakerdiar.annotation import Diarization, Turn
>>> talk = Diarization("talk", 10.0, (Turn(0, 4, "B"), Turn(3, 6, "A")))
>>> [(t.start, t.end, t.speaker) for t in talk]
[(0.0, 4.0, 'B'), (3.0, 6.0, 'A')]
>>> talk.overlap
(Segment(start=3.0, end=4.0),)
>>> [t.speaker for t in talk.renamed()]
['SPEAKER_00', 'SPEAKER_01']
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from speakerdiar.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from speakerdiar.frames import FrameScores


@dataclass(frozen=True, order=True)
class Segment:
    """A stretch of time from `start` to `end`, in seconds. Empty (and false) where `end <= start`."""

    start: float
    end: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", _seconds(self.start, "start"))
        object.__setattr__(self, "end", _seconds(self.end, "end"))

    @property
    def duration(self) -> float:
        """Seconds from start to end, 0 when empty."""
        return max(0.0, self.end - self.start)

    @property
    def middle(self) -> float:
        """The point half-way."""
        return (self.start + self.end) / 2

    def __bool__(self) -> bool:
        return self.end > self.start

    def __and__(self, other: Segment) -> Segment:
        """What both cover; empty where they don't meet."""
        return Segment(max(self.start, other.start), min(self.end, other.end))

    def __contains__(self, time: float) -> bool:
        return self.start <= time < self.end

    def __iter__(self) -> Iterator[float]:
        yield self.start
        yield self.end


@dataclass(frozen=True, order=True)
class Turn:
    """One speaker talking from `start` to `end` (seconds), with a confidence in 0..1 where the model gives one."""

    start: float
    end: float
    speaker: str
    confidence: float | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", _seconds(self.start, "start"))
        object.__setattr__(self, "end", _seconds(self.end, "end"))
        if not isinstance(self.speaker, str) or not self.speaker:
            raise InputError(f"speaker={self.speaker!r}: give a name that isn't empty.")
        if self.end <= self.start:
            raise InputError(f"A turn of {self.speaker} ends at {self.end}, not after its start {self.start}.")

    @property
    def duration(self) -> float:
        """Seconds from start to end."""
        return self.end - self.start

    @property
    def segment(self) -> Segment:
        """The turn's time without its speaker."""
        return Segment(self.start, self.end)


# The order of turns themselves, without a tuple made for every comparison.
_ORDER = attrgetter("start", "end", "speaker")


@dataclass(frozen=True)
class Confidence:
    """Scores in 0..1 at a fixed step: `scores[i]` holds from `i * resolution` seconds on."""

    scores: tuple[float, ...]
    resolution: float


@dataclass(frozen=True)
class Diarization:
    """Who spoke when in one recording. Iterates over its turns, sorted by start, end and speaker.

    Equality compares recording, span and turns; embeddings, confidence and scores stand outside it.

    Attributes:
        recording_id: the id that the recording came in with.
        duration: seconds of audio that were looked at.
        turns: the turns, sorted; turns of different speakers may overlap.
        offset: where in the recording the audio that was looked at begins, in seconds. Turns are on the recording's
            clock, so they lie between `offset` and `offset + duration`.
        embeddings: one vector a speaker, by name.
        confidence: frame-wise confidence, where it was asked for.
        scores: frame-wise speaker activities, where the model has them and they were asked for.
        alone: the turns of one speaker at a time, where the model itself says who has the floor in overlap.
        identified: how like their enrolled voice those speakers are who go by its name (cosine, -1 to 1), by name.
    """

    recording_id: str
    duration: float
    turns: tuple[Turn, ...] = ()
    offset: float = 0.0
    embeddings: Mapping[str, NDArray[np.float32]] = field(default_factory=dict, compare=False, repr=False)
    confidence: Confidence | None = field(default=None, compare=False, repr=False)
    scores: FrameScores | None = field(default=None, compare=False, repr=False)
    alone: tuple[Turn, ...] | None = field(default=None, compare=False, repr=False)
    identified: Mapping[str, float] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "duration", _seconds(self.duration, "duration"))
        object.__setattr__(self, "offset", _seconds(self.offset, "offset"))
        object.__setattr__(self, "turns", tuple(sorted(self.turns, key=_ORDER)))
        if self.alone is not None:
            object.__setattr__(self, "alone", tuple(sorted(self.alone, key=_ORDER)))

    def __iter__(self) -> Iterator[Turn]:
        return iter(self.turns)

    def __len__(self) -> int:
        return len(self.turns)

    def __bool__(self) -> bool:
        """Whether anyone speaks."""
        return bool(self.turns)

    @property
    def extent(self) -> Segment:
        """The span of the recording that was looked at."""
        return Segment(self.offset, self.offset + self.duration)

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers, in order of first appearance."""
        return tuple(dict.fromkeys(turn.speaker for turn in self.turns))

    @property
    def speaker_diarization(self) -> Iterator[tuple[Segment, str]]:
        """Pairs (segment, speaker) of all turns."""
        return ((turn.segment, turn.speaker) for turn in self.turns)

    @property
    def speech(self) -> tuple[Segment, ...]:
        """Where at least one person speaks; segments neither touch nor overlap."""
        return covered(self.turns, at_least=1)

    @property
    def overlap(self) -> tuple[Segment, ...]:
        """Where at least two people speak at once."""
        return covered(self.supported().turns, at_least=2)

    @property
    def speaker_changes(self) -> tuple[float, ...]:
        """The moments at which the set of active speakers passes from some to some others, in seconds."""
        pieces = list(active_speakers(self.turns))
        return tuple(
            after.start for (before, old), (after, new) in pairwise(pieces) if before.end == after.start and old != new
        )

    @property
    def exclusive(self) -> Diarization:
        """One speaker at a time: in overlap, the one whom the model hears best, or whose turn began first.

        The latter goes for models that don't say, and every moment of speech stays covered then.
        """
        if self.alone is not None:
            return replace(self, turns=self.alone)
        turns: list[Turn] = []
        taken = -math.inf
        for turn in self.supported():
            if turn.end > taken:
                turns.append(replace(turn, start=max(turn.start, taken)))
                taken = turn.end
        return replace(self, turns=tuple(turns))

    def supported(self, gap: float = 0.0) -> Diarization:
        """Join turns of one speaker that touch, overlap, or are at most `gap` seconds apart."""
        spoken: dict[str, list[Turn]] = {}
        for turn in self.turns:
            own = spoken.setdefault(turn.speaker, [])
            if own and turn.start <= own[-1].end + gap:
                own[-1] = replace(own[-1], end=max(own[-1].end, turn.end))
            else:
                own.append(turn)
        joined = tuple(turn for own in spoken.values() for turn in own)
        return replace(self, turns=joined, alone=None if gap else self.alone)

    def crop(self, segment: Segment) -> Diarization:
        """Keep what lies inside `segment`; the clock stays the recording's."""
        span = self.extent & segment

        def cropped(turns: Iterable[Turn]) -> tuple[Turn, ...]:
            kept = [(turn, turn.segment & segment) for turn in turns]
            return tuple(replace(turn, start=part.start, end=part.end) for turn, part in kept if part)

        return replace(self._each_view(cropped), offset=span.start, duration=span.duration)

    def shifted(self, seconds: float) -> Diarization:
        """Move all turns and the extent by `seconds`."""

        def moved(turns: Iterable[Turn]) -> tuple[Turn, ...]:
            return tuple(replace(turn, start=turn.start + seconds, end=turn.end + seconds) for turn in turns)

        return replace(self._each_view(moved), offset=self.offset + seconds)

    def renamed(self, names: Mapping[str, str] | None = None) -> Diarization:
        """Give speakers other names; without a mapping `SPEAKER_00`, `SPEAKER_01`, ... by first appearance.

        Embeddings, identities and frame scores follow their speakers; embeddings and identities of speakers without a
        turn are dropped.
        """
        if names is None:
            names = {old: f"SPEAKER_{index:02d}" for index, old in enumerate(self.speakers)}
        new = {old: names.get(old, old) for old in self.speakers}

        def called(turns: Iterable[Turn]) -> tuple[Turn, ...]:
            return tuple(replace(turn, speaker=new.get(turn.speaker, turn.speaker)) for turn in turns)

        embeddings = {new[old]: self.embeddings[old] for old in self.speakers if old in self.embeddings}
        identified = {new[old]: self.identified[old] for old in self.speakers if old in self.identified}
        scores = self.scores
        if scores is not None:
            scores = replace(scores, speakers=tuple(new.get(old, old) for old in scores.speakers))
        return replace(self._each_view(called), embeddings=embeddings, identified=identified, scores=scores)

    def _each_view(self, change: Callable[[Iterable[Turn]], tuple[Turn, ...]]) -> Diarization:
        """Change the turns, and those of one speaker at a time in the same way."""
        return replace(self, turns=change(self.turns), alone=None if self.alone is None else change(self.alone))

    def durations(self) -> dict[str, float]:
        """Seconds of speech of each speaker, in order of first appearance."""
        totals = dict.fromkeys(self.speakers, 0.0)
        for turn in self.supported():
            totals[turn.speaker] += turn.duration
        return totals

    # What follows are doors to the rooms above: docs/decisions/0002.

    def to_rttm(self) -> str:
        """The turns as RTTM lines (`speakerdiar.formats.rttm`)."""
        from speakerdiar.formats import rttm

        return rttm.dumps([self])

    def to_json(self) -> dict[str, Any]:
        """The JSON document, as plain Python values (`speakerdiar.formats.json_doc`)."""
        from speakerdiar.formats import json_doc

        return json_doc.to_document(self)

    def to_dataframe(self) -> Any:
        """A pandas DataFrame with columns start, end, speaker, confidence. Needs the `dataframe` extra."""
        from speakerdiar.formats import tables

        return tables.to_dataframe(self)

    def to_nemo_lines(self) -> list[str]:
        """NeMo's `"start end speaker_k"` strings, grouped by speaker as NeMo groups them."""
        from speakerdiar.formats import nemo_lines

        return nemo_lines.dumps(self)

    def to_vad(self) -> list[tuple[float, float]]:
        """(start, end) of speech, whoever speaks."""
        return [(segment.start, segment.end) for segment in self.speech]

    def write_rttm(self, file: TextIO) -> None:
        """Write the turns as RTTM lines to an open text file."""
        file.write(self.to_rttm())

    def save(self, path: str | Path) -> Path:
        """Write to `path` in the format of its suffix: .rttm .json .csv .srt .vtt .txt .labels .TextGrid .lab.

        Raises:
            FormatError: no format has this suffix; the message lists those that exist.
        """
        from speakerdiar import formats

        return formats.save(self, path)

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the turns as a timeline. Needs the `plot` extra (`speakerdiar.plotting`)."""
        from speakerdiar import plotting

        return plotting.plot_diarization(self, ax=ax, **options)


def active_turns(turns: Iterable[Turn]) -> Iterator[tuple[Segment, tuple[Turn, ...]]]:
    """Cut time where a turn begins or ends; yield each piece that has speech with the turns that cover it."""
    ordered = sorted(turns, key=_ORDER)
    borders = sorted({time for turn in ordered for time in (turn.start, turn.end)})
    active: list[Turn] = []
    position = 0
    for start, end in pairwise(borders):
        active = [turn for turn in active if turn.end > start]
        while position < len(ordered) and ordered[position].start <= start:
            active.append(ordered[position])
            position += 1
        if active:
            yield Segment(start, end), tuple(active)


def active_speakers(turns: Iterable[Turn]) -> Iterator[tuple[Segment, frozenset[str]]]:
    """Like `active_turns`, with the names of those who speak, and pieces of one and the same set joined."""
    current: tuple[Segment, frozenset[str]] | None = None
    for segment, active in active_turns(turns):
        names = frozenset(turn.speaker for turn in active)
        if current is not None and current[0].end == segment.start and current[1] == names:
            current = (Segment(current[0].start, segment.end), names)
            continue
        if current is not None:
            yield current
        current = (segment, names)
    if current is not None:
        yield current


def covered(turns: Iterable[Turn], at_least: int) -> tuple[Segment, ...]:
    """Where at least `at_least` turns run at once; touching segments are joined."""
    # Starts come before ends of the same moment, so that the count doesn't dip where segments touch.
    moments = sorted((time, kind) for turn in turns for kind, time in enumerate((turn.start, turn.end)))
    joined: list[Segment] = []
    count, since = 0, 0.0
    for time, is_end in moments:
        if is_end and count == at_least and time > since:
            joined.append(Segment(since, time))
        count += -1 if is_end else 1
        if not is_end and count == at_least:
            since = time
    return tuple(joined)


def _seconds(value: float, name: str) -> float:
    time = float(value)
    if not math.isfinite(time):
        raise InputError(f"{name}={value!r}: times are finite numbers of seconds.")
    return time
