"""Finds thresholds for recordings of one kind: those of a model's parts, and of its post-processing.

The networks hear each recording once. A trial only decides anew on what they made of it, and scores the result, so that
it takes a fraction of a second for each minute of audio.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from speakerdiar.config import DiarizeConfig, is_count, require
from speakerdiar.errors import ConfigError, UnknownOptionError
from speakerdiar.metrics import FileScore, Rules
from speakerdiar.mixins import SpkDiarizationMixin
from speakerdiar.models.diarizers.live_clustering import LiveClusteringMixin
from speakerdiar.models.settings import DiarizerSettings
from speakerdiar.ranges import Range
from speakerdiar.training.bench import Bench, total
from speakerdiar.training.dev_set import KnownRecording
from speakerdiar.training.search import Values, search

HEARING = "hearing"
"""Name of the choice between what the networks heard with the present early options and with those found."""
RESAMPLED = 2000
"""Sets of recordings that are drawn to see how far a gain depends on them."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Comparison:
    """Scores of the same recordings before and after.

    Attributes:
        before: one a recording, under the present thresholds.
        after: the same under those that were found.
    """

    before: tuple[FileScore, ...] = ()
    after: tuple[FileScore, ...] = ()

    def __add__(self, other: Comparison) -> Comparison:
        return Comparison(self.before + other.before, self.after + other.after)

    @property
    def gain(self) -> float:
        """By how much the error rate fell, over all recordings; as a fraction."""
        return total(self.before).der.rate - total(self.after).der.rate

    def gain_interval(self, share: float = 0.9, seed: int = 0) -> tuple[float, float]:
        """Return between which gains so large a share of other sets of such recordings would lie (bootstrap)."""
        parts = [(b.der.error - a.der.error, b.der.total) for b, a in zip(self.before, self.after, strict=True)]
        gained, spoken = np.array(parts, dtype=np.float64).reshape(-1, 2).T
        drawn = np.random.default_rng(seed).integers(len(parts), size=(RESAMPLED, len(parts)))
        rates = gained[drawn].sum(axis=1) / np.maximum(spoken[drawn].sum(axis=1), 1e-9)
        low, high = np.quantile(rates, [(1 - share) / 2, (1 + share) / 2])
        return float(low), float(high)


@dataclass(frozen=True)
class Tuned:
    """What tuning found.

    Attributes:
        space: the thresholds that were looked for, and where.
        present: their values before.
        values: the best ones; `present` where nothing beat them.
        tuned_on: scores of the recordings they were found on.
        held_out: scores of those that were kept out, of folds under each one's own values; None where none were.
        settings: model, thresholds and options of a call with these values, for a file.
        rules: collar and overlap rule of the scores.
        trials: how many values were tried.
        seconds: that a trial took, the networks aside.
    """

    space: Mapping[str, Range]
    present: Values
    values: Values
    tuned_on: Comparison
    held_out: Comparison | None = None
    settings: DiarizerSettings = field(default_factory=DiarizerSettings)
    rules: Rules = field(default_factory=Rules)
    trials: int = 0
    seconds: float = 0.0


def tune(
    model: SpkDiarizationMixin,
    recordings: Sequence[KnownRecording],
    *,
    trials: int = 100,
    seed: int = 0,
    rules: Rules | None = None,
    hold_out: float = 0.0,
    folds: int = 0,
    only: Iterable[str] = (),
    config: DiarizeConfig | None = None,
    settings: DiarizerSettings | None = None,
    progress: Progress | None = None,
) -> Tuned:
    """Find the thresholds with the lowest diarization error rate over all recordings.

    Thresholds that the networks need before they run (`Range.early`) are found first, by how well they find speech; the
    rest then, by the whole error rate, on what the networks heard with the present ones and with those found.

    Args:
        model: whose thresholds; it isn't changed.
        recordings: with their turns; see `speakerdiar.training.dev_set.read_known`.
        trials: how many values are tried.
        seed: of all chance.
        rules: collar and overlap rule; by default none is left out.
        hold_out: share of the recordings that is kept out, to see what the values are worth on others.
        folds: in place of that, tune so many times more, each time on the recordings but one part, and score that part:
            what others can expect is known from all of them, and all of them are tuned on.
        only: names of thresholds, or of options and parts with all below; by default all.
        config: options of the calls, where they aren't the defaults.
        settings: what the model and the options came from; the result's are put on top of them.
        progress: called with (stage, done, in all); stages are `hear`, `speech` and `tune`.

    Raises:
        ConfigError: an option that can't be used, too few recordings, or a model without thresholds.
        UnknownOptionError: `only` names a threshold that the model doesn't have; the message has the closest.
        MissingExtraError: Optuna isn't installed.
    """
    if isinstance(model, LiveClusteringMixin) and config is not None and config.latency is not None:
        # Its turns are settled while it hears.
        raise ConfigError(f"latency={config.latency!r}: leave it out where thresholds are tuned.")
    space = chosen(model, only)
    learnt, kept = parted(len(recordings), hold_out, seed)
    check_folds(folds, len(recordings), hold_out)
    whole = Bench(model, recordings, config, rules, _stage(progress, "hear"))
    present = {name: value for name, value in whole.present().items() if name in space}
    whole.scores(present)  # every recording is heard, once for all parts

    def found(bench: Bench) -> Values:
        return _found(bench, space, present, trials=trials, seed=seed, progress=progress)

    bench, start = whole.part(learnt), time.perf_counter()
    values = found(bench)
    seconds = time.perf_counter() - start - bench.hearing_seconds
    others = [(whole.part(kept), values)] if kept else []
    for fold in range(folds):
        rest = [place for place in learnt if place % folds != fold]
        others.append((whole.part(range(fold, len(recordings), folds)), found(whole.part(rest))))
    return Tuned(
        space=space,
        present=present,
        values=values,
        tuned_on=compared(bench, present, values),
        held_out=sum((compared(part, present, own) for part, own in others), Comparison()) if others else None,
        settings=with_values(settings or DiarizerSettings(), bench, values),
        rules=whole.rules,
        trials=trials,
        seconds=seconds / trials,
    )


