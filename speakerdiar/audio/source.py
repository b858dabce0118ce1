"""Opens what a recording points at, as a window of bytes that can be read anywhere."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from speakerdiar.audio.limits import AudioLimits
from speakerdiar.errors import AudioDecodeError, AudioError, AudioNotFoundError
from speakerdiar.recording import Recording

_COPY_BYTES = 2**20
_SPOOL_BYTES = 2**24  # streams up to this size stay in memory


class Window:
    """A stretch of an open file, with a reading position of its own.

    Several windows on one file don't disturb each other. Decoders call in from C, where an exception would be lost: a
    failing read ends the data instead, and `check` raises the reason.
    """

    def __init__(self, file: BinaryIO, name: str, start: int, size: int) -> None:
        self.name = name
        self.size = size
        self._file = file
        self._start = start
        self._position = 0
        self._failure: Exception | None = None

    def part(self, start: int, size: int) -> Window:
        """Return a window on a stretch of this one, clipped to it."""
        start = min(start, self.size)
        return Window(self._file, self.name, self._start + start, max(0, min(size, self.size - start)))

    def read(self, count: int = -1) -> bytes:
        """Return up to `count` bytes (all that remain, for -1); fewer only at the end."""
        left = max(0, self.size - self._position)
        count = left if count < 0 else min(count, left)
        try:
            self._file.seek(self._start + self._position)
            data = self._file.read(count) or b""
        except Exception as error:  # whatever a caller's file object raises; see check
            self._failure = error
            return b""
        self._position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` (writable, of bytes) and return how many bytes were read."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the reading position as `io.IOBase.seek` does."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the reading position, in bytes from the start of the window."""
        return self._position

    def at(self, position: int, count: int) -> bytes:
        """Return up to `count` bytes from `position` on."""
        self.seek(position)
        return self.read(count)

    def check(self) -> None:
        """Raise AudioError where a read has failed."""
        if self._failure is not None:
            raise AudioError(f"{self.name}: reading it failed: {self._failure}.") from self._failure


def name_of(recording: Recording) -> str:
    """Return what errors call the recording: its path where it has one, else its id."""
    return os.fspath(recording.source) if isinstance(recording.source, str | os.PathLike) else recording.id


@contextmanager
def opened(recording: Recording, limits: AudioLimits) -> Iterator[Window]:
    """Open a recording's file as a window on all its bytes.

    A caller's file object is read from its beginning, wherever it stands, and put back there afterwards; one that can't
    seek is copied first (in memory, beyond 16 MiB on disk). Files opened here are closed.

    Raises:
        AudioNotFoundError: there is no such file.
        AudioError: a folder, a file that may not be read, a closed or a text file object.
        AudioDecodeError: no bytes at all.
        AudioLimitError: more than `limits.max_bytes`.
    """
    name = name_of(recording)
    if isinstance(recording.source, str | os.PathLike):
        with _open_path(os.fspath(recording.source)) as file, _window(file, name, limits) as window:
            yield window
        return
    file = cast(BinaryIO, recording.source)
    _check_file_object(file, name)
    with _window(file, name, limits) as window:
        yield window


def is_seekable(file: Any) -> bool:
    """Whether one can go back in an open file."""
    # SpooledTemporaryFile has no `seekable` before Python 3.11, and seeks.
    return bool(file.seekable()) if hasattr(file, "seekable") else hasattr(file, "seek")


@contextmanager
def _window(file: BinaryIO, name: str, limits: AudioLimits) -> Iterator[Window]:
    if not is_seekable(file):
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
            copy_bounded(file, cast(BinaryIO, spool), name, limits)
            yield _whole(cast(BinaryIO, spool), name, limits)
        return
    before = file.tell()
    try:
        yield _whole(file, name, limits)
    finally:
        if not getattr(file, "closed", False):
            file.seek(before)


def _whole(file: BinaryIO, name: str, limits: AudioLimits) -> Window:
    file.seek(0, os.SEEK_END)
    size = file.tell()
    limits.check_bytes(size, name)
    if size == 0:
        raise AudioDecodeError(f"{name}: is empty (0 bytes): was it written to the end?")
    return Window(file, name, 0, size)


def copy_bounded(source: Any, target: BinaryIO, name: str, limits: AudioLimits) -> None:
    """Copy a stream, counting: raises AudioLimitError beyond `limits.max_bytes`, AudioError where reading fails."""
    count = 0
    while True:
        try:
            data = source.read(_COPY_BYTES)
        except (OSError, ValueError) as error:
            raise AudioError(f"{name}: reading it failed: {error}.") from error
        if not data:
            return
        count += len(data)
        limits.check_bytes(count, name)
        target.write(data)


def _open_path(path: str) -> BinaryIO:
    try:
        file = open(path, "rb")  # noqa: SIM115 (the caller closes it)
    except FileNotFoundError:
        hint = "addresses aren't fetched: download it first" if "://" in path else "check the path"
        raise AudioNotFoundError(f"{path}: no such file: {hint}.") from None
    except IsADirectoryError:
        raise AudioError(f"{path}: is a folder: name the files in it.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioError(f"{path!r:.200}: can't be opened: {reason}.") from error
    return file


def _check_file_object(file: Any, name: str) -> None:
    if getattr(file, "closed", False):
        raise AudioError(f"{name}: the file object is closed: hand it over open.")
    try:
        nothing = file.read(0)
    except (OSError, ValueError) as error:
        raise AudioError(f"{name}: the file object can't be read: {error}.") from error
    if isinstance(nothing, str):
        raise AudioError(f"{name}: the file object gives text: open it with mode 'rb'.")
