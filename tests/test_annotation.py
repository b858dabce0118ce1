from __future__ import annotations

import doctest
import math
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar import annotation
from speakerdiar.annotation import Diarization, Segment, Turn, active_speakers, active_turns, covered
from speakerdiar.errors import InputError

# Quarters of a second are exact floats, and few of them meet often: touching, nested and equal turns all occur.
ticks = st.integers(0, 40).map(lambda tick: tick / 4)
segments = st.builds(Segment, ticks, ticks)
spans = st.tuples(ticks, ticks).filter(lambda pair: pair[0] != pair[1]).map(sorted)
turns = st.builds(lambda span, speaker: Turn(span[0], span[1], speaker), spans, st.sampled_from("ABC"))
talks = st.lists(turns, max_size=10).map(lambda found: Diarization("talk", 10.0, tuple(found)))
MOMENTS = [tick / 4 + 0.125 for tick in range(-1, 42)]


def speaking(talk: Diarization, time: float) -> set[str]:
    return {turn.speaker for turn in talk if turn.start <= time < turn.end}


def timeline(talk: Diarization) -> list[set[str]]:
    return [speaking(talk, time) for time in MOMENTS]


def inside(regions: tuple[Segment, ...]) -> list[bool]:
    return [any(time in region for region in regions) for time in MOMENTS]


def test_the_example_of_the_module_runs() -> None:
    assert doctest.testmod(annotation).attempted > 0
    assert doctest.testmod(annotation).failed == 0


@given(segments, segments)
def test_what_two_segments_share(a: Segment, b: Segment) -> None:
    assert a & a == a
    assert (a & b) == (b & a)
    assert inside(((a & b),)) == [time in a and time in b for time in MOMENTS]
    assert (a & b).duration <= min(a.duration, b.duration)


@given(segments, segments, segments)
def test_sharing_has_no_order(a: Segment, b: Segment, c: Segment) -> None:
    assert (a & b) & c == a & (b & c)


@given(segments)
def test_a_segment_is_true_where_it_has_length(segment: Segment) -> None:
    assert bool(segment) == (segment.duration > 0) == any(inside((segment,)))
    assert tuple(segment) == (segment.start, segment.end)
    assert segment.middle == (segment.start + segment.end) / 2


def test_segments_are_half_open_values() -> None:
    segment = Segment(1, 2)
    assert 1 in segment
    assert 2 not in segment
    assert segment == Segment(1.0, 2.0)
    assert len({segment, Segment(1.0, 2.0)}) == 1
    assert Segment(1, 3) > segment
    assert isinstance(Segment(*np.array([1, 2], dtype=np.float32)).end, float)
    with pytest.raises(AttributeError):
        segment.start = 3.0  # type: ignore[misc]


@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf])
def test_times_are_finite(time: float) -> None:
    for make in (
        lambda: Segment(time, 1),
        lambda: Turn(0, time, "A"),
        lambda: Diarization("talk", time),
        lambda: Diarization("talk", 1, offset=time),
    ):
        with pytest.raises(InputError, match="times are finite numbers of seconds"):
            make()


def test_turns_that_cannot_be() -> None:
    with pytest.raises(InputError, match=r"A turn of A ends at 1\.0, not after its start 1\.0"):
        Turn(1, 1, "A")
    for name in ("", None, 3):
        with pytest.raises(InputError, match=r"speaker=.*: give a name that isn't empty"):
            Turn(0, 1, name)  # type: ignore[arg-type]


def test_confidence_stands_outside_equality() -> None:
    assert Turn(0, 1, "A", 0.5) == Turn(0, 1, "A")
    assert Turn(0, 1.5, "A").segment == Segment(0, 1.5)
    assert Turn(0, 1.5, "A").duration == 1.5


@given(st.lists(turns, max_size=10), st.randoms())
def test_the_order_that_turns_come_in_is_of_no_matter(found: list[Turn], random: Random) -> None:
    mixed = found.copy()
    random.shuffle(mixed)
    talk = Diarization("talk", 10.0, tuple(mixed))
    assert talk == Diarization("talk", 10.0, tuple(found))
    assert list(talk) == sorted(found)
    assert (len(talk), bool(talk)) == (len(found), bool(found))