def compared(bench: Bench, before: Values, after: Values) -> Comparison:
    """Return the scores of a bench's recordings under two sets of thresholds."""
    return Comparison(bench.scores(before), bench.scores(after))


def chosen(model: SpkDiarizationMixin, only: Iterable[str]) -> dict[str, Range]:
    """Return the ranges of a model's thresholds: those below the names in `only`, or all."""
    space = {**model.TUNABLE, **model.part_ranges()}
    if not space:
        raise ConfigError(f"{type(model).__name__} has no thresholds to tune: tune the models that it is made of.")
    wanted = set(only)
    groups = {name.partition(".")[0] for name in space}
    for name in wanted - groups:
        if name not in space:
            raise UnknownOptionError(name, {*space, *groups}, type(model).__name__)
    return {name: place for name, place in space.items() if not wanted or {name, name.partition(".")[0]} & wanted}


def parted(count: int, hold_out: float, seed: int) -> tuple[list[int], list[int]]:
    """Return which of so many recordings are tuned on, and which are kept out, drawn by chance."""
    require(0 <= hold_out < 1, "hold_out", hold_out, "give a share of the recordings, 0 or more and below 1")
    out = max(1, round(hold_out * count)) if hold_out else 0
    if count <= out:
        raise ConfigError(f"{count} recordings, {out} of them held out: give more, or hold out fewer.")
    order = np.random.default_rng(seed).permutation(count)
    return sorted(order[out:].tolist()), sorted(order[:out].tolist())


def check_folds(folds: int, count: int, hold_out: float) -> None:
    """Raise ConfigError for a number of folds that so many recordings can't make."""
    possible = folds == 0 or (is_count(folds, least=2) and folds <= count)
    require(possible, "folds", folds, f"give 2 to {count}, the number of recordings, or 0 for none")
    require(not (folds and hold_out), "hold_out", hold_out, "folds hold recordings out too: give one of the two")


def _found(
    bench: Bench, space: Mapping[str, Range], present: Values, *, trials: int, seed: int, progress: Progress | None
) -> Values:
    """Return the best values of the thresholds."""
    early = {name: place for name, place in space.items() if place.early}
    late = {name: place for name, place in space.items() if name not in early}
    heard_with = [{name: present[name] for name in early}]
    if early:
        own = heard_with[0]
        speech = search(
            early,
            [own],
            lambda values: bench.speech_error(values, own),
            trials=trials,
            seed=seed,
            progress=_stage(progress, "speech"),
        )
        heard_with += [speech] if speech != own else []
    if len(heard_with) > 1:
        late[HEARING] = Range(0, 1, whole=True)

    def all_of(values: Values) -> Values:
        rest = {name: value for name, value in values.items() if name != HEARING}
        return {**heard_with[values.get(HEARING, 0)], **rest}

    if not late:
        return present
    starts = [{**present, HEARING: index} for index in range(len(heard_with))]
    best = search(
        late,
        [{name: start[name] for name in late} for start in starts],
        lambda values: total(bench.scores(all_of(values))).der.rate,
        trials=trials,
        seed=seed,
        progress=_stage(progress, "tune"),
    )
    found = all_of(best)
    return {name: found[name] for name in space}


def with_values(settings: DiarizerSettings, bench: Bench, values: Values) -> DiarizerSettings:
    """Return settings with these thresholds: a model's parts', and options of a call."""
    config = bench.call_options(values)
    parts = bench.model.part_ranges()
    options = {name.partition(".")[0] for name in values if name not in parts}
    told: dict[str, Any] = {name: getattr(config, name) for name in sorted(options)}
    if "postprocessing_params" in told:
        told["postprocessing_params"] = asdict(config.postprocessing_params)
        settings = _without(settings, "postprocessing_yaml")
    thresholds = {name: value for name, value in values.items() if name in parts}
    return DiarizerSettings(
        settings.model, settings.options, {**settings.thresholds, **thresholds}, {**settings.diarize, **told}
    )


def _without(settings: DiarizerSettings, option: str) -> DiarizerSettings:
    rest = {name: value for name, value in settings.diarize.items() if name != option}
    return DiarizerSettings(settings.model, settings.options, settings.thresholds, rest)


def _stage(progress: Progress | None, stage: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, of: progress(stage, done, of)
