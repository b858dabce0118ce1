from __future__ import annotations

import sys
from typing import Any

import optuna
import pytest

from speakerdiar.errors import ConfigError, MissingExtraError
from speakerdiar.ranges import Range
from speakerdiar.training.search import search

SPACE = {"a": Range(0.0, 1.0), "b": Range(1, 40, log=True, whole=True), "c": Range(0.01, 10.0, log=True)}
START = {"a": 0.9, "b": 30, "c": 5.0}


def bowl(values: dict[str, Any]) -> float:
    return float((values["a"] - 0.3) ** 2 + abs(values["b"] - 4) / 40 + abs(values["c"] - 0.1))


def test_it_comes_near_the_best_values_and_does_so_again() -> None:
    found = search(SPACE, [START], bowl, trials=60, seed=1)
    assert bowl(found) < 0.2 < bowl(START)
    assert isinstance(found["b"], int)
    assert found == search(SPACE, [START], bowl, trials=60, seed=1)


def test_what_is_there_stays_where_nothing_beats_it_even_outside_the_ranges() -> None:
    start = {"a": -3.0}
    asked: list[float] = []

    def rising(values: dict[str, Any]) -> float:
        asked.append(values["a"])
        return float(values["a"])

    assert search({"a": Range(0.0, 1.0)}, [start], rising, trials=5) == start
    assert asked[0] == -3.0
    assert len(asked) == 5


def test_the_first_of_equals_stays_and_each_start_is_tried() -> None:
    starts = [{"a": 0.25}, {"a": 0.5}]
    seen: list[dict[str, Any]] = []

    def flat(values: dict[str, Any]) -> float:
        seen.append(values)
        return 1.0

    assert search({"a": Range(0.0, 1.0)}, starts, flat, trials=1) == starts[0]
    assert seen == starts


def test_the_same_values_are_scored_once() -> None:
    seen: list[int] = []

    def score(values: dict[str, Any]) -> float:
        seen.append(values["a"])
        return 0.0

    search({"a": Range(0, 1, whole=True)}, [{"a": 0}], score, trials=12)
    assert sorted(seen) == [0, 1]


def test_progress_is_told_and_optuna_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[int, int]] = []
    verbosity = optuna.logging.get_verbosity()
    search(SPACE, [START], bowl, trials=3, progress=lambda *now: told.append(now))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == verbosity


def test_nothing_to_look_for_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one threshold"):
        search({}, [{}], bowl, trials=3)
    with pytest.raises(ConfigError, match="trials=0"):
        search(SPACE, [START], bowl, trials=0)


def test_without_optuna_the_error_is_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"speakerdiar\[tune\]"):
        search(SPACE, [START], bowl, trials=1)
