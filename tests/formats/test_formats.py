from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from speakerdiar import formats
from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import FormatError, InputError
from speakerdiar.formats import files, times

TALK = Diarization("talk", 6.0, (Turn(0, 4, "speaker_0"), Turn(3, 6, "speaker_1")))
SUFFIXES = [suffix for format in formats.FORMATS.values() for suffix in format.suffixes]


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".RTTM", ".TextGrid"])
def test_what_is_saved_is_loaded(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "a" / "b" / f"talk{suffix}"
    assert TALK.save(path) == path
    assert formats.load(path) == [TALK]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", formats.FORMATS)
def test_every_format_is_had_by_name(name: str) -> None:
    text = formats.dumps(TALK, name)
    assert formats.FORMATS[name].read(text, "talk", None) == [TALK]


def test_what_can_be_read_is_told_by_suffix() -> None:
    assert all(formats.is_readable(f"talk{suffix.upper()}") for suffix in SUFFIXES)
    assert not formats.is_readable("talk.wav")


def test_no_suffix_stands_for_two_formats() -> None:
    assert len(set(SUFFIXES)) == len(SUFFIXES)


def test_the_doors_of_a_diarization_lead_here(tmp_path: Path) -> None:
    assert TALK.to_rttm() == formats.dumps(TALK, "rttm")
    assert TALK.to_json()["recording_id"] == "talk"
    with open(tmp_path / "talk.rttm", "w+", encoding="utf-8") as file:
        TALK.write_rttm(file)
    assert formats.load(tmp_path / "talk.rttm") == [TALK]


def test_unknown_suffixes_and_names_list_the_known_ones(tmp_path: Path) -> None:
    for act in (lambda path: formats.save(TALK, path), formats.load):
        with pytest.raises(FormatError, match=r"suffix '\.doc' is none of \.rttm, \.json, .*\.textgrid"):
            act(tmp_path / "talk.doc")
    with pytest.raises(FormatError, match=r"no format 'rtm'\. Did you mean 'rttm'.* Formats: rttm, json"):
        formats.dumps(TALK, "rtm")
    with pytest.raises(FormatError, match=r"'\.mp4' is none of \.json, \.jsonl, \.scp"):
        formats.load_recordings("talk.mp4")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.json", '{"audio_filepath": "/x/a.wav"}'),
        ("m.JSONL", '{"audio_filepath": "/x/a.wav"}'),
        ("wav.scp", "a /x/a.wav"),
        ("m.lst", "/x/a.wav"),
        ("m.list", "/x/a.wav"),
        ("m.txt", "/x/a.wav"),
    ],
)
def test_lists_of_recordings_are_read_by_suffix(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert [(r.id, r.path) for r in formats.load_recordings(tmp_path / name)] == [("a", "/x/a.wav")]


def test_a_folder_is_kaldis(tmp_path: Path) -> None:
    (tmp_path / "wav.scp").write_text("a /x/a.wav")
    assert [r.id for r in formats.load_recordings(tmp_path)] == ["a"]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = TALK.save(tmp_path / "talk.rttm")
    before = path.read_text()

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        replace(TALK, recording_id="other").save(path)
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target.rttm", tmp_path / "link.rttm"
    link.symlink_to(target)
    TALK.save(link)
    assert link.is_symlink()
    assert formats.load(target) == [TALK]


def test_text_that_is_no_unicode(tmp_path: Path) -> None:
    path = tmp_path / "talk.rttm"
    path.write_bytes(b"caf\xe9")
    with pytest.raises(FormatError, match=r"talk\.rttm: isn't UTF-8 text"):
        formats.load(path)
    with pytest.raises(FormatError, match=r"'\\udce9' has no UTF-8 form"):
        replace(TALK, recording_id="caf\udce9").save(tmp_path / "new.json")


def test_a_folder_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Is a directory"):
        files.read_text(tmp_path)


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "0.000"),
        (1_500_000, "1.500"),
        (1, "0.000001"),
        (123_456, "0.123456"),
        (-1_020_000, "-1.020"),
        (10**11, "100000.000"),
    ],
)
def test_decimals(microseconds: int, text: str) -> None:
    assert times.decimals(microseconds) == text


@pytest.mark.parametrize("text", ["", "nan", "inf", "1_0", "0x1", "1e400", "1,5", "١", "1 2", "--1", "."])
def test_what_is_no_number(text: str) -> None:
    assert times.number(text) is None
