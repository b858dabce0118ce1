"""Headers of the plain containers: WAV (RIFF, RIFX, RF64, BW64), W64, AIFF, AIFF-C and AU.

They are read here, and the samples are then decoded as headerless data. A file can thus not choose the decoder that
reads it: libsndfile 1.2.2 starts an ADPCM decoder, whose set-up a crafted WAV overflows (CVE-2026-37555), while it
opens the file, before anyone could look at the codec. And the number of samples follows from the bytes that are there,
not from what the header promises.

Sources: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (1991); EBU Tech 3306 (RF64);
Apple, "Audio Interchange File Format AIFF-C" (1991); Sun, audio_filehdr (AU).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from speakerdiar.audio.source import Window
from speakerdiar.errors import AudioDecodeError

MOST_CHUNKS = 1000
UNKNOWN_SIZE = 0xFFFFFFFF  # written by programs that stream and can't go back to the header

_PCM_TAG, _FLOAT_TAG, _ALAW_TAG, _ULAW_TAG, _EXTENSIBLE_TAG = 1, 3, 6, 7, 0xFFFE
_OTHER_TAGS = {0x02: "MS_ADPCM", 0x11: "IMA_ADPCM", 0x14: "G723_ADPCM", 0x31: "GSM610", 0x50: "MPEG", 0x55: "MP3"}
_SIGNED = {1: "PCM_S8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}
_WIDTHS = {
    "PCM_S8": 1,
    "PCM_U8": 1,
    "ULAW": 1,
    "ALAW": 1,
    "PCM_16": 2,
    "PCM_24": 3,
    "PCM_32": 4,
    "FLOAT": 4,
    "DOUBLE": 8,
}
_AIFF_CODECS = {
    b"raw ": "PCM_U8", b"fl32": "FLOAT", b"FL32": "FLOAT", b"fl64": "DOUBLE", b"FL64": "DOUBLE",
    b"ulaw": "ULAW", b"ULAW": "ULAW", b"alaw": "ALAW", b"ALAW": "ALAW",
}  # fmt: skip
_AU_CODECS = {1: "ULAW", 2: "PCM_S8", 3: "PCM_16", 4: "PCM_24", 5: "PCM_32", 6: "FLOAT", 7: "DOUBLE", 27: "ALAW"}

_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")


@dataclass(frozen=True)
class PlainLayout:
    """Where the samples of a plain container lie and how they are stored.

    Attributes:
        container: "WAV", "RF64", "W64", "AIFF" or "AU".
        codec: libsndfile's name of the sample format, or of one that isn't among the plain ones ("IMA_ADPCM").
        little_endian: order of bytes.
        sample_rate, channels: as the header says.
        start, size: position and number of the bytes that are there.
        promised_size: number of bytes that the header promises, None where it makes no promise.
    """

    container: str
    codec: str
    little_endian: bool
    sample_rate: int
    channels: int
    start: int
    size: int
    promised_size: int | None

    @property
    def is_plain(self) -> bool:
        """Whether the samples are stored in one of the plain formats."""
        return self.codec in _WIDTHS

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return _WIDTHS[self.codec] * self.channels

    @property
    def frames(self) -> int:
        """Samples of each channel that are there."""
        return self.size // self.frame_bytes

    @property
    def promised_frames(self) -> int:
        """Samples of each channel that the header promises; those that are there, where it makes no promise."""
        return self.frames if self.promised_size is None else self.promised_size // self.frame_bytes


@dataclass(frozen=True)
class _Chunk:
    id: bytes
    start: int
    size: int


@dataclass(frozen=True)
class _Format:
    codec: str
    sample_rate: int
    channels: int
    little_endian: bool


def is_plain_container(head: bytes) -> bool:
    """Whether a file that begins with `head` (16 bytes or more) is of one of these containers."""
    riff = head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE"
    aiff = head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC")
    return riff or aiff or head[:16] == _W64_RIFF or head[:4] in (b".snd", b"dns.")


def read_layout(window: Window) -> PlainLayout:
    """Read the header of a plain container.

    Raises:
        AudioDecodeError: the header is cut short, or makes no sense.
    """
    head = window.at(0, 16)
    if head[:4] in (b".snd", b"dns."):
        layout = _read_au(window)
    elif head[:4] == b"FORM":
        layout = _read_aiff(window)
    else:
        layout = _read_wav(window, head)
    window.check()
    if layout.sample_rate < 1 or layout.channels < 1:
        raise AudioDecodeError(
            f"{window.name}: its header gives {layout.sample_rate} Hz and {layout.channels} channels: it's broken."
        )
    return layout


def _read_wav(window: Window, head: bytes) -> PlainLayout:
    w64 = head[:16] == _W64_RIFF
    order = ">" if head[:4] == b"RIFX" else "<"
    found: _Format | None = None
    long_size: int | None = None
    for chunk in _w64_chunks(window) if w64 else _chunks(window, order):
        if chunk.id == b"fmt " and found is None:
            found = _wav_format(window, chunk, order)
        elif chunk.id == b"ds64":
            long_size = struct.unpack("<Q", _exactly(window, chunk.start + 8, 8))[0]
        elif chunk.id == b"data" and found is not None:
            container = "W64" if w64 else "RF64" if head[:4] in (b"RF64", b"BW64") else "WAV"
            riff_end = window.size if w64 else struct.unpack(order + "I", head[4:8])[0] + 8
            promised = None if _is_open_ended(chunk, riff_end) else chunk.size
            promised = long_size if chunk.size == UNKNOWN_SIZE and long_size is not None else promised
            return _layout(window, container, found, chunk.start, promised)
    raise _headless(window, "format" if found is None else "data")


def _is_open_ended(data: _Chunk, riff_end: int) -> bool:
    # A recorder that was killed leaves both sizes 0; a file that is truly empty counts its header in the outer size.
    return data.size == UNKNOWN_SIZE or (data.size == 0 and riff_end < data.start)


def _wav_format(window: Window, chunk: _Chunk, order: str) -> _Format:
    raw = _exactly(window, chunk.start, 16)
    tag, channels, rate, _, block, bits = struct.unpack(order + "HHIIHH", raw)
    if tag == _EXTENSIBLE_TAG:
        tag = struct.unpack(order + "H", _exactly(window, chunk.start + 24, 2))[0]
    width = block // channels if channels and block and block % channels == 0 else -(-bits // 8)
    return _Format(_wav_codec(tag, width), rate, channels, order == "<")


def _wav_codec(tag: int, width: int) -> str:
    names = {
        _PCM_TAG: {**_SIGNED, 1: "PCM_U8"}.get(width),
        _FLOAT_TAG: {4: "FLOAT", 8: "DOUBLE"}.get(width),
        _ALAW_TAG: "ALAW",
        _ULAW_TAG: "ULAW",
    }
    return names.get(tag) or _OTHER_TAGS.get(tag, f"format 0x{tag:04X} of {width} bytes")


def _read_aiff(window: Window) -> PlainLayout:
    found: _Format | None = None
    data: tuple[int, int] | None = None
    for chunk in _chunks(window, ">"):
        if chunk.id == b"COMM" and found is None:
            found = _aiff_format(window, chunk)
        elif chunk.id == b"SSND" and data is None:
            offset = struct.unpack(">I", _exactly(window, chunk.start, 4))[0]
            data = chunk.start + 8 + offset, max(0, chunk.size - 8 - offset)
        if found and data:
            return _layout(window, "AIFF", found, *data)
    if found and _aiff_frames(window) == 0:  # files without a sample may leave the data out
        return _layout(window, "AIFF", found, window.size, 0)
    raise _headless(window, "format" if found is None else "data")


def _aiff_frames(window: Window) -> int:
    comm = next(chunk for chunk in _chunks(window, ">") if chunk.id == b"COMM")
    return int(struct.unpack(">I", _exactly(window, comm.start + 2, 4))[0])


def _aiff_format(window: Window, chunk: _Chunk) -> _Format:
    channels, _, bits, exponent, mantissa = struct.unpack(">HIHHQ", _exactly(window, chunk.start, 18))
    # 80-bit extended float: the mantissa has its binary point behind the first of 64 bits.
    power = (exponent & 0x7FFF) - 16383 - 63
    rate = int(mantissa * 2.0**power) if -64 <= power <= 0 else 0
    kind = _exactly(window, chunk.start + 18, 4) if chunk.size >= 22 else b"NONE"
    signed = _SIGNED.get(-(-bits // 8))
    if kind in (b"NONE", b"twos", b"sowt", b"in24", b"in32") and signed:
        return _Format(signed, rate, channels, kind == b"sowt")
    return _Format(_AIFF_CODECS.get(kind, kind.decode("latin-1").strip().upper()), rate, channels, False)


def _read_au(window: Window) -> PlainLayout:
    order = ">" if window.at(0, 4) == b".snd" else "<"
    start, size, code, rate, channels = struct.unpack(order + "5I", _exactly(window, 4, 20))
    codec = _AU_CODECS.get(code, f"AU encoding {code}")
    return _layout(
        window, "AU", _Format(codec, rate, channels, order == "<"), start, None if size == UNKNOWN_SIZE else size
    )


def _layout(window: Window, container: str, found: _Format, start: int, promised: int | None) -> PlainLayout:
    there = max(0, window.size - start)
    size = there if promised is None else min(there, promised)
    return PlainLayout(
        container, found.codec, found.little_endian, found.sample_rate, found.channels, start, size, promised
    )


def _chunks(window: Window, order: str) -> Iterator[_Chunk]:
    """Walk the chunks of a RIFF or FORM file: a name, a size, the bytes, and one more where the size is odd."""
    position = 12
    for _ in range(MOST_CHUNKS):
        header = window.at(position, 8)
        if len(header) < 8:
            return
        id, size = struct.unpack(order + "4sI", header)
        yield _Chunk(id, position + 8, size)
        position += 8 + size + size % 2
    raise AudioDecodeError(f"{window.name}: has more than {MOST_CHUNKS} chunks in its header: it's broken.")


def _w64_chunks(window: Window) -> Iterator[_Chunk]:
    """Walk the chunks of a W64 file: 16 bytes of name, a size that counts its own header, all at multiples of 8."""
    position = 40
    for _ in range(MOST_CHUNKS):
        header = window.at(position, 24)
        if len(header) < 24:
            return
        id, tail, size = struct.unpack("<4s12sQ", header)
        yield _Chunk(id if tail == _W64_TAIL else b"", position + 24, max(0, size - 24))
        position += max(24, size + -size % 8)
    raise AudioDecodeError(f"{window.name}: has more than {MOST_CHUNKS} chunks in its header: it's broken.")


def _exactly(window: Window, position: int, count: int) -> bytes:
    data = window.at(position, count)
    if len(data) < count:
        window.check()
        raise AudioDecodeError(f"{window.name}: ends inside its header: it was cut short.")
    return data


def _headless(window: Window, what: str) -> AudioDecodeError:
    window.check()
    return AudioDecodeError(f"{window.name}: has no {what} chunk before its end: it was cut short or isn't audio.")
