"""Matrices and vectors in Kaldi archives: speakers' profiles, features.

    profile.scp   <key> <archive>:<offset>         (or <archive>:<offset>[<first row>:<last row>])
    profile.ark   <key> <matrix> <key> <matrix> ...

Archives are text or binary (float, double, compressed). Binary matrices are taken apart by kaldiio, the extra `kaldi`.
It is handed an open file, and only where the file holds one of these: what else kaldiio would take (commands, pickles,
standard input) never reaches it. Nothing is ever run.
"""

from __future__ import annotations

import math
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from speakerdiar.errors import FormatError, MissingExtraError
from speakerdiar.formats import files
from speakerdiar.formats.kaldi import is_command

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RANGE = r"(\d+:\d+|:?)"
_PLACE = re.compile(rf"(?P<archive>.*?[^\]])(?::(?P<offset>\d+))?(?:\[{_RANGE}(?:,{_RANGE})?\])?")
# Kaldi's own allowance: the last row of a stretch of speech may lie a little past the end of its features.
_PAST_END = 3
_HEAD_BYTES = 32
_LONGEST_KEY = 4096
# How the sizes stand behind the name of a kind, and the bytes of a number.
_KINDS = {
    b"FM": ("<xixi", 4),
    b"DM": ("<xixi", 8),
    b"FV": ("<xi", 4),
    b"DV": ("<xi", 8),
    b"CM": ("<8xii", 1),
    b"CM2": ("<8xii", 2),
    b"CM3": ("<8xii", 1),
}


@dataclass(frozen=True)
class MatrixPlace:
    """Where a matrix or vector lies; it is read when asked for.

    Attributes:
        archive: path of the archive.
        offset: bytes from its start.
        ranges: the rows and the columns to take; empty for all.
        path, line: the list that names the place, for messages.
    """

    archive: str
    offset: int = 0
    ranges: tuple[slice, ...] = ()
    path: str | None = None
    line: int | None = None

    def read(self) -> NDArray[np.float32]:
        """Return the matrix (rows, columns) or vector (size,).

        Raises:
            FormatError: with path and line of the list: no such archive, no matrix there, a broken one, numbers that
                aren't finite, or rows that aren't there.
            MissingExtraError: the matrix is binary and kaldiio isn't installed.
        """
        try:
            with _opened(self.archive) as file:
                file.seek(self.offset)
                return _cut(_matrix(file), self.ranges)
        except (OSError, FormatError) as error:
            raise FormatError(f"{self.archive}:{self.offset}: {error}", path=self.path, line=self.line) from error


def load_scp(path: str | os.PathLike[str]) -> dict[str, MatrixPlace]:
    """Return where the matrix of each key of a list lies. Relative paths are looked for as in `formats.kaldi`.

    Raises:
        InputError: the list can't be opened.
        FormatError: with path and line: a key without a place, a command, or a key that stands there twice.
    """
    places: dict[str, MatrixPlace] = {}
    for line, content in files.numbered_lines(files.read_text(path), comment="#"):
        key, *rest = content.split(maxsplit=1)
        if not rest:
            raise FormatError(f"{key!r} has no place: a line is a key and archive:offset.", path=path, line=line)
        if key in places:
            raise FormatError(f"{key!r} stands here twice.", path=path, line=line)
        places[key] = _place(rest[0], path, line)
    return places


def load_ark(path: str | os.PathLike[str]) -> dict[str, NDArray[np.float32]]:
    """Return all matrices (rows, columns) and vectors (size,) of an archive, by their keys.

    Raises:
        FormatError: with the path: no such archive, a broken one, a key that stands there twice, or numbers that aren't
            finite.
        MissingExtraError: the archive is binary and kaldiio isn't installed.
    """
    found: dict[str, NDArray[np.float32]] = {}
    try:
        with _opened(path) as file:
            for key in _keys(file):
                if key in found:
                    raise FormatError(f"{key!r} stands here twice.")
                found[key] = _matrix(file)
    except (OSError, FormatError) as error:
        place = f"behind {list(found)[-1]!r}: " if found else ""
        raise FormatError(f"{place}{error}", path=path) from error
    return found


def _place(text: str, path: str | os.PathLike[str], line: int) -> MatrixPlace:
    if is_command(text):
        message = f"{text!r:.60} is a command, and commands aren't run: write the matrices to an archive and name that."
        raise FormatError(message, path=path, line=line)
    parts = _PLACE.fullmatch(text)
    if parts is None:
        raise FormatError(f"{text!r:.60} isn't archive:offset or archive:offset[first:last].", path=path, line=line)
    ranges = tuple(_range(one) for one in parts.groups()[2:] if one is not None)
    archive = files.beside(parts["archive"], path)
    return MatrixPlace(archive, int(parts["offset"] or 0), ranges, os.fspath(path), line)


