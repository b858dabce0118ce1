"""Tells from a file's first bytes what it is, and so which decoder may see it.

Names and suffixes play no part. What isn't listed here is refused: neither libsndfile nor FFmpeg is left to guess,
since both know formats that read other files or that nobody has looked at in years.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from speakerdiar.audio.headers import is_plain_container
from speakerdiar.audio.source import Window
from speakerdiar.errors import AudioDecodeError

_HEAD_BYTES = 64
_MOST_TAGS = 16

_SNDFILE_MAGIC = (b"fLaC", b"OggS", b"caff", b"NIST_1A")
# First bytes -> FFmpeg's name of the one demuxer that gets to see the file.
_AV_MAGIC = {b"\x1aE\xdf\xa3": "matroska", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "asf", b"#!AMR": "amr"}
_MP4_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


class Family(Enum):
    """Who decodes a container."""

    PLAIN = "plain"  # header read here, samples by libsndfile
    SNDFILE = "sndfile"
    AV = "av"


@dataclass(frozen=True)
class Container:
    """What a file is.

    Attributes:
        family: who decodes it.
        demuxer: FFmpeg's name of the container, for that family.
        start: position of its first byte behind any ID3 tags. The decoder gets to see the file from there only, so
            that it can't take the bytes for anything else than what was looked at here.
    """

    family: Family
    demuxer: str = ""
    start: int = 0


def identify(window: Window) -> Container:
    """Return what the file is.

    Raises:
        AudioDecodeError: not audio of a known kind; says what the file looks like.
    """
    head = window.at(0, _HEAD_BYTES)
    window.check()
    if is_plain_container(head):
        return Container(Family.PLAIN)
    start = _end_of_id3(window)
    body = window.at(start, _HEAD_BYTES)
    if body.startswith(_SNDFILE_MAGIC) or _is_mpeg(body):
        return Container(Family.SNDFILE, start=start)
    if demuxer := _demuxer(body):
        return Container(Family.AV, demuxer, start)
    window.check()
    raise AudioDecodeError(
        f"{window.name}: isn't audio that can be read: {_describe(head)}. Known are WAV, FLAC, MP3, OGG/Opus, AIFF, "
        "AU, CAF, W64, SPHERE, and (with PyAV) MP4/M4A, WebM, AAC, WMA and AMR."
    )


def _demuxer(head: bytes) -> str:
    if head[4:8] in _MP4_ATOMS:
        return "mov"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # ADTS: sync word, layer 0
        return "aac"
    return next((name for magic, name in _AV_MAGIC.items() if head.startswith(magic)), "")


def _is_mpeg(data: bytes) -> bool:
    """Whether an MPEG audio frame starts here (ISO/IEC 11172-3, 2.4.1.3): sync, version, layer, bit rate, rate."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return False
    version, layer, bit_rate, rate = data[1] >> 3 & 3, data[1] >> 1 & 3, data[2] >> 4, data[2] >> 2 & 3
    return version != 1 and layer != 0 and bit_rate != 15 and rate != 3


def _end_of_id3(window: Window) -> int:
    """Return where the ID3v2 tags in front of the audio end; their sizes have 7 bits a byte."""
    position = 0
    for _ in range(_MOST_TAGS):
        head = window.at(position, 10)
        if len(head) < 10 or head[:3] != b"ID3":
            break
        size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        position += 10 + size + (10 if head[5] & 0x10 else 0)
    return position


def _describe(head: bytes) -> str:
    try:
        text = head[: _HEAD_BYTES - 4].decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text and all(char.isprintable() or char.isspace() for char in text):
        return f"it holds text ({text[:24]!r})"
    return f"it begins with the bytes {head[:8].hex(' ')}"
