from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.annotation import Diarization, Segment, Turn
from speakerdiar.config import PostProcessingParams
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.frames import FrameGrid, FrameScores
from speakerdiar.postprocessing.binarize import to_turns
from speakerdiar.postprocessing.confidence import with_confidence
from speakerdiar.postprocessing.live import LiveStep, LiveTurns

SECOND = FrameGrid(1.0)
PLAIN = PostProcessingParams()


@dataclass(frozen=True)
class Stream:
    """Scores, and all that decides what becomes of them."""

    scores: np.ndarray
    params: PostProcessingParams
    grid: FrameGrid
    subframe: int
    end: float | None
    cuts: tuple[int, ...]
    confidence: bool

    def live(self) -> LiveTurns:
        return LiveTurns(self.params, self.grid, self.scores.shape[1], self.subframe, self.confidence)

    def steps(self) -> list[LiveStep]:
        live = self.live()
        pieces = np.split(self.scores, self.cuts)
        return [*(live.push(piece) for piece in pieces), live.finish(self.end)]

    def offline(self) -> tuple[Turn, ...]:
        scores = FrameScores(self.scores, self.grid)
        turns = to_turns(scores, self.params, subframe=self.subframe, end=self.end)
        return named(with_confidence(scores, turns) if self.confidence else turns, self.end)