@given(talks)
def test_speech_and_overlap_are_where_one_and_two_speak(talk: Diarization) -> None:
    assert inside(talk.speech) == [len(names) >= 1 for names in timeline(talk)]
    assert inside(talk.overlap) == [len(names) >= 2 for names in timeline(talk)]
    for regions in (talk.speech, talk.overlap):
        assert all(regions)
        assert all(before.end < after.start for before, after in pairwise(regions))
    assert talk.to_vad() == [tuple(segment) for segment in talk.speech]


@given(talks, st.integers(1, 4))
def test_covered_counts_turns(talk: Diarization, at_least: int) -> None:
    counts = [sum(time in turn.segment for turn in talk) for time in MOMENTS]
    regions = covered(talk, at_least)
    assert inside(regions) == [count >= at_least for count in counts]
    assert all(regions)


@given(talks)
def test_exclusive_covers_exactly_the_speech_one_speaker_at_a_time(talk: Diarization) -> None:
    exclusive = talk.exclusive
    assert exclusive.speech == talk.speech
    assert exclusive.overlap == ()
    assert all(before.end <= after.start for before, after in pairwise(exclusive))
    assert all(one <= many for one, many in zip(timeline(exclusive), timeline(talk), strict=True))
    assert exclusive.exclusive == exclusive


def test_whoever_began_first_keeps_the_floor() -> None:
    talk = Diarization("talk", 9, (Turn(0, 4, "A"), Turn(1, 6, "B"), Turn(2, 3, "C"), Turn(5, 7, "A")))
    assert talk.exclusive.turns == (Turn(0, 4, "A"), Turn(4, 6, "B"), Turn(6, 7, "A"))


@given(talks)
def test_supported_joins_one_speakers_turns_and_changes_no_moment(talk: Diarization) -> None:
    joined = talk.supported()
    assert timeline(joined) == timeline(talk)
    assert joined.supported() == joined
    for name in talk.speakers:
        own = [turn for turn in joined if turn.speaker == name]
        assert all(before.end < after.start for before, after in pairwise(own))


@given(talks, ticks)
def test_supported_fills_gaps_up_to_the_one_given(talk: Diarization, gap: float) -> None:
    joined = talk.supported(gap)
    for name in talk.speakers:
        own = [turn for turn in joined if turn.speaker == name]
        assert all(after.start - before.end > gap for before, after in pairwise(own))
    assert all(before <= after for before, after in zip(timeline(talk), timeline(joined), strict=True))


@given(talks)
def test_durations_count_each_moment_once(talk: Diarization) -> None:
    counted = {name: sum(name in names for names in timeline(talk)) / 4 for name in talk.speakers}
    assert talk.durations() == counted
    assert tuple(talk.durations()) == talk.speakers


@given(talks, segments)
def test_crop_keeps_what_lies_inside_and_is_idempotent(talk: Diarization, window: Segment) -> None:
    cropped = talk.crop(window)
    expected = [names if time in window else set() for time, names in zip(MOMENTS, timeline(talk), strict=True)]
    assert timeline(cropped) == expected
    assert cropped.crop(window) == cropped
    if window & talk.extent:
        assert cropped.extent == window & talk.extent
    else:
        assert cropped.duration == 0


@given(talks, st.integers(-40, 40).map(lambda tick: tick / 4))
def test_shifting_there_and_back(talk: Diarization, seconds: float) -> None:
    moved = talk.shifted(seconds)
    assert moved.shifted(-seconds) == talk
    assert moved.extent == Segment(talk.extent.start + seconds, talk.extent.end + seconds)
    assert [turn.start - seconds for turn in moved] == [turn.start for turn in talk]


@given(talks)
def test_renamed_speakers_are_numbered_by_first_appearance(talk: Diarization) -> None:
    renamed = talk.renamed()
    assert renamed.speakers == tuple(f"SPEAKER_{index:02d}" for index in range(len(talk.speakers)))
    back = renamed.renamed(dict(zip(renamed.speakers, talk.speakers, strict=True)))
    assert timeline(back) == timeline(talk)


