from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import diarizations

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import FormatError, InputError
from speakerdiar.formats import rttm

LINE = "SPEAKER talk 1 0.500 1.250 <NA> <NA> A <NA> <NA>\n"


def test_a_line_is_a_turn() -> None:
    (talk,) = rttm.loads(LINE)
    assert talk == Diarization("talk", 1.75, (Turn(0.5, 1.75, "A"),))


def test_what_is_written_is_what_other_toolkits_write() -> None:
    assert rttm.dumps([Diarization("talk", 9, (Turn(0.5, 1.75, "A"),))]) == LINE


def test_more_decimals_stand_only_where_they_are_needed() -> None:
    written = rttm.dumps([Diarization("talk", 9, (Turn(0.1, 0.30001, "A"), Turn(1 / 3, 1, "A")))])
    assert [line.split()[3:5] for line in written.splitlines()] == [["0.100", "0.20001"], ["0.333333", "0.666667"]]


@given(st.lists(diarizations(), max_size=2, unique_by=lambda d: d.recording_id), st.booleans())
@settings(max_examples=50)
def test_reading_what_was_written_gives_the_same(talks: list[Diarization], strict: bool) -> None:
    read = rttm.loads(rttm.dumps(talks), strict=strict)
    assert read == talks
    confidences = [[turn.confidence for turn in talk] for talk in talks]
    assert [[turn.confidence for turn in talk] for talk in read] == confidences


@given(st.integers(0, 10**11), st.integers(1, 10**11))
def test_microseconds_come_back_as_the_same_floats(start: int, length: int) -> None:
    turn = Turn(start / 1e6, (start + length) / 1e6, "A")
    (read,) = rttm.loads(rttm.dumps([Diarization("talk", 0, (turn,))]))
    assert read.turns == (turn,)


@given(st.floats(0, 1e5), st.floats(1e-6, 1e3))
def test_times_off_the_grid_move_by_half_a_microsecond_at_most(start: float, length: float) -> None:
    (read,) = rttm.loads(rttm.dumps([Diarization("talk", 0, (Turn(start, start + length, "A"),))]))
    assert read.turns[0].start == pytest.approx(start, abs=5.1e-7, rel=0)
    assert read.turns[0].end == pytest.approx(start + length, abs=5.1e-7, rel=0)


def test_ids_and_names_keep_their_white_space() -> None:
    written = rttm.dumps([Diarization("my call", 9, (Turn(0, 1, "Ann\u00a0B %20"),))])
    assert written == "SPEAKER my%20call 1 0.000 1.000 <NA> <NA> Ann%C2%A0B%20%2520 <NA> <NA>\n"


def test_an_escape_that_is_no_utf8_stays_as_it_is() -> None:
    assert rttm.loads(LINE.replace("talk", "50%E4%20x"))[0].recording_id == "50%E4%20x"


def test_a_turn_too_short_for_the_format_is_not_written() -> None:
    assert rttm.dumps([Diarization("talk", 1, (Turn(0, 4e-7, "A"),))]) == ""


def test_times_before_zero_and_empty_ids_cannot_be_written() -> None:
    with pytest.raises(FormatError, match=r"starts at -1\.0 s"):
        rttm.dumps([Diarization("talk", 1, (Turn(-1, 1, "A"),))])
    with pytest.raises(FormatError, match="empty id"):
        rttm.dumps([Diarization("", 1, (Turn(0, 1, "A"),))])


@pytest.mark.parametrize("strict", [True, False])
def test_recordings_come_in_order_of_appearance_whatever_mixes_them(strict: bool) -> None:
    text = LINE.replace("talk", "b") + LINE.replace("talk", "a") + LINE.replace("talk", "b").replace(" A ", " B ")
    assert [(d.recording_id, d.speakers) for d in rttm.loads(text, strict=strict)] == [("b", ("A", "B")), ("a", ("A",))]


@pytest.mark.parametrize("strict", [True, False])
def test_comments_blank_lines_crlf_byte_order_marks_and_other_lines_are_fine(strict: bool) -> None:
    other = "SPKR-INFO talk 1 <NA> <NA> <NA> unknown A <NA>\nNON-LEX talk 1 0.1 0.2 <NA> laugh A <NA> <NA>\n"
    text = f"\ufeff;; comment\n\n{other}{LINE}   \n".replace("\n", "\r\n")
    assert rttm.loads(text, strict=strict) == rttm.loads(LINE)


