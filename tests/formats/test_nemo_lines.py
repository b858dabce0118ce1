from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from strategies import diarizations

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import FormatError
from speakerdiar.formats import nemo_lines


def test_lines_are_grouped_by_speaker_in_order_of_appearance() -> None:
    talk = Diarization("talk", 9, (Turn(0, 1.239, "B"), Turn(0.5, 2, "A"), Turn(3, 4, "B")))
    assert nemo_lines.dumps(talk) == ["0.000 1.240 speaker_0", "3.000 4.000 speaker_0", "0.500 2.000 speaker_1"]
    assert talk.to_nemo_lines() == nemo_lines.dumps(talk)


@given(diarizations(grid=100))
@settings(max_examples=50)
def test_reading_what_was_written_gives_the_same_but_names(talk: Diarization) -> None:
    numbered = talk.renamed({name: f"speaker_{index}" for index, name in enumerate(talk.speakers)})
    assert nemo_lines.loads(nemo_lines.dumps(talk), recording_id=talk.recording_id) == numbered


def test_a_turn_that_rounds_to_nothing_takes_no_number() -> None:
    talk = Diarization("talk", 9, (Turn(0, 0.001, "B"), Turn(0.5, 2, "A")))
    assert nemo_lines.dumps(talk) == ["0.500 2.000 speaker_0"]


def test_lines_of_nemo_itself_come_back(shared: Path) -> None:
    runs = json.loads((shared / "golden/nemo/e2e/diarize.json").read_text())
    lines = runs["v1_bs1"]["lines"][0]
    read = nemo_lines.loads(lines)
    assert sorted(f"{t.start:.3f} {t.end:.3f} {t.speaker}" for t in read) == sorted(lines)


def test_names_and_blank_lines() -> None:
    assert nemo_lines.loads(["0 1 Ann B\n", "", "2 3 C"]).turns == (Turn(0, 1, "Ann B"), Turn(2, 3, "C"))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0.1 0.2", "isn't start, end and speaker"),
        ("x 0.2 A", "start 'x'"),
        ("0.1 -1 A", "end -1 lies before 0"),
        ("0.2 0.2 A", "ends at 0.2, not after 0.2"),
    ],
)
def test_errors_say_what_and_where(line: str, says: str) -> None:
    with pytest.raises(FormatError, match=f"t:2: .*{says}"):
        nemo_lines.loads(["0 1 A", line], path="t")


def test_times_before_zero_cannot_be_written() -> None:
    with pytest.raises(FormatError, match="before 0"):
        nemo_lines.dumps(Diarization("talk", 1, (Turn(-1, 1, "A"),)))