def test_renaming_takes_embeddings_along() -> None:
    vectors = {name: np.full(2, index, dtype=np.float32) for index, name in enumerate("ABX")}
    talk = Diarization("talk", 9, (Turn(0, 1, "B"), Turn(1, 2, "A")), embeddings=vectors)
    assert {name: vector[0] for name, vector in talk.renamed().embeddings.items()} == {"SPEAKER_01": 0, "SPEAKER_00": 1}
    assert talk.renamed({"B": "Bob"}).speakers == ("Bob", "A")


@given(talks)
def test_active_turns_cut_time_where_anything_changes(talk: Diarization) -> None:
    pieces = list(active_turns(talk))
    for segment, active in pieces:
        assert all(turn.start <= segment.start and segment.end <= turn.end for turn in active)
        assert {turn.speaker for turn in active} == speaking(talk, segment.middle)
    assert sum(segment.duration for segment, _ in pieces) == sum(segment.duration for segment in talk.speech)


@given(talks)
def test_active_speakers_and_changes_of_speaker(talk: Diarization) -> None:
    pieces = list(active_speakers(talk))
    assert [segment for segment, _ in pieces] == sorted(segment for segment, _ in pieces)
    assert all(names == speaking(talk, segment.middle) for segment, names in pieces)
    assert all(old != new for (a, old), (b, new) in pairwise(pieces) if a.end == b.start)
    tick = 0.125
    for change in talk.speaker_changes:
        before, after = speaking(talk, change - tick), speaking(talk, change + tick)
        assert before != after
        assert before
        assert after


def test_views_of_nobody() -> None:
    empty = Diarization("talk", 3.0)
    assert not empty
    assert (empty.speech, empty.overlap, empty.speaker_changes, empty.speakers) == ((), (), (), ())
    assert empty.exclusive == empty.supported() == empty.renamed() == empty
    assert empty.extent == Segment(0, 3)


def test_pairs_of_segment_and_speaker() -> None:
    talk = Diarization("talk", 9, (Turn(1, 2, "B"), Turn(0, 4, "A")))
    assert list(talk.speaker_diarization) == [(Segment(0, 4), "A"), (Segment(1, 2), "B")]


def test_equality_compares_recording_span_and_turns() -> None:
    vector = {"A": np.ones(2, dtype=np.float32)}
    talk = Diarization("talk", 9, (Turn(0, 4, "A"),))
    assert talk == Diarization("talk", 9, (Turn(0, 4, "A"),), embeddings=vector)
    assert talk != Diarization("talk", 8, talk.turns)
    assert talk != Diarization("call", 9, talk.turns)
    assert talk != Diarization("talk", 9, talk.turns, offset=1)


def test_many_turns_take_no_quadratic_time() -> None:
    # Fifty thousand nested turns of as many speakers: anything quadratic would run for minutes.
    count = 50_000
    nested = Diarization("talk", 1.0, tuple(Turn(i, 2 * count - i, f"S{i}") for i in range(count)))
    assert nested.speech == (Segment(0, 2 * count),)
    assert len(nested.exclusive) == 1
    assert len(nested.durations()) == count


def test_who_has_the_floor_may_come_from_the_model() -> None:
    turns, alone = (Turn(0, 4, "B"), Turn(3, 6, "A")), (Turn(3.5, 6, "A"), Turn(0, 3.5, "B"))
    talk = Diarization("talk", 10.0, turns, alone=alone)
    assert talk.exclusive.turns == (Turn(0, 3.5, "B"), Turn(3.5, 6, "A"))
    moved = talk.renamed().shifted(1.0).crop(Segment(2, 5))
    assert moved.exclusive.turns == (Turn(2, 4.5, "SPEAKER_00"), Turn(4.5, 5, "SPEAKER_01"))
    assert talk.supported().exclusive.turns == talk.exclusive.turns
    # Joined over gaps, turns say something else than the model did.
    assert talk.supported(1.0).exclusive.turns == (Turn(0, 4, "B"), Turn(4, 6, "A"))


def test_vectors_come_in_the_order_of_their_speakers() -> None:
    vectors = {name: np.full(2, index, dtype=np.float32) for index, name in enumerate("ABC")}
    talk = Diarization("talk", 10.0, (Turn(0, 1, "C"), Turn(1, 2, "A")), embeddings=vectors).renamed()
    assert [(name, vector[0]) for name, vector in talk.embeddings.items()] == [("SPEAKER_00", 2), ("SPEAKER_01", 0)]
