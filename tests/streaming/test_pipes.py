"""Live audio from real pipes, written by a thread."""

from __future__ import annotations

import io
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import pytest
import soundfile
from fakes import tones
from fakes_streaming import ToneStreamer
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.errors import AudioDecodeError, AudioError, AudioLimitError, ConfigError
from speakerdiar.streaming import joined, pcm_stream, pipe_source, wav_stream
from speakerdiar.streaming.pipes import PcmSource

UNKNOWN = 0xFFFFFFFF
TALK = tones([(0.0, 1.0, 0), (1.0, 2.0, 1)], 2.5)
PCM = (TALK * 2**15).astype("<i2")


@contextmanager
def piped(pieces: Sequence[bytes], buffering: int = -1) -> Iterator[BinaryIO]:
    """The reading end of a pipe into which a thread writes the pieces."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            try:
                for piece in pieces:
                    pipe.write(piece)
            except BrokenPipeError:
                pass

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb", buffering=buffering) as pipe:
        yield pipe
    writer.join()


def samples_of(source: PcmSource) -> np.ndarray:
    return np.concatenate([chunk.samples for chunk in source])


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def wav(
    data: bytes,
    *,
    tag: int = 1,
    channels: int = 1,
    bits: int = 16,
    riff: int = UNKNOWN,
    size: int = UNKNOWN,
    before: bytes = b"",
) -> bytes:
    """A WAV file as programs write it to a pipe; `before` are chunks in front of the samples."""
    block = channels * bits // 8
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, 16000, 16000 * block, block, bits)
    head = struct.pack("<4sI4s", b"RIFF", riff, b"WAVE")
    return head + fmt + before + struct.pack("<4sI", b"data", size) + data


@pytest.mark.parametrize("buffering", [-1, 0], ids=["buffered", "raw"])
@pytest.mark.parametrize("size", [1, 7, 1001, 10**6])
def test_reads_of_any_size_give_the_same_samples(size: int, buffering: int) -> None:
    with piped(cut(PCM[:3000].tobytes(), size), buffering) as pipe:
        np.testing.assert_array_equal(samples_of(pcm_stream(pipe)), PCM[:3000])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int24", "int32", "float32", "float64"])
@given(cuts=st.lists(st.integers(1, 11), min_size=1, max_size=6))
def test_samples_of_every_type_come_whole(dtype: str, cuts: list[int]) -> None:
    frames = np.arange(40, dtype=np.int32).reshape(20, 2) - 20
    if dtype == "int24":
        data = b"".join(int(value).to_bytes(3, "little", signed=True) for value in frames.ravel())
        expected = frames * 256
    else:
        expected = frames.astype(dtype)
        data = expected.tobytes()
    with piped([*(data[sum(cuts[:i]) : sum(cuts[: i + 1])] for i in range(len(cuts))), data[sum(cuts) :]]) as pipe:
        samples = samples_of(pcm_stream(pipe, channels=2, dtype=dtype))
    np.testing.assert_array_equal(samples, expected)


def test_samples_come_as_soon_as_they_are_there() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb", buffering=0) as writer:
        chunks = iter(pcm_stream(pipe))
        for value in (1, 2, 3):
            writer.write(np.int16(value).tobytes())
            assert next(chunks).samples.tolist() == [value]


def test_a_sample_that_the_end_cuts_off_is_dropped() -> None:
    with piped([b"\x01\x00\x02"]) as pipe:
        assert samples_of(pcm_stream(pipe)).tolist() == [1]


def test_a_closed_source_gives_nothing_more_and_leaves_the_stream_open() -> None:
    stream = io.BytesIO(PCM.tobytes())
    source = pcm_stream(stream)
    with source:
        next(iter(source))
    assert list(source) == []
    assert not stream.closed


@pytest.mark.parametrize(
    ("riff", "size"),
    [(UNKNOWN, UNKNOWN), (0, 0), (36, 0), (0x7FFFFFFF, 0x7FFFFF00)],
    ids=["ffmpeg", "0", "wave", "sox"],
)
def test_headers_of_unknown_length_are_read_to_the_end(riff: int, size: int) -> None:
    with piped(cut(wav(PCM.tobytes(), riff=riff, size=size), 999)) as pipe:
        source = wav_stream(pipe)
        assert (source.sample_rate, source.channels) == (16000, 1)
        np.testing.assert_array_equal(samples_of(source), PCM)


def test_what_follows_the_promised_samples_is_no_audio() -> None:
    trailer = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + bytes(18)
    with piped([wav(PCM[:100].tobytes(), riff=270, size=200) + trailer]) as pipe:
        np.testing.assert_array_equal(samples_of(wav_stream(pipe)), PCM[:100])
    with piped([wav(b"", riff=36 + 34, size=0) + trailer]) as pipe:
        assert list(wav_stream(pipe)) == []


def test_chunks_in_front_of_the_samples_are_passed_over() -> None:
    before = b"LIST" + struct.pack("<I", 5) + b"INFO!\0" + b"JUNK" + struct.pack("<I", 4) + b"data"
    with piped(cut(wav(PCM.tobytes(), before=before), 5)) as pipe:
        np.testing.assert_array_equal(samples_of(wav_stream(pipe)), PCM)


@pytest.mark.parametrize(
    ("subtype", "tag", "bits"),
    [("PCM_U8", 1, 8), ("PCM_16", 1, 16), ("PCM_24", 1, 24), ("PCM_32", 1, 32), ("FLOAT", 3, 32)],
)
def test_every_width_is_as_loud_as_in_a_file(subtype: str, tag: int, bits: int) -> None:
    file = io.BytesIO()
    soundfile.write(file, TALK[:2000], 16000, format="WAV", subtype=subtype)
    model = ToneStreamer()
    with piped(cut(file.getvalue(), 333)) as pipe:
        live = joined(model.diarize_generator(wav_stream(pipe), latency="0.5s"), "talk")
    [whole] = model.diarize({"audio": file, "uniq_id": "talk"}, latency="0.5s")
    assert live.turns == whole.turns
    with piped([file.getvalue()]) as pipe:
        source = wav_stream(pipe)
        samples = samples_of(source).astype(np.float64)
    silence, full = {"PCM_U8": (128, 128), "FLOAT": (0, 1), "PCM_16": (0, 2**15)}.get(subtype, (0, 2**31))
    expected = soundfile.read(io.BytesIO(file.getvalue()))[0]
    np.testing.assert_allclose((samples - silence) / full, expected, atol=1e-7)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "isn't WAV"),
        (b"RIFF\0\0\0\0AVI LIST", "isn't WAV"),
        (wav(b"")[:30], "header"),
        (wav(b"")[:36], "data"),
        (wav(b"", tag=0x11, bits=4), "IMA_ADPCM"),
        (wav(b"", before=b"JUNK" + struct.pack("<I", 2**31)), "in front of its samples"),
        (b"RIFF\0\0\0\0WAVE" + b"JUNK\0\0\0\0" * 2000, "in front of its samples"),
    ],
    ids=["empty", "avi", "cut in fmt", "no data", "adpcm", "huge chunk", "many chunks"],
)
def test_what_is_no_plain_wav_is_refused(data: bytes, message: str) -> None:
    with piped([data]) as pipe, pytest.raises(AudioDecodeError, match=message):
        wav_stream(pipe)


def test_a_rate_beyond_the_limits_is_refused() -> None:
    data = wav(PCM.tobytes()).replace(struct.pack("<I", 16000), struct.pack("<I", 10**6), 1)
    with piped([data]) as pipe, pytest.raises(AudioLimitError, match="1000000 Hz"):
        wav_stream(pipe)


def test_the_first_bytes_say_what_a_pipe_holds() -> None:
    with piped(cut(wav(PCM.tobytes(), channels=2), 3)) as pipe:
        source = pipe_source(pipe, sample_rate=8000)
        assert (source.sample_rate, source.channels, source.dtype) == (16000, 2, "int16")
        np.testing.assert_array_equal(samples_of(source), PCM.reshape(-1, 2))
    with piped(cut(PCM.tobytes(), 3)) as pipe:
        source = pipe_source(pipe, sample_rate=8000)
        assert source.sample_rate == 8000
        np.testing.assert_array_equal(samples_of(source), PCM)
    with piped([]) as pipe:
        assert list(pipe_source(pipe)) == []


@pytest.mark.parametrize(("format", "name"), [("FLAC", "FLAC"), ("OGG", "Ogg")])
def test_compressed_audio_is_not_taken_for_samples(format: str, name: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, TALK, 16000, format=format)
    with piped([file.getvalue()]) as pipe, pytest.raises(AudioDecodeError, match=f"is {name}.*ffmpeg"):
        pipe_source(pipe)


@pytest.mark.parametrize("options", [{"sample_rate": 0}, {"channels": 0}, {"dtype": "int61"}])
def test_values_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    for make in (pcm_stream, pipe_source):
        with pytest.raises(ConfigError, match=next(iter(options))):
            make(io.BytesIO(), **options)


def test_streams_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(AudioError, match="gives text"):
        list(pcm_stream(io.StringIO("audio")))
    closed = io.BytesIO()
    closed.close()
    with pytest.raises(AudioError, match="reading it failed"):
        list(pcm_stream(closed))
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with (
        os.fdopen(reading, "rb", buffering=0) as pipe,
        os.fdopen(writing, "wb"),
        pytest.raises(AudioError, match="make it blocking"),
    ):
        next(iter(pcm_stream(pipe)))


def test_a_pipe_comes_to_what_the_whole_comes_to() -> None:
    model = ToneStreamer()
    with piped(cut(wav(PCM.tobytes()), 4097)) as pipe:
        live = joined(model.diarize_generator(pipe_source(pipe), latency="0.5s"), "talk")
    [whole] = model.diarize({"audio": PCM, "sample_rate": 16000, "uniq_id": "talk"}, latency="0.5s")
    assert live == whole
    assert len(live) == 2