@pytest.mark.parametrize("strict", [True, False])
def test_nine_fields_are_a_line_too(strict: bool) -> None:
    (talk,) = rttm.loads("SPEAKER talk 1 0.5 1.25 <NA> <NA> A 0.75\n", strict=strict)
    assert talk == rttm.loads(LINE)[0]
    assert talk.turns[0].confidence == 0.75


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("SPEAKER my talk 1 0.5 1.25 <NA> <NA> A <NA> <NA>", "11 fields.*strict=False"),
        ("SPEAKER talk 1 0.5 1.25 <NA> <NA> A", "8 fields"),
        ("SPEAKER talk 1 x 1.25 <NA> <NA> A <NA> <NA>", "start 'x' isn't a number"),
        ("SPEAKER talk 1 0.5 1,25 <NA> <NA> A <NA> <NA>", "duration '1,25' isn't a number"),
        ("SPEAKER talk 1 0.5 nan <NA> <NA> A <NA> <NA>", "duration 'nan'"),
        ("SPEAKER talk 1 inf 1 <NA> <NA> A <NA> <NA>", "start 'inf'"),
        ("SPEAKER talk 1 1e400 1 <NA> <NA> A <NA> <NA>", "start '1e400'"),
        ("SPEAKER talk 1 1_0 1 <NA> <NA> A <NA> <NA>", "start '1_0'"),
        ("SPEAKER talk 1 -0.5 1 <NA> <NA> A <NA> <NA>", r"start -0\.5 lies before 0"),
        ("SPEAKER talk 1 0.5 -1 <NA> <NA> A <NA> <NA>", "duration -1 lies before 0"),
        ("SPEAKER talk 1 0.5 0.000 <NA> <NA> A <NA> <NA>", r"duration 0\.000: a turn lasts longer"),
        ("SPEAKER talk 1 0.5 1e-30 <NA> <NA> A <NA> <NA>", "duration 1e-30: a turn lasts longer"),
        ("SPEAKER talk 1 0.5 1 <NA> <NA> A high <NA>", "confidence 'high'"),
        ("SPEEKER talk 1 0.5 1 <NA> <NA> A <NA> <NA>", "'SPEEKER' isn't a kind.*Did you mean 'SPEAKER'"),
    ],
)
def test_strict_reading_says_what_is_wrong_and_where(line: str, says: str) -> None:
    with pytest.raises(FormatError, match=says) as raised:
        rttm.loads(f";; first\n{LINE}{line}\n", path="ref.rttm")
    assert (raised.value.path, raised.value.line) == ("ref.rttm", 3)
    assert str(raised.value).startswith("ref.rttm:3: ")


def test_tolerant_reading_takes_raw_spaces_as_nemo_writes_them() -> None:
    text = "SPEAKER my 2 talks 1   0.500   1.250 <NA> <NA> speaker_0 <NA> <NA>\n"
    assert rttm.loads(text, strict=False) == [Diarization("my 2 talks", 1.75, (Turn(0.5, 1.75, "speaker_0"),))]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("SPEAKER talk 1 0.5 1 <NA> <NA> Ann B <NA> <NA>", Turn(0.5, 1.5, "Ann B")),
        ("SPEAKER 1 2 3 1 0.5 1 <NA> <NA> 7 0.5 <NA>", Turn(0.5, 1.5, "7")),
        ("SPEAKER talk 1 0,5 1,25 <NA> <NA> A <NA> <NA>", Turn(0.5, 1.75, "A")),
        ("SPEAKER a,b 1 0.5 1 <NA> <NA> A,B <NA> <NA>", Turn(0.5, 1.5, "A,B")),
        ("SPEAKER talk 1 -0.5 1 <NA> <NA> A <NA> <NA>", Turn(0, 0.5, "A")),
        ("speaker talk 1 0.5 1 <NA> <NA> A high <NA>", Turn(0.5, 1.5, "A")),
    ],
)
def test_tolerant_reading_makes_the_best_of_a_line(line: str, expected: Turn) -> None:
    assert rttm.loads(line, strict=False)[0].turns == (expected,)


def test_tolerant_reading_drops_turns_of_no_length_and_unknown_lines() -> None:
    dropped = [LINE.replace("1.250", length) for length in ("0.000", "-1", "1e-30")]
    assert rttm.loads("".join([*dropped, "SPEEKER x\n", LINE]), strict=False) == rttm.loads(LINE)


@pytest.mark.parametrize("line", ["SPEAKER talk", "SPEAKER talk 1 nan 1 <NA> <NA> A <NA> <NA>"])
def test_tolerant_reading_still_refuses_a_line_without_times(line: str) -> None:
    with pytest.raises(FormatError, match="no start and duration") as raised:
        rttm.loads(f"\n{line}", strict=False)
    assert raised.value.line == 2


@given(st.text(alphabet="SPEAKER <NA>10.e-;%\n\r\t", max_size=200), st.booleans())
def test_any_text_is_read_or_refused_with_a_line(text: str, strict: bool) -> None:
    try:
        read = rttm.loads(text, strict=strict)
    except FormatError as error:
        read = []
        where = error.line
        if where is None or not text.split("\n")[where - 1].strip():
            pytest.fail(f"{error} names no line")
    assert all(talk.turns for talk in read)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "new" / "talk.rttm"
    assert rttm.dump(rttm.loads(LINE), path) == path
    assert path.read_text() == LINE
    assert rttm.load(path) == rttm.loads(LINE)
    path.write_text("nonsense")
    with pytest.raises(FormatError, match=r"talk\.rttm:1: 'nonsense'"):
        rttm.load(path)
    with pytest.raises(InputError, match=r"absent\.rttm: No such file"):
        rttm.load(tmp_path / "absent.rttm")


def test_real_references_are_read_strictly_and_come_back(shared: Path) -> None:
    paths = sorted((shared / "eval").glob("*.rttm"))
    assert paths
    for path in paths:
        read = rttm.load(path)
        assert rttm.loads(rttm.dumps(read)) == read
        assert rttm.load(path, strict=False) == read
