"""Folders are written whole or not at all, and what isn't a model is never touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from speakerdiar.checkpoints.whole_folder import whole_folder
from speakerdiar.errors import ConfigError


def write(folder: Path, text: str = "new", *, overwrite: bool = False) -> None:
    with whole_folder(folder, ["a", "b"], overwrite=overwrite) as target:
        (target / "a").write_text(text)


def test_a_folder_appears_with_those_above_it(tmp_path: Path) -> None:
    write(tmp_path / "x" / "y")
    assert (tmp_path / "x" / "y" / "a").read_text() == "new"
    assert [entry.name for entry in (tmp_path / "x").iterdir()] == ["y"]


def fail(folder: Path, *, overwrite: bool = False) -> None:
    with whole_folder(folder, ["a"], overwrite=overwrite) as target:
        (target / "a").write_text("half")
        raise RuntimeError


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        fail(tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_a_former_folder_is_replaced_when_asked(tmp_path: Path) -> None:
    write(tmp_path / "x", "old")
    (tmp_path / "x" / "b").write_text("old")
    with pytest.raises(ConfigError, match="isn't empty"):
        write(tmp_path / "x")
    write(tmp_path / "x", overwrite=True)
    assert [(entry.name, entry.read_text()) for entry in (tmp_path / "x").iterdir()] == [("a", "new")]
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_an_error_keeps_the_former_folder(tmp_path: Path) -> None:
    write(tmp_path / "x", "old")
    with pytest.raises(RuntimeError):
        fail(tmp_path / "x", overwrite=True)
    assert (tmp_path / "x" / "a").read_text() == "old"


def test_other_files_are_never_touched(tmp_path: Path) -> None:
    (tmp_path / "letters").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds more than a model \(letters\)"):
        write(tmp_path, overwrite=True)
    with pytest.raises(ConfigError, match="is a file"):
        write(tmp_path / "letters", overwrite=True)
    assert (tmp_path / "letters").read_text() == "mine"
