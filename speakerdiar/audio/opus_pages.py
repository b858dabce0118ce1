"""Mends the positions on the pages of Ogg Opus files over which libsndfile would stumble.

Every Ogg page carries a granule position: how many samples, at 48 kHz, the stream has up to the last packet that ends
on the page. FFmpeg takes it from time stamps, which can wander: in files that it made at 16 kHz some pages are 489
samples ahead of what the packets hold, and a later page is right again. That page then advances by less than its own
packets hold. There libsndfile 1.2.2 gives up ("file is malformed"), though only a first page like that is (RFC 7845,
section 4.5); where it is the last page, it silently cuts too much off the end, as FFmpeg's own reader does. The packets
are whole, so libsndfile gets to see the file with the positions that follow from them.

Sources: RFC 3533, section 6 (pages); RFC 7845, section 4 (positions); RFC 6716, section 3.1 (lengths of packets).
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from speakerdiar.audio.source import Window

_HEAD = struct.Struct("<4sBBqIIIB")  # "OggS", version, flags, position, stream, number, CRC, number of segments
_CONTINUED, _LAST = 1, 4  # flags: begins inside a packet, is the last page
_FULL = 255  # a segment of this size goes on in the next one
_HEADERS = 2  # the packets OpusHead and OpusTags end on a page each, which hold no sound

_SILK, _HYBRID, _CELT = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)  # samples of a frame at 48 kHz
_FRAME_SAMPLES = (*_SILK * 3, *_HYBRID * 2, *_CELT * 4)  # by the configuration, the upper 5 bits of a packet
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class _Page(NamedTuple):
    start: int
    size: int
    flags: int
    position: int
    stream: int
    table: bytes  # sizes of the segments
    body: bytes


class _MendedWindow(Window):
    """A window in which some pages have another position, and the checksum that goes with it."""

    def __init__(self, window: Window, starts: np.ndarray, sizes: np.ndarray, positions: np.ndarray) -> None:
        super().__init__(window._file, window.name, window._start, window.size)
        self._starts, self._sizes, self._positions = starts, sizes, positions

    def read(self, count: int = -1) -> bytes:
        """Return up to `count` bytes (all that remain, for -1); fewer only at the end."""
        begin = self.tell()
        data = bytearray(super().read(count))
        first, last = np.searchsorted(self._starts, (begin - _HEAD.size + 1, begin + len(data)))
        for index in range(first, last):
            head, at = self._head(index), int(self._starts[index]) - begin
            data[max(0, at) : at + len(head)] = head[max(0, -at) : len(data) - at]
        self.seek(begin + len(data))
        return bytes(data)

    def _head(self, index: int) -> bytes:
        """Return the mended head of a page; that of a damaged page as it is, so that it stays one."""
        self.seek(int(self._starts[index]))
        page = super().read(int(self._sizes[index]))
        if len(page) < _HEAD.size:
            return page
        magic, version, flags, _, stream, number, checksum, segments = _HEAD.unpack_from(page)
        rest, position = page[_HEAD.size :], int(self._positions[index])
        if _checksum(page[:22] + bytes(4) + page[26:]) != checksum:
            return page[: _HEAD.size]
        blank = _HEAD.pack(magic, version, flags, position, stream, number, 0, segments)
        return _HEAD.pack(magic, version, flags, position, stream, number, _checksum(blank + rest), segments)


def with_mended_pages(window: Window) -> Window:
    """Return a window on an Ogg Opus file in which the positions of all pages fit their packets.

    Whatever else it is (another codec, several streams, missing pages, positions that fit) comes back as it is. An Opus
    file is read through once for this; 32 bytes are kept for each page, which is a second of sound as a rule.

    Raises:
        AudioError: the file couldn't be read.
    """
    if window.at(_HEAD.size + 1, 8) != b"OpusHead":
        return window
    scanned = _scan(window)
    window.check()
    if scanned is None:
        return window
    (starts, sizes, positions, samples), packet, ended = scanned
    mended = _mended(positions, samples, packet, ended)
    wrong = mended != positions
    return _MendedWindow(window, starts[wrong], sizes[wrong], mended[wrong]) if wrong.any() else window


def _mended(positions: np.ndarray, samples: np.ndarray, packet: int, ended: bool) -> np.ndarray:
    """Return positions that fit the numbers of samples on the pages, or the old ones where they can be right.

    `packet` is the length of the longest packet. Where the last page ends the stream (`ended`), its position may cut
    off what pads the last packet.
    """
    ends = np.cumsum(samples)
    ahead = positions - ends
    inner = ahead[:-1] if ended else ahead
    moved = np.diff(ahead, prepend=0)
    least = np.zeros_like(moved)
    least[-1] = -packet if ended else 0
    steps = moved[1:]  # forward by a packet or more: packets were lost, which is no fault of the positions
    too_far = ((steps > 0) & (steps < packet)).any() if len(inner) else ahead[0] > 0
    if not too_far and not (moved < least).any():
        return positions
    # A stream may begin at a position above 0, by as much as all its pages are ahead; what is above that is wrong.
    mended = ends + (max(0, int(inner.min())) if len(inner) else 0)
    if ended:
        mended[-1] = min(mended[-1], positions[-1])
    return mended


def _scan(window: Window) -> tuple[np.ndarray, int, bool] | None:
    """Return the pages on which sound ends, the samples of the longest packet, and whether the stream ends with it.

    The pages are the columns of an array (4, pages): where they start, their sizes, positions and samples.

    None for several streams, and where pages are missing.
    """
    rows = array("q")
    stream, begun, longest, ended = None, b"", 0, False
    for page in _pages(window):
        stream = page.stream if stream is None else stream
        if page.stream != stream or bool(begun) != bool(page.flags & _CONTINUED):
            return None
        packets, begun = _packets(page, begun)
        if packets:
            rows.extend((page.start, page.size, page.position, sum(packets)))
            longest, ended = max(longest, *packets), bool(page.flags & _LAST)
    table = np.array(rows, np.int64).reshape(-1, 4)[_HEADERS:]
    return (table.T, longest, ended) if len(table) else None


def _pages(window: Window) -> Iterator[_Page]:
    """Yield the pages up to the end, or to the first place where there is no whole one."""
    start = 0
    while len(head := window.at(start, _HEAD.size)) == _HEAD.size:
        magic, _, flags, position, stream, _, _, segments = _HEAD.unpack(head)
        table = window.read(segments)
        body = window.read(sum(table))
        size = _HEAD.size + segments + sum(table)
        if magic != b"OggS" or start + size > window.size:
            return
        yield _Page(start, size, flags, position, stream, table, body)
        start += size


def _packets(page: _Page, begun: bytes) -> tuple[list[int], bytes]:
    """Return the samples of each packet that ends on a page, and the first two bytes of one that goes on behind it."""
    found, position = [], 0
    for size in page.table:
        if len(begun) < 2:
            begun += page.body[position : position + min(size, 2 - len(begun))]
        position += size
        if size < _FULL:
            found.append(_samples(begun))
            begun = b""
    return found, begun


def _samples(packet: bytes) -> int:
    """Return how long a packet lasts, in samples at 48 kHz; 0 for one that holds nothing."""
    if not packet:
        return 0
    frames = (1, 2, 2, packet[1] & 0x3F if len(packet) > 1 else 0)[packet[0] & 3]
    return frames * _FRAME_SAMPLES[packet[0] >> 3]


def _checksum(page: bytes) -> int:
    """Return Ogg's CRC-32, which is that of zip with the bits in the other order, and without its inversions."""
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_MIRRORED), "big")