def named(turns: tuple[Turn, ...], end: float | None) -> tuple[Turn, ...]:
    """What becomes of offline turns on their way to the caller: the microsecond, the end, names by appearance."""
    last = float("inf") if end is None else end
    on_clock = [
        replace(turn, start=min(round(turn.start, 6), last), end=min(round(turn.end, 6), last)) for turn in turns
    ]
    return Diarization("", 0.0, tuple(on_clock)).renamed().turns


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Streams of few values, so that turns are often short, tied, and just as long as a limit."""
    speakers = draw(st.integers(1, 4))
    frames = draw(st.integers(0, 60))
    # Runs of one row of scores, since single frames seldom make long turns or joint starts.
    level = st.sampled_from([0.1, 0.45, 0.55, 0.9])
    rows = draw(st.lists(st.tuples(st.lists(level, min_size=speakers, max_size=speakers), st.integers(1, 6))))
    flat = [row for row, times in rows for _ in range(times)][:frames]
    scores = np.array(flat, dtype=np.float32).reshape(-1, speakers)
    grid = FrameGrid(draw(st.sampled_from([0.08, 0.1, 1.0, 1 / 6])), draw(st.sampled_from([0.0, 0.0, 1.25])))
    onset, offset = draw(st.sampled_from([(0.5, 0.5), (0.6, 0.4), (0.4, 0.6), (0.5, 0.7)]))
    pad = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.0, 0.5, 0.99, 1.0, 2.0])
    duration = st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.0, 3.0, 5.0])
    before, after, on, off = (grid.step * draw(frames) for frames in (pad, pad, duration, duration))
    params = PostProcessingParams(onset, offset, before, after, on, off, draw(st.booleans()))
    cuts = draw(st.lists(st.integers(0, len(scores))) | st.just(list(range(len(scores)))))
    sticks_out = draw(st.sampled_from([0.0, 0.25, 0.5, 1.0, 1.0, 3.0]))
    end = grid.start + grid.step * max(0.0, len(scores) - 1 + sticks_out)
    subframe = draw(st.sampled_from([1, 8, 3]))
    maybe_end = draw(st.sampled_from([end, max(end, float(grid.time(max(0, len(scores) - 1)))), None]))
    return Stream(scores, params, grid, subframe, maybe_end, tuple(sorted(cuts)), draw(st.booleans()))


def cropped(turns: list[Turn], until: float) -> tuple[Turn, ...]:
    return tuple(Diarization("", 0.0, tuple(turns)).crop(Segment(-100.0, until)))


@given(streams())
@settings(max_examples=600)
def test_joined_final_turns_are_the_offline_turns(stream: Stream) -> None:
    steps, expected = stream.steps(), stream.offline()
    final = tuple(sorted(turn for step in steps for turn in step.final))
    assert final == expected
    assert [turn.confidence for turn in final] == [turn.confidence for turn in expected]
    assert not steps[-1].tentative


@given(streams())
@settings(max_examples=600)
def test_nothing_changes_before_final_until(stream: Stream) -> None:
    steps, expected = stream.steps(), stream.offline()
    final: list[Turn] = []
    for step in steps:
        final += step.final
        until = step.final_until
        assert cropped([*final, *step.tentative], until) == cropped(list(expected), until)
        assert step.final == tuple(sorted(step.final))
        assert step.tentative == tuple(sorted(step.tentative))
    assert all(before.final_until <= after.final_until for before, after in pairwise(steps))


@given(streams())
@settings(max_examples=200)
def test_a_state_does_not_depend_on_how_the_scores_were_cut(stream: Stream) -> None:
    """After the same frames: the same turns given, the same ones tentative, the same time settled."""
    live, position = stream.live(), 0
    final: list[Turn] = []
    for cut in [*stream.cuts, len(stream.scores)]:
        at_once = stream.live().push(stream.scores[:cut])
        step = live.push(stream.scores[position:cut])
        position = cut
        final += step.final
        assert tuple(sorted(final)) == at_once.final
        assert step.tentative == at_once.tentative
        assert step.final_until == at_once.final_until
        assert [turn.confidence for turn in step.tentative] == [turn.confidence for turn in at_once.tentative]


@given(streams())
@settings(max_examples=200)
def test_final_and_tentative_turns_are_what_offline_has_so_far(stream: Stream) -> None:
    live = stream.live()
    final: list[Turn] = []
    for position in range(len(stream.scores)):
        step = live.push(stream.scores[position : position + 1])
        final += step.final
        so_far = replace(stream, scores=stream.scores[: position + 1], end=None).offline()
        assert tuple(sorted([*final, *step.tentative])) == so_far


def frame_by_frame(
    rows: list[list[float]], params: PostProcessingParams = PLAIN, grid: FrameGrid = SECOND
) -> list[LiveStep]:
    live = LiveTurns(params, grid, len(rows[0]))
    return [live.push([row]) for row in rows]


def test_a_turn_is_final_with_the_frame_that_ends_it() -> None:
    steps = frame_by_frame([[0.9], [0.9], [0.1], [0.1]])
    assert [step.final for step in steps] == [(), (), (Turn(0, 2, "SPEAKER_00"),), ()]
    assert [step.tentative for step in steps] == [(Turn(0, 1, "SPEAKER_00"),), (Turn(0, 2, "SPEAKER_00"),), (), ()]
    assert [step.final_until for step in steps] == [0, 1, 2, 3]


def test_a_long_monologue_moves_what_is_settled() -> None:
    params = PostProcessingParams(pad_onset=1.0, pad_offset=0.5, min_duration_on=2.0, min_duration_off=3.0)
    steps = frame_by_frame([[0.1, 0.1]] * 5 + [[0.9, 0.1]] * 100, params)
    assert not any(step.final for step in steps)
    assert [step.final_until for step in steps[-3:]] == [102, 103, 104]
    assert steps[-1].tentative == (Turn(4, 105.5, "SPEAKER_00"),)


def test_another_speaker_is_final_during_a_monologue() -> None:
    steps = frame_by_frame([[0.1, 0.9], [0.9, 0.9], [0.1, 0.9]])
    assert steps[-1].final == (Turn(1, 2, "SPEAKER_01"),)
    assert steps[-1].tentative == (Turn(0, 3, "SPEAKER_00"),)


def test_names_wait_while_two_who_began_at_once_go_on() -> None:
    both, one = [0.9, 0.9, 0.1], [0.9, 0.1, 0.1]
    steps = frame_by_frame([both, [0.9, 0.9, 0.9], both, one, one])
    # The second stops at 3 s. Until the audio is known to go on behind that, the first may stop there too.
    assert [len(step.final) for step in steps] == [0, 0, 0, 0, 2]
    assert [step.final_until for step in steps] == [0, 0, 0, 0, 4]
    tied = (Turn(0, 3, "SPEAKER_00"), Turn(0, 3, "SPEAKER_01"), Turn(1, 2, "SPEAKER_02"))
    assert steps[2].tentative == tied
    assert steps[4].final == (Turn(0, 3, "SPEAKER_00"), Turn(1, 2, "SPEAKER_02"))
    assert steps[4].tentative == (Turn(0, 5, "SPEAKER_01"),)


def test_a_gap_that_may_be_filled_keeps_a_turn_back() -> None:
    steps = frame_by_frame([[0.9], [0.1], [0.1], [0.1], [0.1]], PostProcessingParams(min_duration_off=3.0))
    assert [len(step.final) for step in steps] == [0, 0, 0, 1, 0]
    assert [step.final_until for step in steps] == [0, 1, 1, 3, 4]


def test_speech_that_may_be_too_short_is_not_settled() -> None:
    steps = frame_by_frame([[0.1], [0.9], [0.9], [0.9], [0.1]], PostProcessingParams(min_duration_on=3.0))
    assert [step.tentative for step in steps] == [(), (), (), (Turn(1, 4, "SPEAKER_00"),), ()]
    assert [step.final_until for step in steps] == [0, 1, 1, 3, 4]


def test_a_turn_that_the_end_may_cut_is_kept_back() -> None:
    params = PostProcessingParams(pad_offset=1.01)
    live = LiveTurns(params, SECOND, 1)
    assert live.push([[0.9], [0.1], [0.1]]).final == ()
    assert live.finish(2.005) == LiveStep((Turn(0, 2.005, "SPEAKER_00"),), (), 2.005)
    assert frame_by_frame([[0.9], [0.1], [0.1], [0.1]], params)[-1].final == (Turn(0, 2.01, "SPEAKER_00"),)


def test_a_turn_whose_rounded_time_the_end_may_cut_is_kept_back() -> None:
    sixth = FrameGrid(1 / 6)
    live = LiveTurns(PLAIN, sixth, 1)
    assert live.push([[0.9], [0.1]]).final == ()
    assert live.finish(1 / 6).final == (Turn(0, 1 / 6, "SPEAKER_00"),)  # not 0.166667


def test_a_turn_of_which_the_end_may_leave_next_to_nothing_is_not_settled() -> None:
    live = LiveTurns(PostProcessingParams(pad_onset=-0.9999992), SECOND, 1)
    assert live.push([[0.1], [0.9], [0.9]]).final_until == 1.999999
    assert live.finish(2.0) == LiveStep((), (), 2.0)


def test_speech_that_is_dropped_in_the_end_takes_no_name() -> None:
    params = PostProcessingParams(min_duration_on=2.0, min_duration_off=3.0, filter_speech_first=False)
    steps = frame_by_frame([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9], [0.1, 0.1]], params)
    assert [step.final_until for step in steps] == [0, 0, 0, 3, 4]
    assert steps[-1].tentative == (Turn(1, 4, "SPEAKER_00"),)


def test_a_turn_behind_the_frames_has_the_confidence_of_the_last() -> None:
    live = LiveTurns(PostProcessingParams(pad_onset=-2.0, pad_offset=2.0), SECOND, 1, confidence=True)
    live.push([[0.1], [0.1], [0.1], [0.75]])
    (turn,) = live.finish().final
    assert (turn.start, turn.end, turn.confidence) == (5, 6, 0.75)


def test_pads_stick_out_where_the_end_is_not_given() -> None:
    live = LiveTurns(PostProcessingParams(pad_offset=1.5), SECOND, 1)
    live.push([[0.9]])
    assert live.finish() == LiveStep((Turn(0, 2.5, "SPEAKER_00"),), (), 2.5)


def test_no_frames_and_no_speakers() -> None:
    assert LiveTurns(PLAIN, SECOND, 2).finish(0.0) == LiveStep((), (), 0.0)
    assert LiveTurns(PLAIN, FrameGrid(1.0, 2.0), 2, confidence=True).push(np.zeros((0, 2))) == LiveStep((), (), 2.0)
    none = LiveTurns(PLAIN, SECOND, 0, confidence=True)
    assert none.push(np.zeros((3, 0))) == LiveStep((), (), 2.0)
    assert none.finish(3.0) == LiveStep((), (), 3.0)


def size_of(thing: object) -> int:
    """Bytes that an object holds, with all it is made of."""
    if isinstance(thing, np.ndarray):
        return thing.nbytes
    if isinstance(thing, dict):
        return sys.getsizeof(thing) + sum(map(size_of, thing.values()))
    if isinstance(thing, (list, tuple)):
        return sys.getsizeof(thing) + sum(map(size_of, thing))
    return size_of(vars(thing)) if hasattr(thing, "__dict__") else sys.getsizeof(thing)


@pytest.mark.parametrize("confidence", [False, True])
@pytest.mark.parametrize("speech_first", [True, False])
def test_memory_does_not_grow_with_the_stream(confidence: bool, speech_first: bool) -> None:
    rows = np.array([[0.9, 0.1], [0.9, 0.9], [0.1, 0.9], [0.1, 0.1], [0.1, 0.1]] * 200, dtype=np.float32)
    params = PostProcessingParams(min_duration_on=1.0, min_duration_off=2.0, filter_speech_first=speech_first)
    assert growth(LiveTurns(params, SECOND, 2, confidence=confidence), rows) < 200


@pytest.mark.parametrize("speech_first", [True, False])
def test_memory_does_not_grow_with_a_turn_of_many_pieces(speech_first: bool) -> None:
    rows = np.array([[0.9], [0.9], [0.1], [0.9], [0.1]] * 200, dtype=np.float32)
    params = PostProcessingParams(min_duration_on=2.0, min_duration_off=5.0, filter_speech_first=speech_first)
    assert growth(LiveTurns(params, SECOND, 1), rows) < 200


def growth(live: LiveTurns, rows: np.ndarray) -> int:
    """Bytes gained between the twentieth of the pieces and the last."""
    sizes = []
    for piece in np.split(rows, 100):
        live.push(piece)
        sizes.append(size_of(live))
    return sizes[-1] - sizes[20]


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="speakers=-1"):
        LiveTurns(PLAIN, SECOND, -1)
    with pytest.raises(ConfigError, match="subframe=0"):
        LiveTurns(PLAIN, SECOND, 1, subframe=0)
    live = LiveTurns(PLAIN, SECOND, 2)
    with pytest.raises(InputError, match=r"\(3,\).*\(frames, 2\)"):
        live.push([0.1, 0.2, 0.3])
    with pytest.raises(InputError, match="NaN"):
        live.push([[0.1, np.nan]])
    live.push([[0.1, 0.9]] * 3)
    with pytest.raises(InputError, match=r"end=1\.5.*2\.0 s"):
        live.finish(1.5)
    assert live.finish(2.5).final == (Turn(0, 2.5, "SPEAKER_00"),)
    with pytest.raises(InputError, match="finished"):
        live.push([[0.1, 0.9]])
    with pytest.raises(InputError, match="finished"):
        live.finish()
