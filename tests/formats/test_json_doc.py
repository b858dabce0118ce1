from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from strategies import full_diarizations

from speakerdiar.annotation import Confidence, Diarization, Turn
from speakerdiar.errors import FormatError
from speakerdiar.formats import json_doc

TALK = Diarization("talk", 10.0, (Turn(0, 4, "B"), Turn(3, 6, "A", 0.5)))


def document(**changes: Any) -> dict[str, Any]:
    return json_doc.to_document(TALK) | changes


def test_the_shape() -> None:
    assert json_doc.to_document(TALK) == {
        "version": 1,
        "recording_id": "talk",
        "offset": 0.0,
        "duration": 10.0,
        "speakers": [{"name": "B", "seconds": 4.0}, {"name": "A", "seconds": 3.0}],
        "turns": [
            {"start": 0.0, "end": 4.0, "speaker": "B"},
            {"start": 3.0, "end": 6.0, "speaker": "A", "confidence": 0.5},
        ],
    }


@given(full_diarizations())
def test_reading_what_was_written_gives_the_same(talk: Diarization) -> None:
    read = json_doc.loads(json_doc.dumps(talk))
    assert read == talk
    assert [turn.confidence for turn in read] == [turn.confidence for turn in talk]
    assert read.confidence == talk.confidence
    assert read.embeddings.keys() == talk.embeddings.keys()
    for name, vector in talk.embeddings.items():
        np.testing.assert_array_equal(read.embeddings[name], vector)
        assert read.embeddings[name].dtype == np.float32


@given(full_diarizations())
def test_the_text_is_the_document(talk: Diarization) -> None:
    assert json.loads(json_doc.dumps(talk)) == json_doc.to_document(talk)


def test_turns_stand_one_a_line() -> None:
    assert '\n    {"start": 0.0, "end": 4.0, "speaker": "B"},\n' in json_doc.dumps(TALK)


def test_whole_numbers_and_a_missing_summary_are_fine() -> None:
    short = {"version": 1, "recording_id": "talk", "duration": 10, "turns": [{"start": 0, "end": 4, "speaker": "B"}]}
    assert json_doc.from_document(short) == Diarization("talk", 10.0, (Turn(0, 4, "B"),))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 2}, r"version: input should be 1 \(found 2\)"),
        ({"recording": "x"}, "recording isn't a key.*Did you mean 'recording_id'"),
        ({"turns": [{"start": 0, "end": 1, "speeker": "A"}]}, r"turns\.0\.speaker: field required"),
        ({"turns": [{"start": 0, "end": 1, "speaker": "A", "speeker": "A"}]}, r"0\.speeker isn't.*mean 'speaker'"),
        ({"turns": [{"start": 1, "end": 1, "speaker": "A"}]}, r"turns\.0: the turn ends at 1\.0, not after"),
        ({"turns": [{"start": "0", "end": 1, "speaker": "A"}]}, r"turns\.0\.start: .*number \(found '0'\)"),
        ({"turns": [{"start": True, "end": 2, "speaker": "A"}]}, r"turns\.0\.start: .*number"),
        ({"turns": [{"start": 0, "end": 1, "speaker": ""}]}, r"turns\.0\.speaker: "),
        ({"turns": None}, "turns: .*list"),
        ({"duration": -1}, "duration: .*greater than or equal to 0"),
        ({"duration": float("inf")}, "duration: .*finite"),
        ({"confidence": {"resolution": 0, "scores": []}}, r"confidence\.resolution"),
        ({"confidence": {"resolution": 1, "scores": [], "step": 1}}, r"confidence\.step isn't a key"),
        ({"embeddings": {"A": ["x"]}}, r"embeddings\.A\.0"),
    ],
)
def test_errors_say_what_and_where(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(FormatError, match=says):
        json_doc.from_document(document(**changes))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{\n  x}", r"talk\.json:2: isn't JSON"),
        ("[]", r"talk\.json: holds a list"),
        ('{"version": NaN}', "NaN isn't a JSON number"),
        ("[" * 100_000, "isn't JSON"),
    ],
)
def test_text_that_is_no_document(text: str, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        json_doc.loads(text, path="talk.json")


@pytest.mark.parametrize("vector", [[np.nan], [np.inf]])
def test_numbers_that_json_has_no_words_for(vector: list[float]) -> None:
    talk = Diarization("talk", 1.0, embeddings={"A": np.array(vector, dtype=np.float32)})
    with pytest.raises(FormatError, match="talk: an embedding or confidence isn't finite"):
        json_doc.dumps(talk)
    with pytest.raises(FormatError, match="isn't finite"):
        json_doc.dumps(Diarization("talk", 1.0, confidence=Confidence((float("nan"),), 0.1)))


def test_files(tmp_path: Path) -> None:
    path = json_doc.dump(TALK, tmp_path / "talk.json")
    assert json_doc.load(path) == TALK
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert json_doc.load(path) == TALK
