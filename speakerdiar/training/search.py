"""Looks for the values that score best, with Optuna."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from speakerdiar.config import require
from speakerdiar.errors import MissingExtraError
from speakerdiar.ranges import Range

Values = dict[str, Any]


def search(
    space: Mapping[str, Range],
    starts: Sequence[Values],
    score: Callable[[Values], float],
    *,
    trials: int,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Values:
    """Return the values with the lowest score; the first to start from where nothing beats them.

    The sampler is Optuna's TPE (Bergstra et al., "Algorithms for hyper-parameter optimization", NIPS 2011). The first
    trials are `starts`, as they are, even where they lie outside the ranges.

    Args:
        space: what to look for, by name, and where.
        starts: one or more, each with a value for each name.
        score: of values by name; asked once for the same values.
        trials: how many values are tried, `starts` among them, which are tried anyway.
        seed: of all chance.
        progress: called with (trials done, trials in all).

    Raises:
        ConfigError: nothing to look for, or no trials.
        MissingExtraError: Optuna isn't installed.
    """
    require(bool(space), "space", dict(space), "name at least one threshold")
    require(trials >= 1, "trials", trials, "give a whole number, 1 or more")
    scores: dict[tuple[Any, ...], float] = {}

    def scored(values: Values) -> float:
        key = tuple(values[name] for name in space)
        if key not in scores:
            scores[key] = score(values)
        return scores[key]

    best = dict(starts[0])
    total = max(trials, len(starts))
    with _study(seed) as study:
        for start in starts:
            study.enqueue_trial({name: place.nearest(start[name]) for name, place in space.items()})
        for done in range(total):
            trial = study.ask()
            values = {name: place.nearest(_suggested(trial, name, place)) for name, place in space.items()}
            if done < len(starts):
                values = dict(starts[done])
            found = scored(values)
            study.tell(trial, found)
            best = values if found < scored(best) else best
            if progress is not None:
                progress(done + 1, total)
    return best


def _suggested(trial: Any, name: str, place: Range) -> float:
    if place.whole:
        return float(trial.suggest_int(name, round(place.low), round(place.high), log=place.log))
    return float(trial.suggest_float(name, place.low, place.high, log=place.log))


@contextmanager
def _study(seed: int) -> Iterator[Any]:
    """Yield a study that is kept in memory and says nothing."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "tune", "Tuning") from error
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    finally:
        optuna.logging.set_verbosity(before)
