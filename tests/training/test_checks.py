"""All that is wrong with data is told at once, by file and line; what is there is counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speakerdiar.formats import files
from speakerdiar.training.checks import check_data
from speakerdiar.training.config import DataConfig

RATE = 8000


def sound(path: Path, seconds: float) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(round(seconds * RATE)), RATE)
    return str(path)


def rttm(path: Path, *turns: tuple[float, float, str], id: str = "talk") -> str:
    lines = (f"SPEAKER {id} 1 {start} {length} <NA> <NA> {name} <NA> <NA>\n" for start, length, name in turns)
    return str(files.write_text(path, "".join(lines)))


def manifest(path: Path, *entries: object) -> str:
    return str(files.write_text(path, "\n".join(json.dumps(entry) if entry else "" for entry in entries)))


def test_recordings_are_counted(tmp_path: Path) -> None:
    one = {
        "audio_filepath": sound(tmp_path / "talk.wav", 10),
        "rttm_filepath": rttm(tmp_path / "talk.rttm", (0, 4, "A"), (3, 3, "B"), (8, 2.05, "A")),
    }
    two = {
        "audio_filepath": sound(tmp_path / "other.wav", 8),
        "rttm_filepath": rttm(tmp_path / "other.rttm", (0, 1, "A"), (2, 6, "C"), id="other"),
        "offset": 3.0,
        "duration": 4.0,
    }
    path = manifest(tmp_path / "train.jsonl", one, two)
    report = check_data(DataConfig(train=[path], validation=[path, path]))
    assert report.faults == ()
    train, validation = report.rows
    assert (train.name, train.recordings, train.speakers, train.each) == ("data.train", 2, 3, (1, 2))
    assert train.hours * 3600 == pytest.approx(14)
    assert train.speech == pytest.approx((8 + 4) / 14)  # a turn that ends a little past the audio is cut
    assert train.overlap == pytest.approx(1 / 12)
    assert (validation.name, validation.recordings, validation.each) == ("data.validation", 4, (1, 2))
    assert validation.hours == pytest.approx(2 * train.hours)


def test_all_faults_with_their_lines(tmp_path: Path) -> None:
    audio = sound(tmp_path / "talk.wav", 10)
    good = rttm(tmp_path / "good.rttm", (0, 4, "A"))
    past = rttm(tmp_path / "past.rttm", (0, 4, "A"), (9, 1.5, "A"), (2, 1, "B"), (12, 1, "B"))
    silent = rttm(tmp_path / "silent.rttm")
    broken = str(files.write_text(tmp_path / "broken.rttm", "SPEAKER talk 1 0 1 <NA> <NA> A <NA> <NA>\nSPEAKER talk\n"))
    path = manifest(
        tmp_path / "train.jsonl",
        {"audio_filepath": str(tmp_path / "missing.wav"), "rttm_filepath": good},
        None,
        {"audio_filepath": audio},
        {"audio_filepath": audio, "rttm_filepath": str(tmp_path / "missing.rttm")},
        {"audio_filepath": audio, "rttm_filepath": past},
        {"audio_filepath": audio, "rttm_filepath": silent},
        {"audio_filepath": audio, "rttm_filepath": broken},
        {"audio_filepath": audio, "rttm_filepath": good, "offset": 20},
    )
    bad = str(files.write_text(tmp_path / "bad.jsonl", '{"audio_filepath": "a.wav"}\n[1]\n'))
    report = check_data(DataConfig(train=[path, bad, str(tmp_path / "none.jsonl")], noise=[str(tmp_path / "none")]))
    expected = [
        (f"{path}:1: ", "missing.wav"),
        (f"{path}:3: ", "no rttm_filepath"),
        (f"{path}:4: ", "missing.rttm"),
        (f"{past}:2: ", "a turn ends at 10.50 s"),
        (f"{past}:4: ", "a turn ends at 13.00 s"),
        (f"{path}:6: ", "nobody speaks"),
        (f"{path}:7: ", "broken.rttm:2: 2 fields"),
        (f"{path}:8: ", "offset=20 s lies beyond"),
        (f"{bad}:2: ", "isn't a JSON object"),
        ("", "none.jsonl"),
        ("data.noise: ", "no such folder"),
    ]
    assert len(report.faults) == len(expected)
    for fault, (start, part) in zip(report.faults, expected, strict=True):
        assert fault.startswith(start)
        assert part in fault
    assert report.rows[0].recordings == 1


def test_a_recording_among_others_in_one_rttm(tmp_path: Path) -> None:
    text = files.read_text(rttm(tmp_path / "b.rttm", (0, 20, "B"), id="other"))
    both = rttm(tmp_path / "all.rttm", (0, 4, "A"))
    files.write_text(both, files.read_text(both) + text)
    entry = {"audio_filepath": sound(tmp_path / "talk.wav", 10), "rttm_filepath": both}
    report = check_data(DataConfig(train=[manifest(tmp_path / "train.jsonl", entry)]))
    assert report.faults == ()
    assert report.rows[0].speakers == 1


def test_clips_are_counted(tmp_path: Path) -> None:
    for name, seconds in (("a/1", 2), ("a/2", 4), ("b/1", 3)):
        sound(tmp_path / "clips" / f"{name}.wav", seconds)
    entries = [
        {"audio": sound(tmp_path / "c.wav", 5), "speaker": "c", "utterances": [[0, 2], [3, 4.5]]},
        {"audio": sound(tmp_path / "d.wav", 1), "speaker": "d", "utterances": [[0, 1]]},
    ]
    path = manifest(tmp_path / "pool.jsonl", *entries)
    report = check_data(DataConfig(clips=[str(tmp_path / "clips"), path]))
    assert report.faults == ()
    [row] = report.rows
    assert (row.name, row.recordings, row.speakers, row.each) == ("data.clips", 5, 4, None)
    assert row.hours * 3600 == pytest.approx(9 + 3.5 + 1)


def test_clips_that_are_not_there(tmp_path: Path) -> None:
    entries = [
        {"audio": str(tmp_path / "gone.wav"), "speaker": "c", "utterances": [[0, 2]]},
        {"audio": sound(tmp_path / "d.wav", 1), "speaker": "d", "utterances": [[0, 1], [3, 4]]},
    ]
    path = manifest(tmp_path / "pool.jsonl", *entries)
    report = check_data(DataConfig(clips=[path, str(tmp_path / "nowhere")]))
    gone, past, nowhere = report.faults
    assert gone.startswith(f"{path}:1: ")
    assert "gone.wav" in gone
    assert past == f"{path}:2: a stretch from 3 s on is empty: {tmp_path / 'd.wav'} has 1.00 s."
    assert "nowhere: there is no such file or folder" in nowhere


def test_nothing_to_look_at() -> None:
    report = check_data(DataConfig())
    assert (report.rows, report.faults) == ((), ())
