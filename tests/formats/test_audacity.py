from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from strategies import diarizations

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import FormatError
from speakerdiar.formats import audacity


def test_the_shape() -> None:
    talk = Diarization("talk", 2, (Turn(0.5, 1.25, "Ann B"), Turn(1, 2, "a\tb")))
    assert audacity.dumps(talk) == "0.500000\t1.250000\tAnn B\n1.000000\t2.000000\ta%09b\n"


@given(diarizations())
@settings(max_examples=50)
def test_reading_what_was_written_gives_the_same(talk: Diarization) -> None:
    assert audacity.loads(audacity.dumps(talk), recording_id=talk.recording_id) == talk


def test_ranges_of_frequency_and_crlf_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "talk.txt"
    path.write_bytes(b"0.5\t1.25\tA\r\n\\\t100.0\t200.0\r\n\r\n-1.0\t0.5\tB C\r\n")
    assert audacity.load(path) == Diarization("talk", 1.25, (Turn(0.5, 1.25, "A"), Turn(-1, 0.5, "B C")))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0.5 1.25 A", "1 fields"),
        ("0.5\t1.25", "2 fields"),
        ("x\t1.25\tA", "start 'x'"),
        ("1\t1\tA", "not after its start"),
        ("1\t2\t", "speaker=''"),
    ],
)
def test_errors_say_what_and_where(line: str, says: str) -> None:
    with pytest.raises(FormatError, match=rf"talk\.txt:2: .*{says}"):
        audacity.loads(f"0\t1\tA\n{line}\n", path="talk.txt")
