"""Bytes of a stream that can't seek, as they come."""

from __future__ import annotations

from typing import Any

from speakerdiar.errors import AudioError

_READ_BYTES = 2**16


class ByteStream:
    """Reads a binary stream without waiting for more than the next bytes; what was looked at can be given back.

    Args:
        stream: an open binary stream: a pipe, standard input, the file of a socket. It stays the caller's to close.
    """

    def __init__(self, stream: Any) -> None:
        # `read` of a buffered stream waits until it has all that it was asked for, `read1` doesn't.
        self._read = getattr(stream, "read1", None) or stream.read
        self._held = b""
        name = getattr(stream, "name", None)
        self.name = name if isinstance(name, str) else "stream"

    def some(self) -> bytes:
        """Return the next bytes, as many as are there; none only at the end.

        Raises:
            AudioError: the stream can't be read, gives text, or doesn't wait for data.
        """
        if self._held:
            held, self._held = self._held, b""
            return held
        try:
            data = self._read(_READ_BYTES)
        except (OSError, ValueError) as error:
            raise AudioError(f"{self.name}: reading it failed: {error}.") from error
        if isinstance(data, str):
            raise AudioError(f"{self.name}: the stream gives text: open it with mode 'rb', or take its `buffer`.")
        if data is None:
            raise AudioError(f"{self.name}: the stream doesn't wait for data: make it blocking.")
        return bytes(data)

    def up_to(self, count: int) -> bytes:
        """Return the next `count` bytes; fewer only at the end."""
        parts: list[bytes] = []
        missing = count
        while missing and (data := self.some()):
            parts.append(data[:missing])
            self.give_back(data[missing:])
            missing -= len(parts[-1])
        return b"".join(parts)

    def give_back(self, data: bytes) -> None:
        """Put bytes in front of those that come next."""
        self._held = data + self._held
