"""Files that are missing, empty, cut short, broken, renamed or crafted, and file objects that misbehave."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from speakerdiar.audio import AudioLimits, load, probe, read_blocks
from speakerdiar.errors import AudioDecodeError, AudioError, AudioLimitError, AudioNotFoundError
from speakerdiar.recording import Recording

RATE = 16000
STRICT = AudioLimits(allow_truncated=False)


def noise(frames: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.9, 0.9, frames).astype(np.float32)


def encoded(frames: int = 2 * RATE, container: str = "WAV", subtype: str = "PCM_16", channels: int = 1) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, noise(frames * channels).reshape(frames, channels), RATE, format=container, subtype=subtype)
    return file.getvalue()


def wav(*chunks: tuple[bytes, bytes], outer: int | None = None) -> bytes:
    body = b"".join(id + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for id, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4 if outer is None else outer) + b"WAVE" + body


def fmt(tag: int = 1, channels: int = 1, rate: int = RATE, block: int = 2, bits: int = 16) -> bytes:
    return struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(AudioNotFoundError, match=r"absent\.wav: no such file") as caught:
        load(tmp_path / "absent.wav")
    assert isinstance(caught.value, FileNotFoundError)
    with pytest.raises(AudioNotFoundError, match="download it first"):
        load("https://example.org/a.wav")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="is a folder"):
        probe(tmp_path)


@pytest.mark.parametrize("path", ["a\0b.wav", "x" * 5000])
def test_impossible_path(path: str) -> None:
    with pytest.raises(AudioError, match="can't be opened"):
        load(path)


def test_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encoded())
    path.chmod(0)
    if os.access(path, os.R_OK):  # for the superuser permissions don't hold
        monkeypatch.setattr(builtins, "open", _denied)
    with pytest.raises(AudioError, match=r"a\.wav.*Permission denied"):
        load(path)


def _denied(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    with pytest.raises(AudioDecodeError, match=r"a\.wav: is empty \(0 bytes\)"):
        load(tmp_path / "a.wav")
    with pytest.raises(AudioDecodeError, match="is empty"):
        load(io.BytesIO())


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (b"Dear all,\nplease find attached", "it holds text ('Dear all"),
        (b"#EXTM3U\nfile:///etc/passwd\n", "it holds text"),
        (b"\x7fELF\x02\x01\x01\x00" + bytes(60), "it begins with the bytes 7f 45 4c 46"),
        (b"a", "it holds text ('a')"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "it begins with"),
    ],
)
def test_what_is_no_audio(tmp_path: Path, data: bytes, seen: str) -> None:
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(AudioDecodeError) as caught:
        load(tmp_path / "a.wav")
    assert "isn't audio that can be read" in str(caught.value)
    assert seen in str(caught.value)


@pytest.mark.parametrize("container", ["WAV", "AIFF", "W64", "RF64", "AU"])
def test_plain_file_cut_short_gives_what_is_there(container: str) -> None:
    data = encoded(container=container)
    whole = load(io.BytesIO(data))
    cut = io.BytesIO(data[: len(data) // 2])
    np.testing.assert_array_equal(load(cut), whole[: len(load(cut))])
    assert 0.98 < len(load(cut)) / RATE < 1.0
    assert probe(cut).frames == len(load(cut))
    with pytest.raises(AudioDecodeError, match=r"was cut short: (1\.00|0\.99) s of 2\.00 s.*allow_truncated"):
        load(cut, limits=STRICT)
    assert len(load(io.BytesIO(data), limits=STRICT)) == len(whole)


def test_flac_cut_short_gives_every_whole_block() -> None:
    flac = encoded(container="FLAC")
    whole = soundfile.read(io.BytesIO(flac), dtype="float32")[0]
    cut = io.BytesIO(flac[: len(flac) * 3 // 4])
    samples = load(cut)
    assert 1.2 < len(samples) / RATE <= 1.5
    np.testing.assert_array_equal(samples, whole[: len(samples)])
    np.testing.assert_array_equal(np.concatenate(list(read_blocks(cut, block_seconds=0.1))), samples)
    with pytest.raises(AudioDecodeError, match=r"was cut short: 1\.\d\d s of 2\.00 s"):
        load(cut, limits=STRICT)
    with pytest.raises(AudioDecodeError, match="can't be read from"):
        load(Recording("a", cut, offset=1.9))


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_cut_short_gives_what_is_there(subtype: str) -> None:
    data = encoded(5 * RATE, "OGG", subtype)
    whole = load(io.BytesIO(data))
    samples = load(io.BytesIO(data[: len(data) // 2]))
    assert 1.0 < len(samples) / RATE < 3.5
    np.testing.assert_allclose(samples[:-1000], whole[: len(samples) - 1000], atol=1e-5)


@pytest.mark.parametrize(("container", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("WAV", "PCM_16")])
def test_file_cut_inside_its_header(container: str, subtype: str) -> None:
    with pytest.raises(AudioDecodeError):
        load(io.BytesIO(encoded(container=container, subtype=subtype)[:30]))


def test_flac_broken_in_the_middle_names_the_place() -> None:
    data = bytearray(encoded(20 * RATE, "FLAC"))
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    with pytest.raises(AudioDecodeError, match=r"is broken (9|10)\.\d\d s from its start"):
        load(io.BytesIO(bytes(data)))


def test_flac_of_unknown_length() -> None:
    whole = encoded(container="FLAC")
    data = bytearray(whole)
    data[21] &= 0xF0  # the low 36 bits of these bytes of STREAMINFO count the samples
    data[22:26] = bytes(4)
    assert probe(io.BytesIO(bytes(data))).frames is None
    samples = load(io.BytesIO(bytes(data)))
    np.testing.assert_array_equal(samples, load(io.BytesIO(whole)))
    np.testing.assert_array_equal(load(Recording("a", io.BytesIO(bytes(data)), offset=1.5)), samples[24_000:])
    with pytest.raises(AudioError, match=r"offset=3 s lies beyond its end at 2\.000 s"):
        load(Recording("a", io.BytesIO(bytes(data)), offset=3.0))


@pytest.mark.parametrize(("size", "outer"), [(0xFFFFFFFF, 0xFFFFFFFF), (0, 0), (0x7FFFFFFE, 0x7FFFFFFE)])
def test_wav_of_a_program_that_streams(size: int, outer: int) -> None:
    data = bytearray(encoded(1000))
    data[4:8] = struct.pack("<I", outer)
    at = data.index(b"data")
    data[at + 4 : at + 8] = struct.pack("<I", size)
    assert len(load(io.BytesIO(bytes(data)))) == 1000


def test_wav_without_samples_but_with_a_chunk_behind() -> None:
    data = wav((b"fmt ", fmt()), (b"data", b""), (b"LIST", b"INFOabcd"))
    assert len(load(io.BytesIO(data))) == 0


def test_wav_with_chunks_around() -> None:
    samples = np.arange(-3, 4, dtype="<i2")
    data = wav((b"JUNK", b"odd"), (b"fmt ", fmt()), (b"LIST", b"x"), (b"data", samples.tobytes()), (b"id3 ", b"ID3"))
    np.testing.assert_array_equal(load(io.BytesIO(data)), samples / np.float32(32768))


def test_24_bits_in_extensible_wav() -> None:
    guid = struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    extended = fmt(0xFFFE, block=3, bits=24) + struct.pack("<HHI", 22, 24, 4) + guid
    data = wav((b"fmt ", extended), (b"data", (2**22).to_bytes(3, "little")))
    assert load(io.BytesIO(data)).tolist() == [0.5]


@pytest.mark.parametrize("bad", [fmt(channels=0), fmt(rate=0)])
def test_header_that_makes_no_sense(bad: bytes) -> None:
    with pytest.raises(AudioDecodeError, match="it's broken"):
        load(io.BytesIO(wav((b"fmt ", bad), (b"data", bytes(8)))))


def test_endless_chunks() -> None:
    with pytest.raises(AudioDecodeError, match="more than 1000 chunks"):
        load(io.BytesIO(wav(*[(b"JUNK", b"")] * 1001, (b"fmt ", fmt()), (b"data", bytes(8)))))


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "GSM610"])
@pytest.mark.parametrize("container", ["WAV", "W64"])
def test_rare_codecs_of_wav_are_refused(container: str, subtype: str) -> None:
    data = encoded(container=container, subtype=subtype)
    with pytest.raises(AudioDecodeError, match=f"its codec {subtype} is refused.*CVE-2026-37555"):
        probe(io.BytesIO(data))
    allowed = AudioLimits(allow_any_codec=True)
    assert abs(len(load(io.BytesIO(data), limits=allowed)) - 2 * RATE) < 2048


@pytest.mark.parametrize(("container", "subtype"), [("AIFF", "IMA_ADPCM"), ("AIFF", "GSM610"), ("AU", "G721_32")])
def test_rare_codecs_elsewhere_are_refused(container: str, subtype: str) -> None:
    with pytest.raises(AudioDecodeError, match="is refused"):
        probe(io.BytesIO(encoded(container=container, subtype=subtype)))


def test_libsndfile_never_sees_a_refused_wav(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(soundfile.SoundFile, "_open", lambda *args, **_: opened.append(args))
    # A header that hides a second format behind the first: only the first one counts, and only for headerless samples.
    for tag in (0x02, 0x11):
        with pytest.raises(AudioDecodeError, match="ADPCM is refused"):
            load(io.BytesIO(wav((b"fmt ", fmt(tag)), (b"fmt ", fmt()), (b"data", bytes(64)))))
    # An ID3 tag in front of an ADPCM file, which libsndfile would skip.
    with pytest.raises(AudioDecodeError, match="isn't audio"):
        load(io.BytesIO(b"ID3\x04\x00\x00\x00\x00\x00\x02xx" + wav((b"fmt ", fmt(0x11)), (b"data", bytes(64)))))
    assert opened == []


def test_second_format_chunk_is_ignored() -> None:
    data = wav((b"fmt ", fmt()), (b"fmt ", fmt(0x11)), (b"data", bytes(64)))
    assert len(load(io.BytesIO(data))) == 32


def test_flac_and_mp3_behind_an_id3_tag() -> None:
    tag = b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256)
    assert len(load(io.BytesIO(tag + encoded(container="FLAC")))) == 2 * RATE
    mp3 = encoded(container="MP3", subtype="MPEG_LAYER_III")
    np.testing.assert_array_equal(load(io.BytesIO(tag + mp3)), load(io.BytesIO(mp3)))


CONTAINERS = [("WAV", "PCM_16"), ("W64", "FLOAT"), ("AIFF", "PCM_24"), ("AU", "ULAW"), ("FLAC", "PCM_16")]
SAMPLES = [encoded(300, container, subtype) for container, subtype in CONTAINERS]


@settings(deadline=None, max_examples=150)
@given(data=st.sampled_from(SAMPLES), edits=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=6))
@example(data=SAMPLES[0], edits=[(16, 255), (17, 255), (18, 255), (19, 255)])
def test_any_change_to_a_header_reads_or_raises(data: bytes, edits: list[tuple[int, int]]) -> None:
    broken = bytearray(data)
    for position, value in edits:
        broken[position % len(broken)] = value
    try:
        samples = load(io.BytesIO(bytes(broken)), limits=AudioLimits(max_seconds=60))
    except AudioError:
        return
    assert np.isfinite(samples).all()


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200), st.sampled_from([b"", b"RIFF....WAVE", b"FORM....AIFC", b".snd"]))
def test_any_bytes_read_or_raise(tail: bytes, head: bytes) -> None:
    with contextlib.suppress(AudioError):  # anything else fails the test
        samples = load(io.BytesIO(head + tail), limits=AudioLimits(max_seconds=60))
        assert len(samples) <= 60 * RATE


class Stream(io.RawIOBase):
    """Bytes that can be read once, forward, in small steps."""

    def __init__(self, data: bytes, fail_at: int | None = None) -> None:
        self.inner = io.BytesIO(data)
        self.fail_at = fail_at

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.fail_at is not None and self.inner.tell() >= self.fail_at:
            raise OSError("the line went dead")
        return self.inner.readinto(memoryview(buffer)[:1000])


def test_stream_that_cannot_seek() -> None:
    data = encoded()
    np.testing.assert_array_equal(load(Stream(data)), load(io.BytesIO(data)))
    with pytest.raises(AudioLimitError, match="max_bytes"):
        load(Stream(data), limits=AudioLimits(max_bytes=10_000))
    with pytest.raises(AudioError, match="the line went dead"):
        load(Stream(data, fail_at=5000))
    with pytest.raises(AudioDecodeError, match="is empty"):
        load(Stream(b""))


def test_every_channel_of_a_stream_that_cannot_seek() -> None:
    from speakerdiar.audio import each_channel

    first, second = each_channel(Stream(encoded(1000, channels=2)))
    expected = soundfile.read(io.BytesIO(encoded(1000, channels=2)), dtype="float32")[0]
    np.testing.assert_array_equal(np.stack([load(first), load(second)], axis=1), expected)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_named_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(encoded(),))
    writer.start()
    assert len(load(pipe)) == 2 * RATE
    writer.join()


def test_file_object_is_read_from_its_start_and_put_back(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encoded())
    with path.open("rb") as file:
        file.seek(123)
        assert len(load(file)) == 2 * RATE
        assert file.tell() == 123
        assert not file.closed


def test_closed_and_text_file_objects(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encoded())
    file = path.open("rb")
    file.close()
    with pytest.raises(AudioError, match="the file object is closed"):
        load(file)
    with path.open() as text, pytest.raises(AudioError, match="open it with mode 'rb'"):
        load(text)
    with path.open("ab") as write_only, pytest.raises(AudioError, match="can't be read"):
        load(write_only)


@pytest.mark.parametrize(("container", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")])
def test_file_object_closed_while_it_is_read(container: str, subtype: str) -> None:
    file = io.BytesIO(encoded(120 * RATE, container, subtype))
    blocks = read_blocks(file, block_seconds=1.0)
    next(blocks)
    file.close()
    with pytest.raises(AudioError, match="reading it failed"):
        list(blocks)
