"""Live recordings pushed through a model chunk by chunk, and what every update must keep to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from speakerdiar.annotation import Turn
from speakerdiar.updates import StreamingUpdate, joined

NEAR = 1e-5
"""Turns are on a clock of microseconds."""


def stream(
    model: Any, audio: NDArray[np.float32], latency: Any = None, chunk: int = 1600, **options: Any
) -> list[StreamingUpdate]:
    session = model.stream(latency, **options)
    pushed = [session.push(audio[start : start + chunk]) for start in range(0, len(audio), chunk)]
    return [*pushed, session.finish()]


def rows(turns: Any, end: float = float("inf")) -> list[tuple[float, float, str]]:
    """Who speaks when up to a time; what follows on is one row."""
    found: list[tuple[float, float, str]] = []
    for turn in sorted(turns):
        if turn.start >= end - NEAR:
            continue
        start, stop = turn.start, min(turn.end, end)
        if found and found[-1][2] == turn.speaker and start - found[-1][1] < NEAR:
            start = found.pop()[0]
        found.append((round(start, 4), round(stop, 4), turn.speaker))
    return found


def check_promises(updates: list[StreamingUpdate], seconds: float) -> None:
    """Time goes on, and what an update says up to `final_until` is what comes out in the end."""
    last = joined(updates)
    given: list[Turn] = []
    for before, now in zip([StreamingUpdate(0.0), *updates], updates, strict=False):
        assert now.time >= before.time
        assert now.final_until >= before.final_until
        given += now.final
        said = rows([*given, *now.tentative], now.final_until)
        assert said == rows(last, now.final_until)
    assert not updates[-1].tentative
    assert updates[-1].final_until == updates[-1].time == last.duration == pytest.approx(seconds)
