"""Who speaks when in a made conversation: statistics of turn taking, and plans drawn from them.

Four kinds of transition lead from one turn to the next (Yamashita, Horiguchi and Homma: "Improving the naturalness of
simulated conversations for end-to-end neural diarization", Odyssey 2022): a turn-hold (the same speaker goes on after a
pause), a turn-switch (another one speaks after a pause), an interruption (another one begins before the end and goes
on past it) and a back-channel (another one speaks inside the turn, whose speaker keeps the floor). That statistics are
taken from real turns follows Landini et al.: "From simulated mixtures to simulated conversations as training data for
end-to-end neural diarization", Interspeech 2022.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from speakerdiar.annotation import Diarization
from speakerdiar.errors import ConfigError, InputError

MOST_SPEAKERS = 8
KINDS = ("turn_hold", "turn_switch", "interruption", "backchannel")
# Both turns around an interruption keep some time outside of it, or the talk would not move on.
MOST_SHARED = 0.9


class PlannedTurn(NamedTuple):
    """A turn of a plan: which speaker (from 0), where it begins and how long it is (seconds)."""

    speaker: int
    start: float
    length: float

    @property
    def end(self) -> float:
        """Seconds at which it ends."""
        return self.start + self.length


@dataclass(frozen=True)
class TurnTaking:
    """Statistics of a conversation; what isn't said otherwise is in seconds.

    Pauses and overlaps are exponential, lengths of turns log-normal, as in real talk. The four shares are relative:
    only their proportions count.

    Attributes:
        turn_hold: share of transitions in which the same speaker goes on after a pause.
        turn_switch: share in which another speaker follows after a pause.
        interruption: share in which another speaker begins before the end, and ends after it.
        backchannel: share in which another speaker speaks inside the turn.
        hold_pause: mean pause at a turn-hold.
        switch_pause: mean pause at a turn-switch.
        overlap: mean time that an interruption shares with the turn before; less where turns are too short for it.
        turn_length: mean length of a turn.
        turn_spread: standard deviation of the logarithm of that length.
        backchannel_length: mean length of a back-channel.
        shortest: no turn is shorter.
    """

    turn_hold: float = 0.25
    turn_switch: float = 0.4
    interruption: float = 0.2
    backchannel: float = 0.15
    hold_pause: float = 0.6
    switch_pause: float = 0.5
    overlap: float = 0.6
    turn_length: float = 2.5
    turn_spread: float = 0.7
    backchannel_length: float = 0.6
    shortest: float = 0.3

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{field.name}={value!r}: give a finite number of 0 or more.")
        if self.turn_hold + self.turn_switch + self.interruption <= 0:
            raise ConfigError(
                "turn_hold, turn_switch and interruption are all 0: raise one, or the talk never moves on."
            )
        for name in ("turn_length", "backchannel_length", "shortest"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name}={getattr(self, name)!r}: give a length above 0 s.")

    @classmethod
    def measured(cls, references: Iterable[Diarization]) -> TurnTaking:
        """Take the statistics of real turns: those of one speaker that touch or overlap count as one.

        Raises:
            InputError: no recording has two turns one after the other.
        """
        seen: dict[str, list[float]] = {kind: [] for kind in KINDS}
        lengths: list[float] = []
        backchannels: list[float] = []
        for reference in references:
            for kind, value, length in _transitions(reference):
                seen[kind].append(value)
                (backchannels if kind == "backchannel" else lengths).append(length)
        if not lengths:
            raise InputError("No reference has two turns one after the other: give recordings with more turns.")
        counts = {kind: float(len(values)) for kind, values in seen.items()}
        logarithms = np.log(lengths)
        return cls(
            **counts,
            hold_pause=_mean(seen["turn_hold"]),
            switch_pause=_mean(seen["turn_switch"]),
            overlap=_mean(seen["interruption"]),
            turn_length=_mean(lengths),
            turn_spread=float(logarithms.std()),
            backchannel_length=_mean(backchannels) or cls.backchannel_length,
            shortest=min(lengths + backchannels),
        )

    def plan(
        self, speakers: int, seconds: float, rng: np.random.Generator, shares: Sequence[float] | None = None
    ) -> tuple[PlannedTurn, ...]:
        """Draw the turns of `speakers` people over `seconds`, sorted by start; no one overlaps themselves.

        Args:
            speakers: 1 to 8 of them. In a short conversation not all of them need speak.
            seconds: length of the conversation; what would stick out is cut.
            rng: where all chance comes from.
            shares: how much each speaks beside the others; alike by default. Who has a larger share speaks longer.

        Raises:
            ConfigError: speakers, seconds or shares that can't be used.
        """
        scales = _scales(speakers, seconds, shares)
        drawn = sorted(self._turns(scales, seconds, rng), key=lambda turn: turn.start)
        cut = (turn._replace(length=min(turn.length, seconds - turn.start)) for turn in drawn)
        return tuple(turn for turn in cut if turn.length >= min(self.shortest, seconds))

    def _turns(self, scales: Sequence[float], seconds: float, rng: np.random.Generator) -> Iterator[PlannedTurn]:
        """Yield turns until one begins at `seconds` or later; `holder` is the one who has the floor."""
        speaker = int(rng.integers(len(scales)))
        holder = PlannedTurn(speaker, rng.exponential(self.switch_pause), self._length(rng, scales[speaker]))
        ends = [0.0] * len(scales)  # of each one's last turn
        yield holder
        while holder.start < seconds:
            ends[holder.speaker] = holder.end
            kind = self._kind(rng) if len(scales) > 1 else "turn_hold"
            speaker = holder.speaker if kind == "turn_hold" else _other(rng, len(scales), holder.speaker)
            length = self._length(rng, scales[speaker], kind)
            start = self._start(rng, kind, holder, length, ends[speaker])
            if start is None:
                continue
            turn = PlannedTurn(speaker, start, length)
            yield turn
            if kind == "backchannel":
                ends[speaker] = turn.end
            else:
                holder = turn

    def _kind(self, rng: np.random.Generator) -> str:
        shares = np.array([getattr(self, kind) for kind in KINDS])
        return KINDS[int(np.searchsorted(shares.cumsum(), rng.uniform(0, shares.sum()), side="right"))]

    def _length(self, rng: np.random.Generator, scale: float, kind: str = "") -> float:
        mean = scale * (self.backchannel_length if kind == "backchannel" else self.turn_length)
        # The mean of a log-normal lies half a variance above the logarithm's.
        length = rng.lognormal(math.log(mean) - self.turn_spread**2 / 2, self.turn_spread)
        return max(self.shortest, float(length))

    def _start(
        self, rng: np.random.Generator, kind: str, holder: PlannedTurn, length: float, free: float
    ) -> float | None:
        """When a turn begins whose speaker is busy until `free`; None for a back-channel that doesn't fit in."""
        if kind == "backchannel":
            first, last = max(holder.start, free), holder.end - length
            return float(rng.uniform(first, last)) if first < last else None
        if kind == "interruption":
            shared = min(rng.exponential(self.overlap), MOST_SHARED * holder.length, MOST_SHARED * length)
            return max(free, holder.end - float(shared))
        return holder.end + float(rng.exponential(self.hold_pause if kind == "turn_hold" else self.switch_pause))


