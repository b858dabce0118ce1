"""Recordings with their turns, from manifests and folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from speakerdiar.annotation import Diarization, Segment, Turn
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.formats import save
from speakerdiar.training.dev_set import read_known

RATE = 16000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(2 * RATE, np.float32), RATE)
        save(Diarization(name, 2.0, (Turn(0.25, 1.0, name),)), tmp_path / f"{name}.rttm")
    return tmp_path


def manifest(folder: Path, *rows: dict[str, Any], name: str = "dev.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_folder_has_turns_beside_its_audio(folder: Path) -> None:
    known = read_known(folder)
    assert [one.recording.id for one in known] == ["a", "b"]
    assert [one.reference.speakers for one in known] == [("a",), ("b",)]
    assert all(one.recording.is_whole_file and one.regions is None for one in known)


def test_audio_without_turns_is_named(folder: Path) -> None:
    (folder / "b.rttm").unlink()
    with pytest.raises(InputError, match=r"b\.wav: no b\.rttm beside it"):
        read_known(folder)


def test_a_manifest_names_turns_and_split(folder: Path) -> None:
    row = {"rttm": "b.rttm", "duration": 2.0, "num_speakers": 1, "split": "dev"}
    rows = {"audio_filepath": "a.wav", "rttm_filepath": "a.rttm", "split": "test"}, {"audio": "b.wav", **row}
    path = manifest(folder, *rows, name="manifest.jsonl")
    [known] = read_known(folder, split="dev")
    assert (known.recording.id, known.reference.recording_id) == ("b", "b")
    assert known.recording.num_speakers is None
    assert known.recording.is_whole_file
    assert known.regions is None
    assert [one.recording.id for one in read_known(path)] == ["a", "b"]
    with pytest.raises(ConfigError, match=r"split='tst': .*Did you mean 'test'\? It has dev, test"):
        read_known(path, split="tst")


def test_a_piece_is_scored_where_it_lies(folder: Path) -> None:
    rows = [
        {"audio": "a.wav", "rttm": "a.rttm", "offset": 0.5},
        {"audio": "a.wav", "rttm": "a.rttm", "duration": 1.5, "uniq_id": "begin"},
    ]
    [later, begin] = read_known(manifest(folder, *rows))
    assert later.regions == [Segment(0.5, 2.0)]
    assert begin.regions == [Segment(0.0, 1.5)]
    assert begin.recording.duration == 1.5


def test_regions_come_from_a_uem(folder: Path) -> None:
    (folder / "a.uem").write_text("a 1 0.0 0.5\n")
    row = {"audio": "a.wav", "rttm": "a.rttm", "uem_filepath": "a.uem"}
    [known] = read_known(manifest(folder, row))
    assert known.regions == [Segment(0.0, 0.5)]
    with pytest.raises(InputError, match=r"a\.uem: no regions of b"):
        read_known(manifest(folder, {**row, "uniq_id": "b"}))


def test_the_turns_of_a_recording_are_found_by_its_id(folder: Path) -> None:
    both = (folder / "a.rttm").read_text() + (folder / "b.rttm").read_text()
    (folder / "both.rttm").write_text(both)
    [known] = read_known(manifest(folder, {"audio": "b.wav", "rttm": "both.rttm"}))
    assert known.reference.speakers == ("b",)
    with pytest.raises(InputError, match="turns of 2 recordings, and none of c"):
        read_known(manifest(folder, {"audio": "b.wav", "rttm": "both.rttm", "uniq_id": "c"}))
    (folder / "both.rttm").write_text("")
    [silent] = read_known(manifest(folder, {"audio": "b.wav", "rttm": "both.rttm"}))
    assert silent.reference.turns == ()


def test_what_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no such file or folder"):
        read_known(folder / "absent")
    with pytest.raises(InputError, match="a has no rttm_filepath"):
        read_known(manifest(folder, {"audio": "a.wav"}))
    with pytest.raises(ConfigError, match="no recordings"):
        read_known(manifest(folder))
    with pytest.raises(ConfigError, match="no `split`"):
        read_known(manifest(folder, {"audio": "a.wav", "rttm": "a.rttm"}), split="dev")
    (folder / "dev.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"has no manifest\.jsonl"):
        read_known(folder, split="dev")
