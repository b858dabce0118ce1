"""The table that the command line prints."""

from __future__ import annotations

import json

import pytest

from speakerdiar.annotation import Diarization, Segment, Turn
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.metrics import score_files

REFERENCES = {
    "one": Diarization("one", 10.0, (Turn(0, 4, "A"), Turn(4, 8, "B"))),
    "two": Diarization("two", 2.0, (Turn(0, 2, "A"),)),
}
HYPOTHESES = {
    "two": Diarization("two", 2.0, (Turn(0, 1, "x"),)),
    "one": Diarization("one", 10.0, (Turn(0, 5, "x"), Turn(5, 9, "y"))),
}


def test_table() -> None:
    assert score_files(REFERENCES, HYPOTHESES).to_table().splitlines() == [
        "file   DER %  miss %   FA %  conf %  JER %  speakers  found  speech s  scored s",
        "one    25.00    0.00  12.50   12.50  30.00         2      2      8.00      9.00",
        "two    50.00   50.00   0.00    0.00  50.00         1      1      2.00      2.00",
        "TOTAL  30.00   10.00  10.00   10.00  36.67         3      3     10.00     11.00",
        "",
        "Scored on 2 files; collar 0 s on each side of a reference border; overlap scored; "
        "UEM: extent of reference and hypothesis together; convention: pyannote.",
        "Speaker count right in 2 of 2; mean absolute error 0.00.",
    ]


def test_json_is_plain_and_complete() -> None:
    document = json.loads(json.dumps(score_files(REFERENCES, HYPOTHESES, collar=0.25).to_json(), allow_nan=False))
    assert set(document) == {"protocol", "files", "total", "missing", "extra"}
    assert document["protocol"]["collar"] == 0.25
    assert document["protocol"]["files"] == 2
    assert [file["recording_id"] for file in document["files"]] == ["one", "two"]
    parts = document["total"]
    assert parts["der"] == pytest.approx((parts["miss"] + parts["false_alarm"] + parts["confusion"]) / parts["total"])
    assert parts["speaker_count_error"] == 0


def test_total_comes_from_seconds() -> None:
    report = score_files(REFERENCES, HYPOTHESES)
    assert report.total.der.rate == pytest.approx(3 / 10)
    assert report.total.der == report.files[0].der + report.files[1].der


def test_missing_hypothesis_is_named() -> None:
    with pytest.raises(InputError, match=r"No hypothesis for 'two'.*missing='empty'"):
        score_files(REFERENCES, {"one": HYPOTHESES["one"]})


def test_missing_hypothesis_counts_as_missed_when_asked() -> None:
    report = score_files(REFERENCES, {"one": HYPOTHESES["one"]}, missing="empty")
    assert report.missing == ("two",)
    assert report.files[1].der.miss == 2.0
    assert "all counted as missed: 'two'." in report.to_table()


def test_many_missing_are_counted() -> None:
    references = {f"r{index}": Diarization(f"r{index}", 1.0) for index in range(8)}
    with pytest.raises(InputError, match="'r0', 'r1', 'r2', 'r3', 'r4' and 3 more"):
        score_files(references, {})


def test_extra_hypotheses_are_reported_and_not_scored() -> None:
    report = score_files({"two": REFERENCES["two"]}, HYPOTHESES)
    assert report.extra == ("one",)
    assert len(report.files) == 1
    assert "No reference, not scored: 'one'." in report.to_table()


def test_regions_for_each_recording() -> None:
    report = score_files(REFERENCES, HYPOTHESES, uems={"one": [Segment(0, 4)], "two": [Segment(0, 2)]})
    assert report.files[0].der.rate == 0.0
    assert report.protocol.uem == "given regions"
    with pytest.raises(InputError, match="no regions for 'two'"):
        score_files(REFERENCES, HYPOTHESES, uems={"one": [Segment(0, 4)]})


def test_nothing_to_score() -> None:
    with pytest.raises(InputError, match="no reference"):
        score_files({}, HYPOTHESES)


def test_unknown_choice_for_missing() -> None:
    with pytest.raises(ConfigError, match="missing='skip'"):
        score_files(REFERENCES, HYPOTHESES, missing="skip")


def test_recording_without_speech_has_no_shares() -> None:
    report = score_files({"a": Diarization("a", 5.0)}, {"a": Diarization("a", 5.0)})
    assert report.files[0].row() == ["a", "0.00", "-", "-", "-", "-", "0", "0", "0.00", "0.00"]
    assert report.files[0].to_json()["jer"] is None
