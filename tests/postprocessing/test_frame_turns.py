"""Turns from frames, with the times of their middles."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar.annotation import Turn
from speakerdiar.config import PostProcessingParams
from speakerdiar.errors import InputError
from speakerdiar.postprocessing.frame_turns import frame_confidence, frame_turns, turn_confidence
from speakerdiar.postprocessing.local_speech import LocalSpeech
from speakerdiar.postprocessing.reconstruction import reconstruct, speakers_at_once
from speakerdiar.windows import WindowGrid

# Frames of 0.5 s, centred on 0.25 s, 0.75 s, ...
GRID = WindowGrid(rate=100, window=400, step=100, frames=8, frame_step=50, receptive=50)


def rows(text: str) -> NDArray[np.bool_]:
    """Columns apart by blanks; a letter talks, a dot is silent."""
    return np.array([[sign != "." for sign in column] for column in text.split()]).T


def told(active: NDArray[np.bool_], **options: object) -> list[tuple[float, float, str]]:
    return [(turn.start, turn.end, turn.speaker) for turn in frame_turns(active, GRID, **options)]  # type: ignore[arg-type]


@st.composite
def frames(draw: st.DrawFn) -> NDArray[np.bool_]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rng.random((draw(st.integers(0, 40)), draw(st.integers(0, 4)))) < draw(st.floats(0, 1))


def test_turns_run_from_middle_to_middle() -> None:
    assert told(rows("aa..a. .bbbbb"), names=["a", "b"]) == [(0.25, 1.25, "a"), (0.75, 2.75, "b"), (2.25, 2.75, "a")]


def test_a_turn_of_the_last_frame_alone_has_no_length() -> None:
    assert told(rows("..a")) == []


def test_gaps_shorter_than_asked_are_filled() -> None:
    active = rows("a.a..a.")
    assert told(active, params=PostProcessingParams(min_duration_off=0.5)) == told(active)
    filled = told(active, params=PostProcessingParams(min_duration_off=0.6))
    assert [span[:2] for span in filled] == [(0.25, 1.75), (2.75, 3.25)]


def test_short_turns_go_before_or_after_gaps_are_filled() -> None:
    active = rows("a.a..")
    for first, expected in ((True, []), (False, [(0.25, 1.75)])):
        params = PostProcessingParams(min_duration_on=1.0, min_duration_off=0.6, filter_speech_first=first)
        assert [span[:2] for span in told(active, params=params)] == expected


def test_pads_stay_inside_the_audio() -> None:
    params = PostProcessingParams(pad_onset=0.5, pad_offset=1.0)
    assert told(rows("a..a."), params=params, end=2.5) == [(0.0, 2.5, "0")]
    assert told(rows("a...."), params=params, end=1.0) == [(0.0, 1.0, "0")]


@given(frames(), st.floats(0, 25))
def test_no_turn_past_the_end(active: NDArray[np.bool_], end: float) -> None:
    assert all(turn.end <= end for turn in frame_turns(active, GRID, end=end))


@given(frames())
def test_frames_come_back_from_turns(active: NDArray[np.bool_]) -> None:
    again = np.zeros_like(active)
    middles = GRID.middle(np.arange(len(active)))
    for turn in frame_turns(active, GRID):
        again[(middles >= turn.start) & (middles < turn.end), int(turn.speaker)] = True
    np.testing.assert_array_equal(again[:-1], active[:-1])


@given(frames(), st.lists(st.integers(0, 40), max_size=5))
def test_blocks_never_change_the_turns(active: NDArray[np.bool_], cuts: list[int]) -> None:
    edges = sorted([0, len(active), *(min(cut, len(active)) for cut in cuts)])
    blocks = [(first, active[first:last]) for first, last in pairwise(edges)]
    assert frame_turns(iter(blocks), GRID) == frame_turns(active, GRID)


def test_blocks_that_leave_gaps_are_refused() -> None:
    with pytest.raises(InputError, match="frame 3: frame 2 comes next"):
        frame_turns([(0, rows("aa")), (3, rows("aa"))], GRID)


def test_a_name_is_needed_where_somebody_talks() -> None:
    assert told(rows("a.. ..."), names=["a"]) == [(0.25, 0.75, "a")]
    with pytest.raises(InputError, match="Column 1 talks and there are 1 names"):
        told(rows("... b.."), names=["a"])


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (5, 0), (5, 2)])
def test_silence_has_no_turns(shape: tuple[int, int]) -> None:
    assert told(np.zeros(shape, dtype=bool)) == []


# Confidence. Two windows of 8 frames; frames 2 to 7 lie in both, frames 8 and 9 in the second alone, none reaches 10.


def heard(first: str, second: str, certainty: float | None = None) -> LocalSpeech:
    """Two windows of one local speaker each."""
    speech = LocalSpeech.of(np.stack([rows(first), rows(second)]), GRID, 500)
    if certainty is None:
        return speech
    return replace(speech, certainty=np.full(speech.bits.shape, round(certainty * 255), dtype=np.uint8))


LABELS = np.array([[0], [0]])


def test_a_turn_gets_the_share_of_windows_that_agree() -> None:
    speech = heard("..aaaa..", "aa......")
    (turn,) = turn_confidence([Turn(1.25, 3.25, "0")], speech, LABELS)
    assert turn == Turn(1.25, 3.25, "0")
    assert turn.confidence == pytest.approx((1 + 1 + 0.5 + 0.5) / 4)
    (named,) = turn_confidence([Turn(1.25, 2.25, "a")], speech, LABELS, names=["a"])
    assert named.confidence == 1


def test_doubts_lower_the_confidence() -> None:
    turn = Turn(1.25, 3.25, "0")
    found = [
        turn_confidence([turn], heard("..aaaa..", "aaaa....", certainty), LABELS)[0].confidence
        for certainty in (None, 1.0, 0.6, 0.2)
    ]
    assert found == pytest.approx([1, 1, 0.6, 0.2])


def test_somebody_whom_no_window_hears_has_no_confidence() -> None:
    speech = heard("..aaaa..", "aaaa....")
    invented = turn_confidence([Turn(1.25, 3.25, "1")], speech, LABELS)
    assert invented[0].confidence == 0
    assert turn_confidence([], speech, LABELS) == ()


@pytest.mark.parametrize(("speaker", "names"), [("B", None), ("-1", None), ("0", ["A"])])
def test_turns_need_the_name_of_a_column(speaker: str, names: list[str] | None) -> None:
    with pytest.raises(InputError, match=f"'{speaker}' isn't the name of a column"):
        turn_confidence([Turn(1.25, 3.25, speaker)], heard("..aaaa..", "aaaa...."), LABELS, names=names)


def test_frames_are_as_certain_as_their_least_certain_speaker() -> None:
    speech = heard("..aaaa..", "aa.....b".replace("b", "a"), 0.8)
    active = np.zeros((11, 1), dtype=bool)
    active[2:6] = True
    scores = frame_confidence(speech, LABELS, active)
    assert scores.resolution == 0.5
    assert scores.scores == pytest.approx([0.8, 0.8, 0.8, 0.8, 0.4, 0.4, 0.8, 0.8, 0.8, 0.0], abs=0.01)
    other = frame_confidence(speech, np.array([[0], [1]]), np.pad(active, ((0, 0), (0, 1))))
    assert other.scores[2:6] == pytest.approx([0.4] * 4, abs=0.01)


@given(st.integers(0, 2**32), st.integers(0, 6), st.integers(1, 8))
def test_confidence_lies_between_0_and_1_whatever_the_blocks(seed: int, windows: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    samples = GRID.window + (windows - 1) * GRID.step if windows else 0
    speech = LocalSpeech.of(rng.random((windows, GRID.frames, 3)) < 0.4, GRID, samples)
    speech = replace(speech, certainty=rng.integers(0, 256, speech.bits.shape, dtype=np.uint8))
    labels = rng.integers(-1, 2, (windows, 3))
    active = reconstruct(speech, labels, 2, speakers_at_once(speech))
    turns = frame_turns(active, GRID, end=speech.seconds)
    scored = turn_confidence(turns, speech, labels, windows_at_once=size)
    in_one = turn_confidence(turns, speech, labels)
    assert [turn.confidence for turn in scored] == pytest.approx([turn.confidence for turn in in_one])
    frames_ = frame_confidence(speech, labels, active, windows_at_once=size)
    assert frames_ == frame_confidence(speech, labels, active)
    assert all(0 <= score <= 1 for score in (*frames_.scores, *(turn.confidence or 0 for turn in scored)))
    assert len(frames_.scores) == 2 * speech.seconds


def test_frames_of_another_recording_are_refused() -> None:
    with pytest.raises(InputError, match="in 3 frames: give it for all 11"):
        frame_confidence(heard("aa......", "........"), LABELS, np.zeros((3, 1), dtype=bool))
