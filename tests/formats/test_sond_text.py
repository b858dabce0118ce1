"""FunASR's texts, as its code of 2023 and the README of its AliMeeting recipe write them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import FormatError
from speakerdiar.formats import rttm, sond_text

KEY = "R8002_M8002_MS802-S0000_0000000_0001600"
SPANS: sond_text.Spans = {
    "spk1": np.array([[0.0, 8.88], [10.72, 11.92], [12.64, 15.2]]),
    "spk2": [(8.8, 9.76)],
    "spk3": [(9.6, 10.96), (15.12, 15.68)],
    "spk4": [(11.12, 12.72)],
}


def test_the_text_of_the_readme() -> None:
    assert sond_text.vad_text(SPANS) == (
        "spk1 [(0.0, 8.88), (10.72, 11.92), (12.64, 15.2)]\n"
        "spk2 [(8.8, 9.76)]\n"
        "spk3 [(9.6, 10.96), (15.12, 15.68)]\n"
        "spk4 [(11.12, 12.72)]"
    )


def test_the_lines_that_funasr_calls_rttm() -> None:
    lines = sond_text.rttm_text(KEY, SPANS, legacy=True).split("\n")
    assert len(lines) == 7
    assert lines[1] == "SPEAKER R8002_M8002_MS802 0 10.72 11.92 <NA> <NA> spk1 <NA> <NA>"
    assert lines[-1] == "SPEAKER R8002_M8002_MS802 0 11.12 12.72 <NA> <NA> spk4 <NA> <NA>"


def test_rttm_holds_durations() -> None:
    text = sond_text.rttm_text(KEY, SPANS)
    assert text.split("\n")[1] == f"SPEAKER {KEY} 1 10.720 1.200 <NA> <NA> spk1 <NA> <NA>"
    [read] = rttm.loads(text)
    assert read.recording_id == KEY
    assert {name: [tuple(span) for span in spans] for name, spans in SPANS.items()} == sond_text.spans_of(
        read, ["spk1", "spk2"]
    )


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**4)), max_size=5))
def test_rttm_gives_back_what_was_written(spans: list[tuple[int, int]]) -> None:
    wanted = sorted((start / 100, (start + length) / 100) for start, length in spans)
    read = rttm.loads(sond_text.rttm_text("a", {"Ana": wanted}))
    assert [(turn.start, turn.end) for talk in read for turn in talk] == wanted


def test_a_speaker_without_turns() -> None:
    assert sond_text.vad_text({"spk1": np.zeros((0, 2)), "spk2": [(1, 2)]}) == "spk1 []\nspk2 [(1.0, 2.0)]"
    assert sond_text.rttm_text("a", {"spk1": []}) == sond_text.rttm_text("a", {"spk1": []}, legacy=True) == ""
    assert sond_text.vad_text({}) == ""


def test_names_stay_and_white_space_breaks_no_line() -> None:
    spans = {"Ana Lima": [(0.0, 1.0)]}
    assert sond_text.vad_text(spans) == "Ana Lima [(0.0, 1.0)]"
    assert "SPEAKER my%20talk 0 0.00 1.00 <NA> <NA> Ana%20Lima <NA>" in sond_text.rttm_text(
        "my talk-1", spans, legacy=True
    )
    assert "SPEAKER my%20talk 1 0.000 1.000 <NA> <NA> Ana%20Lima <NA>" in sond_text.rttm_text("my talk", spans)


def test_turns_become_spans_in_hundredths() -> None:
    talk = Diarization("talk", 9, (Turn(2, 3, "B"), Turn(0.1 + 0.2, 1.119, "A"), Turn(4, 4.004, "A"), Turn(5, 6, "B")))
    spans = sond_text.spans_of(talk, ["C", "B"])
    assert list(spans) == ["C", "B", "A"]
    assert sond_text.vad_text(spans) == "C []\nB [(2.0, 3.0), (5.0, 6.0)]\nA [(0.3, 1.12)]"


def test_turns_before_zero() -> None:
    with pytest.raises(FormatError, match="FunASR's text has no times before 0"):
        sond_text.spans_of(Diarization("talk", 9, (Turn(-1, 1, "A"),)))


def test_labels() -> None:
    assert sond_text.labels_text("talk", np.array([0, 0, 3, 40960])) == "talk 0 0 3 40960"
