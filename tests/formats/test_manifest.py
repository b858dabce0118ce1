from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import names

from speakerdiar.errors import FormatError
from speakerdiar.formats import manifest
from speakerdiar.recording import Recording


def values(recording: Recording) -> dict[str, Any]:
    return {field.name: getattr(recording, field.name) for field in fields(recording)}


recordings = st.builds(
    Recording,
    names(),
    names(),
    offset=st.floats(0, 1e5),
    duration=st.none() | st.floats(1e-3, 1e5),
    channel=st.sampled_from(["mix", 0, 3]),
    num_speakers=st.none() | st.integers(1, 20),
    rttm_filepath=st.none() | names(),
    uem_filepath=st.none() | names(),
    extra=st.dictionaries(st.sampled_from(["scene", "é"]), st.integers() | st.text(max_size=3)),
)


@given(st.lists(recordings, max_size=4, unique_by=lambda r: r.id))
def test_reading_what_was_written_gives_the_same(listed: list[Recording]) -> None:
    assert [values(r) for r in manifest.loads(manifest.dumps(listed))] == [values(r) for r in listed]


def test_what_a_line_may_hold(tmp_path: Path) -> None:
    lines = [
        {"audio_filepath": "/x/a.wav"},
        {"audio_filepath": "/x/b.wav", "offset": 1, "duration": 2.5, "num_speakers": 3, "uniq_id": 7, "text": "-"},
        {"audio": "/x/c.wav", "offset": None, "duration": None, "label": "infer", "room": "big"},
    ]
    path = tmp_path / "all.jsonl"
    path.write_text("\ufeff" + "\r\n\r\n".join(map(json.dumps, lines)), encoding="utf-8")
    a, b, c = manifest.load(path)
    assert (a.id, a.path, a.offset, a.duration, a.num_speakers) == ("a", "/x/a.wav", 0.0, None, None)
    assert (b.id, b.offset, b.duration, b.num_speakers, b.extra) == ("7", 1.0, 2.5, 3, {})
    assert (c.id, c.offset, c.extra) == ("c", 0.0, {"room": "big"})


def test_ids_are_made_unique() -> None:
    entries = [
        *({"audio_filepath": f"/{folder}/x.wav"} for folder in "ab"),
        *({"audio_filepath": "/c/y.wav", "uniq_id": "call", "offset": offset} for offset in (0, 5)),
    ]
    read = manifest.loads("\n".join(map(json.dumps, entries)))
    assert [r.id for r in read] == ["a/x", "b/x", "call", "call#2"]


def test_relative_paths_are_looked_for_as_given_then_beside_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, here = tmp_path / "data", tmp_path / "here"
    for folder in (data, here):
        folder.mkdir()
    for file in (data / "a.wav", data / "b.wav", here / "b.wav", data / "a.rttm"):
        file.touch()
    monkeypatch.chdir(here)
    lines = [{"audio_filepath": f"{name}.wav", "rttm_filepath": "a.rttm"} for name in "abc"]
    manifest_file = data / "m.json"
    manifest_file.write_text("\n".join(map(json.dumps, lines)))
    read = manifest.load(manifest_file)
    assert [r.path for r in read] == [str(data / "a.wav"), "b.wav", "c.wav"]
    assert {r.rttm_filepath for r in read} == {str(data / "a.rttm")}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("[1]", "isn't a JSON object: a manifest has one a line"),
        ("{", "isn't JSON"),
        ('{"offset": 1}', "needs audio_filepath"),
        ('{"audio_filepath": ""}', "audio_filepath='': give a path"),
        ('{"audio_filepath": ["a.wav"]}', "give a path"),
        ('{"audio_filepath": "a.wav", "offset": -1}', r"a: offset=-1\.0"),
        ('{"audio_filepath": "a.wav", "offset": "x"}', "a: .*'x'"),
        ('{"audio_filepath": "a.wav", "duration": 0}', r"a: duration=0\.0"),
        ('{"audio_filepath": "a.wav", "duration": NaN}', "NaN isn't a JSON number"),
        ('{"audio_filepath": "a.wav", "num_speakers": 0}', "num_speakers=0"),
        ('{"audio_filepath": "a.wav", "rttm_filepath": 3}', "rttm_filepath=3: give a path"),
    ],
)
def test_errors_say_what_and_where(line: str, says: str) -> None:
    with pytest.raises(FormatError, match=rf"m\.json:3: .*{says}") as raised:
        manifest.loads(f'{{"audio_filepath": "/a.wav"}}\n\n{line}\n', path="m.json")
    assert raised.value.line == 3


def test_samples_and_odd_extras_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="talk: samples can't stand in a manifest"):
        manifest.dumps([Recording("talk", np.zeros(3), 16000)])
    with pytest.raises(FormatError, match="talk: extra values"):
        manifest.dumps([Recording("talk", "talk.wav", extra={"room": object()})])
    path = manifest.dump([Recording("talk", "talk.wav")], tmp_path / "m.json")
    assert json.loads(path.read_text())["audio_filepath"] == "talk.wav"
