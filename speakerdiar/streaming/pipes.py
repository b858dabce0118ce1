"""Live audio from a pipe: raw PCM, or WAV whose header came before its length was known."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from speakerdiar.audio import AudioLimits
from speakerdiar.audio.headers import MOST_CHUNKS, PlainLayout, is_plain_container, read_layout
from speakerdiar.audio.source import Window
from speakerdiar.config import is_count
from speakerdiar.errors import AudioDecodeError, ConfigError, closest
from speakerdiar.streaming.byte_stream import ByteStream
from speakerdiar.streaming.live_source import LiveSource
from speakerdiar.updates import SampleChunk

SAMPLE_TYPES = {"uint8": 1, "int16": 2, "int24": 3, "int32": 4, "float32": 4, "float64": 8}
"""Types of raw samples, and the bytes of each."""

_TYPE_OF_CODEC = {
    "PCM_U8": "uint8",
    "PCM_16": "int16",
    "PCM_24": "int24",
    "PCM_32": "int32",
    "FLOAT": "float32",
    "DOUBLE": "float64",
}
_RIFF = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_COMPRESSED = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"\x1aE\xdf\xa3": "Matroska or WebM"}
_HEADER_BYTES = 2**20  # most that may stand in front of the samples
_REMEDY = "send WAV or raw PCM: ffmpeg -i INPUT -f wav -"


class PcmSource(LiveSource):
    """Samples of a stream of bytes, in chunks (n,) or (n, channels), as soon as they are there.

    Reads of any size do: a sample that is cut in two is put together again. One that the end of the stream cuts off is
    dropped. The stream stays open: whoever opened it closes it.
    """

    def __init__(
        self,
        stream: ByteStream,
        sample_rate: int,
        channels: int,
        dtype: str,
        *,
        little_endian: bool = True,
        size: int | None = None,
    ) -> None:
        self.sample_rate = int(sample_rate)
        self.channels = int(channels)
        self.dtype = dtype
        self._stream = stream
        self._order = "<" if little_endian else ">"
        self._left = size  # bytes of samples still to come; None where that isn't known
        self._closed = False

    def __iter__(self) -> Iterator[SampleChunk]:
        frame = SAMPLE_TYPES[self.dtype] * self.channels
        cut = b""
        while not self._closed and (data := self._next()):
            cut += data
            whole = len(cut) - len(cut) % frame
            if whole and not self._closed:
                yield SampleChunk(self._samples(cut[:whole]))
            cut = cut[whole:]

    def close(self) -> None:
        """Stop reading: what comes in after this isn't given any more."""
        self._closed = True

    def _next(self) -> bytes:
        if self._left == 0:
            return b""
        data = self._stream.some()
        if self._left is not None:
            data, rest = data[: self._left], data[self._left :]
            self._stream.give_back(rest)
            self._left -= len(data)
        return data

    def _samples(self, data: bytes) -> np.ndarray:
        samples = _widened(data, self._order) if self.dtype == "int24" else self._plain(data)
        return samples if self.channels == 1 else samples.reshape(-1, self.channels)

    def _plain(self, data: bytes) -> np.ndarray:
        kind = np.dtype(self.dtype)
        return np.frombuffer(data, np.dtype(self._order + kind.str[1:])).astype(kind)


def pcm_stream(stream: Any, sample_rate: int = 16000, channels: int = 1, dtype: str = "int16") -> PcmSource:
    """Listen to raw PCM on a pipe, without any header.

    Args:
        stream: an open binary stream: standard input (`sys.stdin.buffer`), a process's output, the file of a socket.
        sample_rate: Hz.
        channels: how many, interleaved.
        dtype: "uint8", "int16", "int24", "int32", "float32" or "float64", little-endian.

    Raises:
        ConfigError: a rate, a number of channels or a type that can't be.
        AudioLimitError: a rate or number of channels beyond the limits.
    """
    return _raw(ByteStream(stream), sample_rate, channels, dtype)


def wav_stream(stream: Any) -> PcmSource:
    """Listen to WAV on a pipe. Waits for the header, and no longer.

    The header may leave the length open, as ffmpeg's and sox's do on a pipe; the samples then go on to the end of the
    stream. Chunks in front of the samples are passed over.

    Args:
        stream: an open binary stream; it needn't seek.

    Raises:
        AudioDecodeError: not WAV, cut short, or not plain PCM.
        AudioLimitError: a rate or number of channels beyond the limits.
        AudioError: the stream can't be read.
    """
    return _wav(ByteStream(stream))