def _other(rng: np.random.Generator, speakers: int, holder: int) -> int:
    return int(holder + rng.integers(1, speakers)) % speakers


def _scales(speakers: int, seconds: float, shares: Sequence[float] | None) -> list[float]:
    """By what each speaker's turns are longer than those of the average one."""
    if not 1 <= speakers <= MOST_SPEAKERS:
        raise ConfigError(f"speakers={speakers!r}: give 1 to {MOST_SPEAKERS}.")
    if not (math.isfinite(seconds) and seconds > 0):
        raise ConfigError(f"seconds={seconds!r}: give a length above 0 s.")
    given = np.ones(speakers) if shares is None else np.asarray(shares, dtype=float)
    if given.shape != (speakers,) or not (np.isfinite(given) & (given > 0)).all():
        raise ConfigError(f"shares={shares!r}: give {speakers} numbers above 0, one a speaker.")
    return [float(scale) for scale in given / given.mean()]


def _transitions(reference: Diarization) -> Iterator[tuple[str, float, float]]:
    """Yield (kind, seconds of pause or overlap, length of the turn that follows)."""
    turns = reference.supported().turns
    if not turns:
        return
    holder = turns[0]
    for turn in turns[1:]:
        if turn.end <= holder.end:
            yield "backchannel", turn.duration, turn.duration
            continue
        if turn.start < holder.end:
            yield "interruption", holder.end - turn.start, turn.duration
        else:
            kind = "turn_hold" if turn.speaker == holder.speaker else "turn_switch"
            yield kind, turn.start - holder.end, turn.duration
        holder = turn


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
