"""Conversations on disk are those that were drawn, each from its seed and number, whole or not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speakerdiar import audio
from speakerdiar.errors import ConfigError
from speakerdiar.formats import load_recordings, rttm
from speakerdiar.simulation import Clip
from speakerdiar.simulation.channel import Channel
from speakerdiar.simulation.clips import ClipPool
from speakerdiar.simulation.conversation_files import ConversationWriter, check_folder, emptied
from speakerdiar.simulation.scene import Scene, Simulator

RATE = 8000


def simulator(**options: Any) -> Simulator:
    drawn = np.random.default_rng(0)
    clips = {f"speaker {name}": [Clip((0.1 * drawn.standard_normal(RATE)).astype(np.float32))] for name in "abc"}
    return Simulator(ClipPool(clips, {}, RATE), Scene(**{"seconds": 4, "speakers": (1, 3), **options}), rate=RATE)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("format", ["flac", "wav"])
def test_files_are_what_was_drawn(tmp_path: Path, format: str) -> None:
    writer = ConversationWriter(simulator(), tmp_path, 7, format)
    turns = writer.write(3)
    assert set(names(tmp_path)) == {f"sim7-000003.{format}", "sim7-000003.rttm"}
    samples, expected = simulator().draw(np.random.default_rng([7, 3]))
    np.testing.assert_allclose(audio.load(tmp_path / f"sim7-000003.{format}", RATE), samples, atol=2e-5)
    assert (turns.recording_id, turns.duration, turns.turns) == ("sim7-000003", 4, expected)
    (read,) = rttm.load(tmp_path / "sim7-000003.rttm")
    assert [turn.speaker for turn in read] == [turn.speaker for turn in expected]
    borders, whole = ([time for turn in found for time in (turn.start, turn.end)] for found in (read, expected))
    assert borders == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize(("bits", "steps"), [(16, 2**15), (20, 2**19)])
def test_what_the_channel_rounds_to_is_kept_exactly(tmp_path: Path, bits: int, steps: int) -> None:
    writer = ConversationWriter(simulator(channel=Channel(bits=bits)), tmp_path)
    writer.write(0)
    read = audio.load(tmp_path / "sim0-000000.flac", RATE)
    np.testing.assert_array_equal(read, writer.simulator.draw(np.random.default_rng([0, 0])).samples)
    assert (read * steps % 1 == 0).all()


def test_a_manifest_lists_them_all(tmp_path: Path) -> None:
    writer = ConversationWriter(simulator(), tmp_path)
    turns = list(writer.write_all(3))
    recordings = load_recordings(writer.finish(turns))
    assert [recording.id for recording in recordings] == [f"sim0-00000{index}" for index in range(3)]
    for recording, one in zip(recordings, turns, strict=True):
        assert (recording.duration, recording.num_speakers) == (4, len(one.speakers))
        assert len(audio.load(recording, RATE)) == 4 * RATE
        assert recording.rttm_filepath is not None
        assert len(rttm.load(recording.rttm_filepath)[0]) == len(one)


def test_processes_and_numbers_change_nothing(tmp_path: Path) -> None:
    alone, many = tmp_path / "alone", tmp_path / "many"
    list(ConversationWriter(simulator(), emptied(alone)).write_all(2))
    found = list(ConversationWriter(simulator(), emptied(many)).write_all(5, jobs=2))
    assert [one.recording_id for one in found] == [f"sim0-00000{index}" for index in range(5)]
    for name in names(alone):
        assert (alone / name).read_bytes() == (many / name).read_bytes()
    assert len({(many / f"sim0-00000{index}.flac").read_bytes() for index in range(5)}) == 5


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *rest: object) -> None:
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("speakerdiar.simulation.conversation_files.save", full)
    with pytest.raises(OSError, match="no space left"):
        ConversationWriter(simulator(), tmp_path).write(0)
    assert names(tmp_path) == []


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    check_folder(tmp_path / "new")
    check_folder(tmp_path)
    (tmp_path / "sim0-000001.flac").touch()
    with pytest.raises(ConfigError, match="isn't empty: give another folder, or --overwrite"):
        check_folder(tmp_path)
    check_folder(tmp_path, overwrite=True)
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(ConfigError, match=r"holds more than conversations \(thesis.txt\)"):
        check_folder(tmp_path, overwrite=True)
    with pytest.raises(ConfigError, match="is a file: give a folder"):
        check_folder(tmp_path / "thesis.txt")


def test_emptying_removes_conversations_alone(tmp_path: Path) -> None:
    left = ".0123456789abcdef.flac"  # by a run that was killed
    for name in ("manifest.jsonl", "sim0-000001.flac", "sim0-000001.rttm", "sim12-0000001.wav", left, "notes.txt"):
        (tmp_path / name).touch()
    assert names(emptied(tmp_path)) == ["notes.txt"]
    assert emptied(tmp_path / "a/b").is_dir()


@pytest.mark.parametrize(("options", "message"), [({"format": "mp3"}, "format='mp3'"), ({"seed": -1}, "seed=-1")])
def test_what_cannot_be_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ConversationWriter(simulator(), tmp_path, **options)