def pipe_source(stream: Any, sample_rate: int = 16000, channels: int = 1, dtype: str = "int16") -> PcmSource:
    """Listen to a pipe: WAV where it begins as WAV does, else raw PCM.

    Args:
        stream: an open binary stream.
        sample_rate: Hz of raw PCM.
        channels: those of raw PCM.
        dtype: type of raw PCM, see `pcm_stream`.

    Raises:
        AudioDecodeError: compressed audio, or see `wav_stream`.
        ConfigError, AudioLimitError, AudioError: see `pcm_stream` and `wav_stream`.
    """
    source = ByteStream(stream)
    _check_raw(sample_rate, channels, dtype)
    head = source.up_to(4)
    source.give_back(head)
    if head in _RIFF:
        return _wav(source)
    kind = next((name for magic, name in _COMPRESSED.items() if head.startswith(magic)), "")
    if kind:
        raise AudioDecodeError(f"{source.name}: is {kind}, which isn't read from a live pipe: {_REMEDY}")
    return _raw(source, sample_rate, channels, dtype)


def _raw(stream: ByteStream, sample_rate: int, channels: int, dtype: str) -> PcmSource:
    _check_raw(sample_rate, channels, dtype)
    AudioLimits.from_environment().check_format(sample_rate, channels, stream.name)
    return PcmSource(stream, sample_rate, channels, dtype)


def _check_raw(sample_rate: int, channels: int, dtype: str) -> None:
    if not is_count(sample_rate, least=1):
        raise ConfigError(f"sample_rate={sample_rate!r}: give a rate in Hz, e.g. 16000.")
    if not is_count(channels, least=1):
        raise ConfigError(f"channels={channels!r}: give a whole number, 1 or more.")
    if dtype not in SAMPLE_TYPES:
        near = closest(str(dtype), SAMPLE_TYPES)
        raise ConfigError(f"dtype={dtype!r} isn't a type of raw PCM.{near} Types: {', '.join(SAMPLE_TYPES)}.")


def _wav(stream: ByteStream) -> PcmSource:
    header = _wav_header(stream)
    layout = read_layout(Window(io.BytesIO(header), stream.name, 0, len(header)))
    if layout.codec not in _TYPE_OF_CODEC:
        raise AudioDecodeError(f"{stream.name}: its codec {layout.codec} isn't plain PCM: {_REMEDY}")
    AudioLimits.from_environment().check_format(layout.sample_rate, layout.channels, stream.name)
    return PcmSource(
        stream,
        layout.sample_rate,
        layout.channels,
        _TYPE_OF_CODEC[layout.codec],
        little_endian=layout.little_endian,
        size=_promised(layout, header),
    )


def _wav_header(stream: ByteStream) -> bytes:
    """Return all that stands in front of the samples, which come next in the stream.

    RIFF files are chunks: a name, a size, the bytes, and one more where the size is odd.
    """
    header = stream.up_to(16)
    if len(header) < 12 or header[:4] not in _RIFF or not is_plain_container(header):
        raise AudioDecodeError(f"{stream.name}: isn't WAV (begins with {header[:12]!r}): {_REMEDY}")
    order = ">" if header[:4] == b"RIFX" else "<"
    stream.give_back(header[12:])
    header = header[:12]
    for _ in range(MOST_CHUNKS):
        chunk = stream.up_to(8)
        header += chunk
        if len(chunk) < 8 or chunk[:4] == b"data":
            return header  # the reader of headers says so where there is no data
        size = struct.unpack(order + "I", chunk[4:])[0]
        if len(header) + size > _HEADER_BYTES:
            break
        header += stream.up_to(size + size % 2)
    raise AudioDecodeError(f"{stream.name}: holds over {_HEADER_BYTES} bytes in front of its samples: {_REMEDY}")


def _promised(layout: PlainLayout, header: bytes) -> int | None:
    """Return how many bytes of samples the header promises, None where it was written before anyone knew."""
    order = "<" if layout.little_endian else ">"
    riff_end = struct.unpack(order + "I", header[4:8])[0] + 8
    if layout.promised_size == 0 and riff_end <= layout.start:
        return None
    return layout.promised_size


def _widened(data: bytes, order: str) -> np.ndarray:
    """Return samples of 24 bits as int32 of the same loudness."""
    triples = np.frombuffer(data, np.uint8).reshape(-1, 3)
    quads = np.zeros((len(triples), 4), np.uint8)
    quads[:, 1:] = triples if order == "<" else triples[:, ::-1]  # the lowest byte stays 0
    return quads.view("<i4")[:, 0].astype(np.int32)
