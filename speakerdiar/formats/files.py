"""Text files in and out: byte-order marks are understood, and a file is written whole or not at all."""

from __future__ import annotations

import codecs
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from speakerdiar.errors import FormatError, InputError

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def read_text(path: str | os.PathLike[str]) -> str:
    """Return the text of a file: UTF-8, or UTF-16 with a byte-order mark. Line ends stay as they are.

    Raises:
        InputError: the file can't be opened.
        FormatError: it isn't Unicode text.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{os.fspath(path)}: {error.strerror or error}: give a text file that can be read.") from error
    mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", "utf-8"))
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise FormatError(f"isn't {encoding.upper()} text ({error}): save it as UTF-8.", path=path) from error


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write UTF-8 text and return the path. Missing folders are made; a reader never sees half a file.

    Raises:
        FormatError: the text holds half a surrogate pair, which has no UTF-8 form.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise FormatError(f"{text[error.start : error.end]!r} has no UTF-8 form: rename it.", path=path) from error
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        beside.write_bytes(data)
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return Path(path)


def numbered_lines(text: str, comment: str) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, line without outer white space) for all lines but blank ones and comments."""
    for line, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        content = raw.strip()
        if content and not content.startswith(comment):
            yield line, content


def beside(path: str, owner: str | os.PathLike[str] | None) -> str:
    """Return where a path named inside the file `owner` points.

    A path that exists as given stays as it is, and so does one that is found nowhere; else it is looked for from the
    folder of `owner` on.
    """
    if owner is None or os.path.isabs(path) or os.path.exists(path):
        return path
    candidate = Path(owner).parent / path
    return str(candidate) if candidate.exists() else path
