"""Writes a folder whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from speakerdiar.errors import ConfigError


@contextlib.contextmanager
def whole_folder(folder: str | os.PathLike[str], files: Collection[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give an empty folder to write to, which becomes `folder` when the block is left without an error.

    Args:
        folder: where; missing folders above it are made.
        files: names that a folder written before may hold.
        overwrite: replace a folder that was written before. One that holds anything else is never touched.

    Raises:
        ConfigError: the folder isn't empty.
    """
    target = Path(os.path.realpath(folder))
    _check_target(target, files, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{secrets.token_hex(8)}.part")
    beside.mkdir()
    try:
        yield beside
        _put_in_place(beside, target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _check_target(target: Path, files: Collection[str], overwrite: bool) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise ConfigError(f"{target} is a file: give a folder.")
    held = {entry.name for entry in target.iterdir()}
    if held and not overwrite:
        raise ConfigError(f"{target} isn't empty: give another folder, or overwrite=True to replace the model in it.")
    others = sorted(held.difference(files))
    if others:
        raise ConfigError(f"{target} holds more than a model ({', '.join(others[:5])}): give another folder.")


def _put_in_place(beside: Path, target: Path) -> None:
    """Make a folder that is whole the target; the one that is there goes last."""
    if not target.exists():
        beside.rename(target)
        return
    former = beside.with_suffix(".former")
    target.rename(former)
    try:
        beside.rename(target)
    except BaseException:
        former.rename(target)
        raise
    shutil.rmtree(former)
