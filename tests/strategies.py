"""Random diarizations for the round trips."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from speakerdiar.annotation import Confidence, Diarization, Turn

# What formats trip over, ahead of the rest of Unicode; half surrogates have no UTF-8 form.
TROUBLE = [
    " ",
    "%",
    "%20",
    "%E4",
    '"',
    "'",
    ",",
    ";;",
    "<",
    ">",
    "&amp;",
    "\\",
    "/",
    "-->",
    "é",
    "話",
    "\u00a0",
    "🙂",
    "=",
]
BREAKS = ["\n", "\r", "\t", "\x0b", "\x1c", "\x85", "\u2028", "\ufeff"]


_WITHOUT_BREAKS = st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"))
_ANYTHING = st.characters(exclude_categories=["Cs"])


def names(*, breaks: bool = True) -> st.SearchStrategy[str]:
    """Names of speakers and recordings; with `breaks` also with tabs and line breaks."""
    pieces = [*TROUBLE, *(BREAKS if breaks else ()), *"aAbB04E"]
    made = st.lists(st.sampled_from(pieces), min_size=1, max_size=5).map("".join)
    return made | st.text(_ANYTHING if breaks else _WITHOUT_BREAKS, min_size=1, max_size=3)


@st.composite
def diarizations(
    draw: st.DrawFn, *, grid: int = 10**6, breaks: bool = True, least_turns: int = 1, latest: int = 10**5
) -> Diarization:
    """Diarizations with times on a grid of `grid` steps a second, up to 1e5 s; they begin at 0 and end with a turn."""
    speakers = draw(st.lists(names(breaks=breaks), min_size=1, max_size=3, unique=True))
    ticks = st.one_of(st.integers(0, 20 * grid), st.integers(0, latest * grid))
    turns = []
    for _ in range(draw(st.integers(least_turns, 5))):
        start, length = draw(ticks), draw(st.one_of(st.integers(1, 5 * grid), ticks.filter(bool)))
        confidence = draw(st.none() | st.floats(0, 1))
        turns.append(Turn(start / grid, (start + length) / grid, draw(st.sampled_from(speakers)), confidence))
    duration = max((turn.end for turn in turns), default=0.0)
    return Diarization(draw(names(breaks=breaks)), duration, tuple(turns))


@st.composite
def full_diarizations(draw: st.DrawFn) -> Diarization:
    """Diarizations with everything that can be told in text: any finite times, offset, embeddings, confidence."""
    moments = st.floats(-1e5, 1e5)
    pairs = st.tuples(moments, moments, names(), st.none() | st.floats(0, 1)).filter(lambda found: found[0] != found[1])
    turns = tuple(Turn(min(a, b), max(a, b), name, score) for a, b, name, score in draw(st.lists(pairs, max_size=5)))
    vectors = st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=4).map(
        lambda v: np.array(v, dtype=np.float32)
    )
    scores = st.lists(st.floats(0, 1), max_size=4).map(tuple)
    return Diarization(
        draw(st.text(_ANYTHING, max_size=5)),
        draw(st.floats(0, 1e5)),
        turns,
        draw(moments),
        embeddings={turn.speaker: draw(vectors) for turn in turns},
        confidence=draw(st.none() | st.builds(Confidence, scores, st.floats(1e-3, 1))),
    )
