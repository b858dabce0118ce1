"""MP4, WebM and AAC through PyAV; the files are made with it too."""

from __future__ import annotations

import io
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from speakerdiar.audio import AudioLimits, each_channel, load, probe, read_blocks
from speakerdiar.errors import AudioDecodeError, AudioError, MissingExtraError
from speakerdiar.recording import Recording

av = pytest.importorskip("av")

RATE = 48_000
KINDS = {
    "m4a": ("mp4", "aac", "MP4"),
    "mp4": ("mp4", "aac", "MP4"),
    "webm": ("webm", "libopus", "WEBM"),
    "mkv": ("matroska", "flac", "WEBM"),
    "mov": ("mov", "pcm_s16le", "MP4"),
    "aac": ("adts", "aac", "AAC"),
}


def tones(seconds: float) -> np.ndarray:
    """Two channels (samples, 2): 300 Hz and 1 kHz."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.4 * np.sin(2 * np.pi * np.outer(time, [300.0, 1000.0]))).astype(np.float32)


def encode(suffix: str, seconds: float = 2.0) -> bytes:
    container_format, codec, _ = KINDS[suffix]
    file = io.BytesIO()
    with av.open(file, "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(tones(seconds).T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="stereo", rate=RATE)
        for converted in resampler.resample(frame):
            container.mux(stream.encode(converted))
        container.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("suffix", KINDS)
def test_reads_rate_channels_and_length(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "talk.bin"
    path.write_bytes(encode(suffix))
    info = probe(path)
    assert (info.sample_rate, info.channels, info.container) == (RATE, 2, KINDS[suffix][2])
    assert info.duration == pytest.approx(2.0, abs=0.1)
    samples = load(path)
    assert samples.dtype == np.float32
    assert len(samples) / 16000 == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("suffix", KINDS)
def test_each_channel_holds_its_own_tone(suffix: str) -> None:
    for recording, hz in zip(each_channel(io.BytesIO(encode(suffix))), (300, 1000), strict=True):
        samples = load(recording)[8000:24_000]
        assert np.argmax(np.abs(np.fft.rfft(samples))) == hz
        assert np.abs(samples).max() == pytest.approx(0.4, abs=0.05)


def test_lossless_samples_are_exact() -> None:
    expected = tones(2.0).mean(axis=1)
    for suffix in ("mkv", "mov"):
        np.testing.assert_allclose(load(io.BytesIO(encode(suffix)), RATE), expected, atol=2**-14)


@pytest.mark.parametrize("suffix", ["m4a", "webm"])
def test_parts_and_blocks(suffix: str) -> None:
    file = io.BytesIO(encode(suffix))
    whole = load(file, RATE)
    part = load(Recording("a", file, offset=0.5, duration=0.25), RATE)
    np.testing.assert_array_equal(part, whole[24_000:36_000])
    np.testing.assert_array_equal(np.concatenate(list(read_blocks(file, RATE, 0.07))), whole)
    with pytest.raises(AudioError, match=r"offset=9 s lies beyond its end at [12]\.\d+ s"):
        load(Recording("a", file, offset=9.0))


@pytest.mark.parametrize("suffix", ["webm", "aac", "mkv"])
def test_cut_short_gives_what_is_there(suffix: str) -> None:
    data = encode(suffix, 4.0)
    samples = load(io.BytesIO(data[: len(data) // 2]))
    assert 1.5 < len(samples) / 16000 < 2.6


def test_cut_short_is_an_error_where_asked() -> None:
    data = encode("webm", 4.0)
    strict = AudioLimits(allow_truncated=False)
    assert len(load(io.BytesIO(data), limits=strict)) == 64_000
    with pytest.raises(AudioDecodeError, match=r"was cut short: [12]\.\d\d s of 3\.\d\d s"):
        load(io.BytesIO(data[: len(data) // 2]), limits=strict)


def test_mp4_cut_before_its_index() -> None:
    data = encode("m4a")
    with pytest.raises(AudioDecodeError, match="cut short before its index"):
        load(io.BytesIO(data[: len(data) // 2]))


def test_broken_in_the_middle() -> None:
    data = bytearray(encode("aac", 4.0))
    middle = len(data) // 2
    data[middle : middle + 600] = bytes(600)
    with pytest.raises(AudioDecodeError, match=r"is broken [12]\.\d\d s from its start"):
        load(io.BytesIO(bytes(data)))


def test_nothing_but_a_header() -> None:
    with pytest.raises(AudioDecodeError):
        load(io.BytesIO(encode("m4a")[:16] + bytes(100)))


def test_video_without_sound(tmp_path: Path) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(AudioDecodeError, match="has no audio stream"):
        probe(file)


def test_rare_codec_is_refused() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mov") as container:
        stream = container.add_stream("adpcm_ima_qt", rate=16000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 64), np.int16), format="s16p", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(AudioDecodeError, match="adpcm_ima_qt is refused"):
        load(file)


def test_without_pyav_the_error_is_the_pip_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    path.write_bytes(encode("m4a", 0.5))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r'pip install "speakerdiar\[av\]"'):
        load(path)