def _range(text: str) -> slice:
    """Return Kaldi's `first:last` as a slice; both ends belong to it."""
    first, _, last = text.partition(":")
    return slice(int(first), int(last) + 1) if last else slice(None)


def _cut(array: NDArray[np.float32], ranges: tuple[slice, ...]) -> NDArray[np.float32]:
    if len(ranges) > array.ndim:
        raise FormatError("a range of columns, and this is a vector.")
    for one, size in zip(ranges, array.shape, strict=False):
        if one.stop is not None and not (one.start < min(one.stop, size) and one.stop <= size + _PAST_END):
            raise FormatError(f"[{one.start}:{one.stop - 1}] doesn't lie in 0:{size - 1}.")
    return array[ranges]


def _opened(path: str | os.PathLike[str]) -> BinaryIO:
    if not os.path.isfile(path):
        raise FormatError("there is no such file.")
    return open(path, "rb")


def _keys(file: BinaryIO) -> Iterator[str]:
    """Yield the keys; whoever takes one reads its matrix before asking for the next."""
    while key := _word(file):
        try:
            yield key.decode()
        except UnicodeDecodeError:
            raise FormatError(f"{key[:20]!r} is no key: the archive is broken.") from None


def _word(file: BinaryIO) -> bytes:
    word = bytearray()
    while (letter := file.read(1)) and not (word and letter.isspace()):
        word += letter.strip()
        if len(word) > _LONGEST_KEY:
            raise FormatError(f"{bytes(word[:20])!r} is no key: this is no archive, or it is broken.")
    return bytes(word)


def _matrix(file: BinaryIO) -> NDArray[np.float32]:
    at = file.tell()
    head = file.read(_HEAD_BYTES)
    left = file.seek(0, os.SEEK_END) - at
    file.seek(at)
    if head.startswith(b"\0B"):
        _check_head(head, left)
        numbers = _binary(file)
    elif head.lstrip().startswith(b"["):
        numbers = _text(file)
    else:
        raise FormatError(f"{head[:12]!r} begins no matrix: the archive is cut short, or the offset is another.")
    with np.errstate(over="ignore"):
        matrix = np.array(numbers, dtype=np.float32)  # a copy, since what kaldiio returns can't be written to
    if not np.isfinite(matrix).all():
        raise FormatError("holds numbers that aren't finite.")
    return matrix


def _check_head(head: bytes, left: int) -> None:
    """Refuse what isn't a matrix or vector of floats, or has a size that the file can't hold."""
    kind, _, sizes = head.removeprefix(b"\0B").partition(b" ")
    if kind not in _KINDS:
        names = ", ".join(name.decode() for name in _KINDS)
        raise FormatError(f"{head[:12]!r} begins no matrix of floats: the kinds are {names}.")
    layout, width = _KINDS[kind]
    if len(sizes) < struct.calcsize(layout):
        raise FormatError("is cut short.")
    shape = struct.unpack_from(layout, sizes)
    if min(shape) < 1:
        raise FormatError(f"a matrix of shape {shape}: give one that holds numbers.")
    held = left - (len(head) - len(sizes)) - struct.calcsize(layout)
    if math.prod(shape) * width > held:
        raise FormatError(f"a matrix of shape {shape} doesn't fit in the {held} bytes that follow: it is cut short.")


def _binary(file: BinaryIO) -> NDArray[Any]:
    try:
        from kaldiio.matio import read_matrix_or_vector
    except ImportError as error:
        raise MissingExtraError("kaldiio", "kaldi", "Reading binary Kaldi archives") from error
    try:
        with np.errstate(all="ignore"):
            return np.asarray(read_matrix_or_vector(file))
    except (AssertionError, ValueError, struct.error) as error:
        raise FormatError(f"a broken matrix. {error}") from error


def _text(file: BinaryIO) -> NDArray[Any]:
    """Read `[ 1 2 ]`, or a matrix with a line a row. kaldiio takes a first number without a point for integers."""
    lines = []
    for line in iter(file.readline, b""):
        lines.append(line)
        if b"]" in line:
            break
    inside, end, behind = b"".join(lines).lstrip()[1:].partition(b"]")
    if not end or behind.strip():
        raise FormatError("a matrix has no end: a line with ] and nothing behind it is missing.")
    rows = [row.split() for row in inside.split(b"\n") if row.strip()]
    if len({len(row) for row in rows}) != 1:
        raise FormatError(f"a matrix with rows of {sorted({len(row) for row in rows})} numbers: give all the same.")
    try:
        numbers = np.array([[float(number) for number in row] for row in rows])
    except ValueError as error:
        raise FormatError(f"{error}.") from error
    return numbers if b"\n" in inside else numbers[0]
