from __future__ import annotations

from pathlib import Path

from speakerdiar.formats import lists


def test_one_path_a_line(tmp_path: Path) -> None:
    (tmp_path / "c d.wav").touch()
    path = tmp_path / "all.lst"
    path.write_text("# mine\n/x/a.wav\n\n  c d.wav \r\n/y/a.wav\n/z/b#1.wav\n")
    read = lists.load(path)
    assert [r.path for r in read] == ["/x/a.wav", str(tmp_path / "c d.wav"), "/y/a.wav", "/z/b#1.wav"]
    assert [r.id for r in read] == ["x/a", "c d", "y/a", "b#1"]


def test_an_empty_list_has_no_recordings() -> None:
    assert lists.loads("# nothing\n") == []
