from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from strategies import diarizations

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import FormatError
from speakerdiar.formats import subtitles

TALK = Diarization("talk", 3661.5, (Turn(0, 1.25, "A & <B>"), Turn(1, 3661.5, "C")))

SRT = """\
1
00:00:00,000 --> 00:00:01,250
A & <B>

2
00:00:01,000 --> 01:01:01,500
C
"""

VTT = """\
WEBVTT

00:00:00.000 --> 00:00:01.250
<v A &amp; &lt;B&gt;>A &amp; &lt;B&gt;</v>

00:00:01.000 --> 01:01:01.500
<v C>C</v>
"""


def test_the_shape() -> None:
    assert subtitles.dumps_srt(TALK) == SRT
    assert subtitles.dumps_vtt(TALK) == VTT


@given(diarizations(grid=1000))
@settings(max_examples=50)
def test_reading_what_was_written_gives_the_same(talk: Diarization) -> None:
    assert subtitles.loads_srt(subtitles.dumps_srt(talk), recording_id=talk.recording_id) == talk
    assert subtitles.loads_vtt(subtitles.dumps_vtt(talk), recording_id=talk.recording_id) == talk


def test_finer_times_go_to_the_nearest_millisecond_and_shorter_turns_vanish() -> None:
    talk = Diarization("talk", 1.0, (Turn(0.0001, 0.0004, "A"), Turn(0.1234, 0.9999, "B")))
    expected = Diarization("talk", 1.0, (Turn(0.123, 1.0, "B"),))
    assert subtitles.loads_srt(subtitles.dumps_srt(talk), recording_id="talk") == expected


def test_nobody_speaks() -> None:
    empty = Diarization("talk", 0.0)
    assert subtitles.loads_srt(subtitles.dumps_srt(empty), recording_id="talk") == empty
    assert subtitles.loads_vtt(subtitles.dumps_vtt(empty), recording_id="talk") == empty


def test_times_before_zero_cannot_be_written() -> None:
    with pytest.raises(FormatError, match="before 0"):
        subtitles.dumps_vtt(TALK.shifted(-1))


def test_vtt_of_others() -> None:
    text = (
        "\ufeffWEBVTT - a title\r\n\r\nSTYLE\r\n::cue { color: red }\r\n\r\nNOTE\r\na remark\r\n\r\n"
        "NOTE\r\n00:01.000 --> 00:02.000 align:start line:0%\r\n<v.loud Anna B>Hello\r\nthere\r\n\r\n"
        "00:03.000 --> 00:04.000\r\n<i>Carl</i>\r\n"
    )
    assert [(t.start, t.end, t.speaker) for t in subtitles.loads_vtt(text)] == [(1, 2, "Anna B"), (3, 4, "Carl")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "t:1: .*WEBVTT"),
        ("\nWEBVTT", "t:1: .*WEBVTT"),
        ("WEBVTT\n\nNAME\nx\ny", "t:4: 'x' isn't a line of times"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000", "t:3: a cue without"),
        ("WEBVTT\n\n00:02.000 --> 00:02.000\nA", "t:3: .*end after its start"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\n<i></i>", "t:3: .*no speaker"),
    ],
)
def test_vtt_errors(text: str, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        subtitles.loads_vtt(text, path="t")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1\n00:00:01,000 --> 00:00:02,000\nA\nB\n", "t:1: a cue of 4 lines"),
        ("1\n00:00:01,000\nA", "t:2: .*isn't a line of times"),
        ("\n1\n00:00:02,000 --> 00:00:01,000\nA", "t:3: .*end after"),
        ("1\n00:00:01,000 --> 00:61:01,000\nA", "isn't a line of times"),
        ("lonely", "t:1: a cue of 1 lines"),
    ],
)
def test_srt_errors(text: str, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        subtitles.loads_srt(text, path="t")


@pytest.mark.parametrize(("suffix", "text"), [("srt", SRT), ("VTT", VTT)])
def test_files(tmp_path: Path, suffix: str, text: str) -> None:
    path = tmp_path / f"call.{suffix}"
    path.write_text(text)
    assert subtitles.load(path) == replace(TALK, recording_id="call")
