"""Tar archives, plain or gzip, read as a stream of members: nothing is written under a name that stands in one.

`tarfile` reads the headers only, and only through `_Headers`, which bounds what they may make it read. Links, sparse
files and devices are never followed; data comes from the archive's own bytes, where its header says.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO, Any, BinaryIO

from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.errors import WeightsError

_GZIP = b"\x1f\x8b"
_PIECE = 2**20

# What tarfile, gzip and zlib raise for broken files: numbers that are none, names that aren't text, endless headers.
_FAULTS = (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, LookupError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Member:
    """A plain file in an archive: its name without a leading `./`, and where its data lies."""

    name: str
    start: int
    size: int


class Archive:
    """An open archive. Use it in a `with` block.

    Args:
        path: the file; it is named in messages.
        limits: what is accepted.

    Raises:
        WeightsError: the file can't be opened.
    """

    def __init__(self, path: str | os.PathLike[str], limits: ArchiveLimits) -> None:
        self.path = os.fspath(path)
        self.limits = limits
        self._open = ExitStack()
        try:
            self._file = self._open.enter_context(Path(path).open("rb"))  # noqa: SIM115
            self._packed = self._file.read(2) == _GZIP
            self._file.seek(0)
            self._length = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            self._open.close()
            raise WeightsError(f"{self.path}: {error.strerror or error}: give a file that can be read.") from error
        self._bytes: BinaryIO | gzip.GzipFile = self._file
        if self._packed:
            self._bytes = self._open.enter_context(gzip.GzipFile(fileobj=self._file))

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *fault: object) -> None:
        self._open.close()

    def members(self, wanted: Mapping[str, str]) -> Iterator[Member]:
        """Yield the members of the wanted names, each at most once, in their order. Others are passed over unread.

        Read a member before the next one is asked for: a gzip file can't go back.

        Args:
            wanted: names, without a leading `./`, and the setting that limits the size of each.

        Raises:
            WeightsError: not a tar archive, cut short, beyond a limit, the name of any member leads out of the archive,
                or a wanted member isn't a plain file or stands there twice.
        """
        seen: set[str] = set()
        total = 0
        try:
            for info in self._headers():
                name = self._checked_name(info.name)
                if name in wanted:
                    self._check_member(info, wanted[name], twice=name in seen)
                total += info.size
                self.limits.check("max_bytes", total, f"{self.path}: bytes up to the member {info.name!r}")
                if name in wanted:
                    seen.add(name)
                    yield Member(name, info.offset_data, info.size)
        except _FAULTS as error:
            raise self._broken(error) from error

    def read(self, member: Member) -> bytes:
        """Return the data of a member; check its size first."""
        try:
            self._bytes.seek(member.start)
            data = self._bytes.read(member.size)
        except _FAULTS as error:
            raise self._broken(error) from error
        if len(data) < member.size:
            raise self._cut_short(member.name, member.size)
        return data

    def view(self, member: Member) -> BinaryIO:
        """Return the data of a member as a file that can be read from any place, until the archive is closed.

        What is packed goes to a temporary file without a name first, not to memory.
        """
        if not self._packed:
            return _window(self._file, member.start, member.size)
        try:
            unpacked: IO[bytes] = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
            self._bytes.seek(member.start)
            left = member.size
            while left and (piece := self._bytes.read(min(left, _PIECE))):
                left -= unpacked.write(piece)
        except _FAULTS as error:
            raise self._broken(error) from error
        if left:
            raise self._cut_short(member.name, member.size)
        return _window(unpacked, 0, member.size)

    def _broken(self, error: BaseException) -> WeightsError:
        """Return the error for an archive that can't be read on."""
        if isinstance(error, OSError) and error.errno is not None:  # the disk, not the archive
            return WeightsError(f"{self.path} can't be read: {error.strerror}.")
        reason = " ".join(str(error).split()) or type(error).__name__
        return WeightsError(f"{self.path} isn't a whole tar archive ({reason}): get the file anew.")

    def _headers(self) -> Iterator[tarfile.TarInfo]:
        """Yield the headers of all members. Each leads on by its size, so that one below 0 would lead in a circle."""
        source: Any = _Headers(self._bytes, _PIECE + 1024 * self.limits.max_members)
        with tarfile.open(fileobj=source, mode="r:") as tar:
            count = 0
            while info := tar.next():
                count += 1
                self.limits.check("max_members", count, f"{self.path}: number of members")
                if info.size < 0:
                    raise self._refused(info.name, f"its size is {info.size}")
                yield info

    def _check_member(self, info: tarfile.TarInfo, setting: str, *, twice: bool) -> None:
        if twice:
            raise self._refused(info.name, "it stands there twice")
        if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.issparse():
            raise self._refused(info.name, f"it is {_kind(info)}, not a plain file")
        self.limits.check(setting, info.size, f"{self.path}: bytes of the member {info.name!r}")
        if not self._packed and info.offset_data + info.size > self._length:
            raise self._cut_short(info.name, info.size)

    def _checked_name(self, name: str) -> str:
        path = PureWindowsPath(name)  # knows both slashes, and drives
        if path.drive or path.root or ".." in path.parts:
            raise self._refused(name, "its name leads out of the archive")
        return name.removeprefix("./")

    def _refused(self, name: str, reason: str) -> WeightsError:
        return WeightsError(f"{self.path}: the member {name!r} is refused, as {reason}: get the file from its author.")

    def _cut_short(self, name: str, size: int) -> WeightsError:
        return WeightsError(
            f"{self.path} is cut short: the member {name!r} has fewer than its {size:,} bytes. Get the file anew."
        )


class _Headers:
    """The archive as `tarfile` sees it, with a bound on what its headers may make it read."""

    def __init__(self, file: BinaryIO | gzip.GzipFile, allowance: int) -> None:
        self.file = file
        self.left = allowance
        self.tell = file.tell
        self.seek = file.seek

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self.left:
            raise tarfile.ReadError(f"headers of {size:,} bytes")
        self.left -= size
        return self.file.read(size)


class _Window(io.RawIOBase):
    """The bytes from `start` on, `size` of them, of a file, as a file of its own."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self.file = file
        self.start = start
        self.size = size
        self.at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.size}[whence]
        if origin + offset < 0:
            raise ValueError(f"seek to {origin + offset}, before the start")
        self.at = origin + offset
        return self.at

    def readinto(self, buffer: Any) -> int:
        target = memoryview(buffer).cast("B")[: max(0, self.size - self.at)]
        self.file.seek(self.start + self.at)
        count: int = self.file.readinto(target)  # type: ignore[attr-defined]  # binary files of the library have it
        self.at += count
        return count


def _window(file: IO[bytes], start: int, size: int) -> BinaryIO:
    return io.BufferedReader(_Window(file, start, size), 2**16)


def _kind(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return f"a link to {info.linkname!r}"
    return "a folder" if info.isdir() else "sparse" if info.issparse() else "a device or the like"
