from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import diarizations

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import FormatError
from speakerdiar.formats import textgrid

TALK = Diarization("talk", 4.0, (Turn(0, 1.5, 'Ann "B"'), Turn(2, 4, 'Ann "B"'), Turn(1, 2, "C")))

LONG = """\
File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0.0
xmax = 4.0
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "Ann ""B""\"
        xmin = 0.0
        xmax = 4.0
        intervals: size = 3
        intervals [1]:
            xmin = 0.0
            xmax = 1.5
            text = "Ann ""B""\"
        intervals [2]:
            xmin = 1.5
            xmax = 2.0
            text = ""
        intervals [3]:
            xmin = 2.0
            xmax = 4.0
            text = "Ann ""B""\"
    item [2]:
        class = "IntervalTier"
        name = "C"
        xmin = 0.0
        xmax = 4.0
        intervals: size = 3
        intervals [1]:
            xmin = 0.0
            xmax = 1.0
            text = ""
        intervals [2]:
            xmin = 1.0
            xmax = 2.0
            text = "C"
        intervals [3]:
            xmin = 2.0
            xmax = 4.0
            text = ""
"""

SHORT = """\
File type = "ooTextFile"
"TextGrid"
0.5
4 ! a comment with "quotes" and 7
<exists>
2
"TextTier"
"clicks"
0.5
4
1
1.5
"click"
"IntervalTier"
"A"
0.5
4
2
0.5
1
""
1
4
"hello
there"
"""


def test_the_shape() -> None:
    assert textgrid.dumps(TALK) == LONG


@given(diarizations(), st.integers(0, 10**7), st.integers(0, 10**7))
@settings(max_examples=50)
def test_reading_what_was_written_gives_the_same(talk: Diarization, before: int, after: int) -> None:
    # A tier has no overlaps, so those within one speaker are joined, and ends on the grid come back as they were.
    joined = talk.supported()
    first = round(joined.turns[0].start * 1e6)
    offset, end = max(0, first - before), round(talk.duration * 1e6) + after
    framed = replace(joined, offset=offset / 1e6, duration=(end - offset) / 1e6)
    assert textgrid.loads(textgrid.dumps(framed), recording_id=talk.recording_id) == framed


def test_turns_of_one_speaker_that_touch_stay_apart_and_those_that_overlap_are_joined() -> None:
    turns = (Turn(0, 1, "A"), Turn(1, 2, "A"), Turn(1.5, 3, "A"), Turn(1.6, 1.7, "A"))
    read = textgrid.loads(textgrid.dumps(Diarization("talk", 4.0, turns)))
    assert read.turns == (Turn(0, 1, "A"), Turn(1, 3, "A"))


def test_the_span_is_widened_where_turns_stick_out() -> None:
    read = textgrid.loads(textgrid.dumps(Diarization("talk", 1.0, (Turn(-1, 3, "A"),))))
    assert (read.offset, read.duration) == (-1.0, 4.0)


def test_nobody_speaks() -> None:
    empty = Diarization("talk", 4.0, offset=0.5)
    assert textgrid.loads(textgrid.dumps(empty), recording_id="talk") == empty
    assert textgrid.loads('"ooTextFile" "TextGrid" 0 1 <absent>') == Diarization("", 1.0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_the_short_form_point_tiers_and_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "talk.TextGrid"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path.write_text(mark + SHORT.replace('"A"', '"é"'), encoding=encoding)
    assert textgrid.load(path) == Diarization("talk", 3.5, (Turn(1, 4, "é"),), 0.5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "t:1: expected a text, found 'the end'"),
        (LONG.replace("TextGrid", "PitchTier"), "t:1: .*is it a TextGrid"),
        (LONG.replace("xmax = 1.5", "xmax = 1.5.5"), "t:17: '1.5.5' isn't a number"),
        (LONG.replace("xmax = 1.5", "xmax = 0.0"), "t:18: .*not after its start"),
        (LONG.replace("size = 3", "size = 2.5"), "t:14: 2.5 isn't a count"),
        (LONG.replace("size = 2", "size = -2"), "t:7: -2 isn't a count"),
        (LONG.replace("size = 2", "size = 3"), "expected a text, found 'the end'"),
        (LONG.replace('text = ""', "text = 3"), "t:22: expected a text, found '3'"),
    ],
)
def test_errors_say_what_and_where(text: str, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        textgrid.loads(text, path="t")
