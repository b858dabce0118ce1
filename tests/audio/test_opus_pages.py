"""Ogg Opus files whose pages carry wrong positions, as FFmpeg writes them: right files are made, and then spoilt."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.audio import AudioLimits, load, probe, read_blocks
from speakerdiar.audio.opus_pages import with_mended_pages
from speakerdiar.audio.source import Window
from speakerdiar.errors import AudioError
from speakerdiar.recording import Recording

RATE = 16_000
STRICT = AudioLimits(allow_truncated=False)
AHEAD = 489  # samples at 48 kHz; the figure met in real files
LAST = 4


def remainder(value: int) -> int:
    """The remainder of a 32-bit value times x^8 by the polynomial of RFC 3533."""
    for _ in range(8):
        value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


REMAINDERS = [remainder(byte << 24) for byte in range(256)]


@dataclass
class Page:
    """One Ogg page, of which everything can be changed."""

    flags: int
    position: int
    stream: int
    number: int
    segments: list[bytes]

    def packed(self) -> bytes:
        """The page with its checksum, worked out byte by byte."""
        table = bytes(len(segment) for segment in self.segments)

        def with_checksum(checksum: int) -> bytes:
            numbers = (0, self.flags, self.position, self.stream, self.number, checksum, len(table))
            return b"OggS" + struct.pack("<BBqIIIB", *numbers) + table + b"".join(self.segments)

        checksum = 0
        for byte in with_checksum(0):
            checksum = (checksum << 8 & 0xFFFFFFFF) ^ REMAINDERS[checksum >> 24 ^ byte]
        return with_checksum(checksum)


def pages_of(data: bytes) -> list[Page]:
    pages, at = [], 0
    while at < len(data):
        _, flags, position, stream, number, _, count = struct.unpack("<BBqIIIB", data[at + 4 : at + 27])
        table, at = data[at + 27 : at + 27 + count], at + 27 + count
        segments = []
        for size in table:
            segments.append(data[at : at + size])
            at += size
        pages.append(Page(flags, position, stream, number, segments))
    return pages


def packed(pages: Iterable[Page]) -> io.BytesIO:
    return io.BytesIO(b"".join(page.packed() for page in pages))


def opus(seconds: float = 4.2, channels: int = 1, **how: Any) -> bytes:
    """A right file: pages of at most a second, packets of 20 ms."""
    noise = 0.3 * np.random.default_rng(0).standard_normal((round(seconds * RATE), channels))
    file = io.BytesIO()
    soundfile.write(file, noise.astype(np.float32), RATE, format="OGG", subtype="OPUS", **how)
    return file.getvalue()


def spoilt(data: bytes, ahead: Iterable[int]) -> io.BytesIO:
    """The file with some samples added to the positions of the pages behind the two headers."""
    pages = pages_of(data)
    for page, samples in zip(pages[2:], ahead, strict=False):
        page.position += samples
    return packed(pages)


def window(file: io.BytesIO) -> Window:
    return Window(file, "a.opus", 0, len(file.getvalue()))


def raw_read(file: io.BytesIO) -> np.ndarray:
    file.seek(0)
    samples: np.ndarray = soundfile.read(file, dtype="float32")[0]
    return samples


RIGHT = opus()
STEREO = opus(channels=2)


@pytest.mark.skipif(soundfile.__libsndfile_version__ != "1.2.2", reason="others may read such files")
def test_libsndfile_alone_stumbles_over_such_files() -> None:
    with pytest.raises(soundfile.LibsndfileError, match="malformed"):
        raw_read(spoilt(RIGHT, [0, AHEAD, 0]))
    pages = pages_of(RIGHT)
    ends_early = raw_read(spoilt(RIGHT, [0] * (len(pages) - 4) + [AHEAD]))
    assert len(ends_early) == len(raw_read(io.BytesIO(RIGHT))) - AHEAD // 3


@pytest.mark.parametrize(
    "ahead",
    [[0, AHEAD, 0], [AHEAD, 0], [AHEAD, AHEAD, 0, AHEAD], [0, 0, 0, AHEAD], [-8, 0], [0, -AHEAD]],
    ids=["second", "first", "several", "before the last", "first behind", "second behind"],
)
def test_reads_what_the_packets_hold(ahead: list[int]) -> None:
    assert len(pages_of(RIGHT)) == 7
    file, expected = spoilt(RIGHT, ahead), load(io.BytesIO(RIGHT))
    assert probe(file) == probe(io.BytesIO(RIGHT))
    assert probe(file).frames == len(expected) == round(4.2 * RATE)
    np.testing.assert_array_equal(load(file, limits=STRICT), expected)


@settings(max_examples=30)
@given(
    ahead=st.lists(st.sampled_from([0, 0, 120, AHEAD, 2000]), min_size=3, max_size=4),
    block_seconds=st.floats(0.05, 5.0),
    right=st.sampled_from([RIGHT, STEREO]),
)
def test_any_wandering_and_any_blocks(ahead: list[int], block_seconds: float, right: bytes) -> None:
    if min(ahead) > 0:  # a stream may begin late, which is no fault
        ahead = [0, *ahead]
    file = spoilt(right, ahead[:4])
    joined = np.concatenate(list(read_blocks(file, RATE, block_seconds)))
    np.testing.assert_array_equal(joined, load(io.BytesIO(right)))


def test_an_end_that_promises_more_than_there_is() -> None:
    there = raw_read(spoilt(RIGHT, [0, 0, 0, 0, 48_000]))
    padding = len(there) - len(load(io.BytesIO(RIGHT)))
    assert padding > 0
    file = spoilt(RIGHT, [0, 0, 0, 0, 3 * padding + AHEAD])
    assert probe(file).frames == len(there)
    np.testing.assert_array_equal(load(file, limits=STRICT), there)


def test_a_single_page_of_sound() -> None:
    right = opus(0.5)
    assert len(pages_of(right)) == 3
    samples, expected = load(spoilt(right, [960]), limits=STRICT), load(io.BytesIO(right))
    np.testing.assert_array_equal(samples[: len(expected)], expected)
    assert len(samples) - len(expected) < 320  # the padding isn't known any more


def test_parts_are_those_of_the_right_file() -> None:
    file = spoilt(RIGHT, [0, AHEAD, 0, AHEAD])
    for offset in (0.5, 0.99, 1.9, 2.0, 3.3, 4.0):
        part = load(Recording("a", file, offset=offset, duration=0.5))
        np.testing.assert_array_equal(part, load(Recording("a", io.BytesIO(RIGHT), offset=offset, duration=0.5)))


def test_packets_over_several_pages() -> None:
    """Pages of few segments, so that packets go on from one to the next, and pages on which none ends."""
    right = opus(1.0, channels=2, compression_level=0.0)
    pages, position = pages_of(right), 0
    cut = pages[:2]
    segments = [segment for page in pages[2:] for segment in page.segments]
    for start in range(0, len(segments), 5):
        piece = segments[start : start + 5]
        ends = sum(len(segment) < 255 for segment in piece)
        position += 960 * ends
        continued = start > 0 and len(segments[start - 1]) == 255
        cut.append(Page(int(continued), position if ends else -1, pages[0].stream, len(cut), piece))
    cut[-1].flags |= LAST
    cut[-1].position = pages[-1].position
    assert any(page.flags & 1 for page in cut)
    expected = raw_read(packed(cut)).mean(axis=1)
    untouched = window(packed(cut))
    assert with_mended_pages(untouched) is untouched
    for page in cut[10:14]:
        page.position += AHEAD if page.position >= 0 else 0
    spoilt_window = window(packed(cut))
    assert with_mended_pages(spoilt_window) is not spoilt_window
    np.testing.assert_allclose(load(packed(cut), limits=STRICT), expected, atol=1e-7)


def test_cut_short() -> None:
    for size in (len(RIGHT) // 2, len(RIGHT) - 1):
        cut = io.BytesIO(spoilt(RIGHT, [0, AHEAD, 0, AHEAD]).getvalue()[:size])
        np.testing.assert_array_equal(load(cut), load(io.BytesIO(RIGHT[:size])))


def test_the_mended_bytes_are_those_of_the_right_file() -> None:
    mended = with_mended_pages(window(spoilt(RIGHT, [0, AHEAD, 0, AHEAD])))
    assert mended.at(0, len(RIGHT)) == RIGHT
    assert mended.tell() == len(RIGHT)
    for start in range(0, len(RIGHT), 11):
        assert mended.at(start, 13) == RIGHT[start : start + 13]
        assert mended.tell() == min(start + 13, len(RIGHT))


def test_a_damaged_page_stays_one() -> None:
    data = bytearray(spoilt(RIGHT, [0, AHEAD, 0]).getvalue())
    third = len(packed(pages_of(RIGHT)[:3]).getvalue())
    data[third + 500] ^= 1
    mended = with_mended_pages(window(io.BytesIO(bytes(data))))
    assert mended.at(third, 400) == bytes(data[third : third + 400])


def late(pages: list[Page]) -> list[Page]:
    """A stream that begins in the middle of a longer one, and has a gap of a second."""
    for index, page in enumerate(pages[2:]):
        page.position += 480_000 + 48_000 * (index > 2)
    return pages


def two_streams(pages: list[Page]) -> list[Page]:
    pages[3].position += AHEAD
    return [*pages, *(Page(page.flags, page.position, 77, page.number, page.segments) for page in pages)]


def page_missing(pages: list[Page]) -> list[Page]:
    pages[3].position += AHEAD
    pages[4].flags |= 1  # goes on with what isn't there
    return pages


@pytest.mark.parametrize("change", [list, late, two_streams, page_missing])
def test_what_else_there_is_stays_as_it_is(change: Callable[[list[Page]], list[Page]]) -> None:
    untouched = window(packed(change(pages_of(RIGHT))))
    assert with_mended_pages(untouched) is untouched


@pytest.mark.parametrize("container", ["OGG", "FLAC", "MP3"])
def test_other_codecs_stay_as_they_are(container: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(9000, np.float32), RATE, format=container)
    untouched = window(file)
    assert with_mended_pages(untouched) is untouched


@settings(max_examples=50)
@given(
    data=st.binary(max_size=300), start=st.integers(0, len(RIGHT)), positions=st.lists(st.integers(-(2**63), 2**63 - 1))
)
def test_any_bytes_and_positions_are_scanned_without_a_fault(data: bytes, start: int, positions: list[int]) -> None:
    pages = pages_of(RIGHT)
    for page, position in zip(pages[2:], positions, strict=False):
        page.position = position
    broken = bytearray(packed(pages).getvalue())
    broken[start : start + len(data)] = data
    mended = with_mended_pages(window(io.BytesIO(bytes(broken))))
    assert len(mended.at(0, len(broken))) == len(broken)


def test_a_file_that_fails_to_be_read() -> None:
    class Failing(io.BytesIO):
        def read(self, count: int | None = -1) -> bytes:
            if self.tell() > 1000:
                raise OSError("the disk is gone")
            return super().read(count)

    with pytest.raises(AudioError, match="the disk is gone"):
        load(Failing(RIGHT))


def test_by_path(tmp_path: Path) -> None:
    path = tmp_path / "a.opus"
    path.write_bytes(spoilt(RIGHT, [0, AHEAD, 0]).getvalue())
    assert len(load(path, limits=STRICT)) == probe(path).frames
