from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import diarizations

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import FormatError, MissingExtraError
from speakerdiar.formats import tables

TALK = Diarization("talk", 6.0, (Turn(0, 4, "B, the =second"), Turn(3, 6, "A", 0.5)))


def test_the_shape() -> None:
    assert tables.dumps([TALK]).splitlines() == [
        "start,end,speaker,confidence,recording_id",
        '0.0,4.0,"B, the =second",,talk',
        "3.0,6.0,A,0.5,talk",
    ]


@given(st.lists(diarizations(), max_size=2, unique_by=lambda d: d.recording_id))
@settings(max_examples=50)
def test_reading_what_was_written_gives_the_same(talks: list[Diarization]) -> None:
    read = tables.loads(tables.dumps(talks))
    assert read == talks
    assert [[t.confidence for t in d] for d in read] == [[t.confidence for t in d] for d in talks]


def test_columns_are_found_by_name_and_others_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "talk.csv"
    path.write_text("\ufefftext,speaker,end,start\nhello,A,2,1\n\n", encoding="utf-8")
    assert tables.load(path) == [Diarization("talk", 2.0, (Turn(1, 2, "A"),))]
    tables.dump([TALK], path)
    assert tables.load(path) == [TALK]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "t.csv:1: no column 'start'"),
        ("start,end,speeker\n", "no column 'speaker'.*Did you mean 'speeker'"),
        ("start,end,speaker\n1,x,A\n", "t.csv:2: .*end 'x'"),
        ("start,end,speaker\n1\n", "t.csv:2: end ''"),
        ("start,end,speaker\n\n1,1,A\n", "t.csv:3: .*not after its start"),
        ("start,end,speaker\n1,2,\n", "t.csv:2: speaker=''"),
        ("start,end,speaker,confidence\n1,2,A,high\n", "confidence 'high'"),
        ("start,end,speaker\n1,2," + "A" * 200_000, "isn't CSV"),
    ],
)
def test_errors_say_what_and_where(text: str, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        tables.loads(text, path="t.csv")


def test_dataframe() -> None:
    pytest.importorskip("pandas")
    frame = TALK.to_dataframe()
    assert list(frame.columns) == ["start", "end", "speaker", "confidence"]
    assert frame["speaker"].tolist() == ["B, the =second", "A"]
    assert frame["confidence"].isna().tolist() == [True, False]
    empty = tables.to_dataframe(Diarization("talk", 1.0))
    assert len(empty) == 0
    assert [str(kind) for kind in empty.dtypes] == [str(kind) for kind in frame.dtypes]


def test_dataframe_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r'A DataFrame needs pandas: pip install "speakerdiar\[dataframe\]"'):
        tables.to_dataframe(TALK)
