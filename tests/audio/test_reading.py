"""Rates, channels, parts and blocks of recordings of every kind of source."""

from __future__ import annotations

import io
import itertools
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.audio import AudioInfo, each_channel, load, probe, read_blocks, rereadable
from speakerdiar.errors import AudioError, InputError
from speakerdiar.recording import Recording, as_recordings


def tone(seconds: float, rate: int, hz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(frames: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (frames, channels)).astype(np.float32)


SNDFILE_KINDS = [
    ("a.wav", "WAV", "PCM_U8"), ("a.wav", "WAV", "PCM_16"), ("a.wav", "WAV", "PCM_24"), ("a.wav", "WAV", "PCM_32"),
    ("a.wav", "WAV", "FLOAT"), ("a.wav", "WAV", "DOUBLE"), ("a.wav", "WAV", "ULAW"), ("a.wav", "WAV", "ALAW"),
    ("a.wav", "WAVEX", "PCM_16"), ("a.wav", "WAVEX", "FLOAT"), ("a.rf64", "RF64", "PCM_16"), ("a.w64", "W64", "PCM_16"),
    ("a.w64", "W64", "FLOAT"), ("a.aiff", "AIFF", "PCM_16"), ("a.aiff", "AIFF", "PCM_S8"), ("a.aiff", "AIFF", "PCM_24"),
    ("a.aiff", "AIFF", "PCM_U8"), ("a.aiff", "AIFF", "FLOAT"), ("a.aiff", "AIFF", "DOUBLE"), ("a.aiff", "AIFF", "ULAW"),
    ("a.au", "AU", "PCM_16"), ("a.au", "AU", "ULAW"), ("a.au", "AU", "FLOAT"), ("a.caf", "CAF", "PCM_16"),
    ("a.caf", "CAF", "ALAC_16"), ("a.flac", "FLAC", "PCM_16"), ("a.flac", "FLAC", "PCM_24"),
    ("a.sph", "NIST", "PCM_16"), ("a.sph", "NIST", "ULAW"), ("a.ogg", "OGG", "VORBIS"), ("a.opus", "OGG", "OPUS"),
    ("a.mp3", "MP3", "MPEG_LAYER_III"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "container", "subtype"), SNDFILE_KINDS)
def test_reads_what_libsndfile_reads(tmp_path: Path, name: str, container: str, subtype: str) -> None:
    path = tmp_path / name
    soundfile.write(path, noise(9000, 2), 16000, format=container, subtype=subtype)
    expected = soundfile.read(path, dtype="float32")[0].mean(axis=1)
    np.testing.assert_allclose(load(path), expected, atol=1e-7)
    info = probe(path)
    assert (info.sample_rate, info.channels, info.frames, info.codec) == (16000, 2, len(expected), subtype)


@pytest.mark.parametrize("container", ["WAV", "AIFF", "AU"])
@pytest.mark.parametrize("endian", ["LITTLE", "BIG"])
def test_both_orders_of_bytes(tmp_path: Path, container: str, endian: str) -> None:
    path = tmp_path / "a"
    soundfile.write(path, noise(500), 16000, format=container, subtype="PCM_16", endian=endian)
    np.testing.assert_array_equal(load(path), soundfile.read(path, dtype="float32")[0])


def test_name_and_suffix_play_no_part(tmp_path: Path) -> None:
    for name in ("a.raw", "a.mp3", "a.vox", "b"):
        soundfile.write(tmp_path / name, tone(0.1, 16000), 16000, format="WAV")
        assert probe(tmp_path / name).container == "WAV"
        assert len(load(tmp_path / name)) == 1600


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000, 192000])
def test_any_rate_becomes_the_one_asked_for(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1.0, rate), rate, subtype="FLOAT")
    samples = load(tmp_path / "a.wav")
    assert samples.shape == (16000,)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples[800:-800], tone(1.0, 16000)[800:-800], atol=2e-3)


@settings(deadline=None, max_examples=60)
@given(
    frames=st.integers(0, 30_000),
    rates=st.tuples(st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 96000]), st.sampled_from([8000, 16000])),
    block_seconds=st.floats(0.001, 5.0),
)
def test_blocks_join_to_the_same_samples(frames: int, rates: tuple[int, int], block_seconds: float) -> None:
    from_rate, to_rate = rates
    source = (noise(frames)[:, 0], from_rate)
    blocks = list(read_blocks(source, to_rate, block_seconds))
    length = max(1, round(block_seconds * to_rate))
    assert all(len(block) == length for block in blocks[:-1])
    assert all(0 < len(block) <= length and block.dtype == np.float32 for block in blocks[-1:])
    joined = np.concatenate([*blocks, np.zeros(0, np.float32)])
    np.testing.assert_array_equal(joined, load(source, to_rate))
    assert len(joined) == round(frames * to_rate / from_rate)


@settings(deadline=None, max_examples=40)
@given(cuts=st.lists(st.floats(0.0, 2.0), min_size=1, max_size=4), rate=st.sampled_from([8000, 11025, 16000, 44100]))
def test_neighbouring_parts_join_exactly(cuts: list[float], rate: int) -> None:
    samples = noise(2 * rate)[:, 0]
    edges = sorted({0.0, *cuts, 2.0})
    parts = [
        load(Recording("a", samples, rate, offset=start, duration=stop - start), rate)
        for start, stop in itertools.pairwise(edges)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), samples)


@pytest.mark.parametrize("kind", [("FLAC", "PCM_16"), ("WAV", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")])
def test_offset_and_duration_cut_exactly(tmp_path: Path, kind: tuple[str, str]) -> None:
    path = tmp_path / "a"
    soundfile.write(path, noise(40_000), 16000, format=kind[0], subtype=kind[1])
    whole = load(path)
    part = load(Recording("a", str(path), offset=0.75, duration=1.0))
    np.testing.assert_allclose(part, whole[12_000:28_000], atol=1e-6)


def test_duration_past_the_end_is_clipped(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1.0, 16000), 16000)
    assert len(load(Recording("a", str(tmp_path / "a.wav"), offset=0.25, duration=60.0))) == 12_000


def test_offset_beyond_the_end_names_both(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1.0, 16000), 16000)
    with pytest.raises(AudioError, match=r"a\.wav: offset=2\.5 s lies beyond its end at 1\.000 s"):
        load(Recording("a", str(tmp_path / "a.wav"), offset=2.5))
    assert len(load(Recording("a", str(tmp_path / "a.wav"), offset=1.0))) == 0


def test_mix_is_the_mean_and_a_channel_is_itself(tmp_path: Path) -> None:
    samples = noise(1000, 8)
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    np.testing.assert_allclose(load(tmp_path / "a.wav"), samples.mean(axis=1), atol=1e-7)
    recording = Recording("a", str(tmp_path / "a.wav"))
    for channel in range(8):
        np.testing.assert_array_equal(load(replace(recording, channel=channel)), samples[:, channel])


def test_channel_beyond_the_last_names_both(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(100, 2), 16000)
    with pytest.raises(AudioError, match=r"a\.wav: channel=2 isn't there: it has 2 channels"):
        load(Recording("a", str(tmp_path / "a.wav"), channel=2))
    with pytest.raises(AudioError, match="channel=1 isn't there: it has 1 channel;"):
        each_channel(Recording("a", noise(100)[:, 0], 16000, channel=1))


def test_each_channel_is_a_recording(tmp_path: Path) -> None:
    samples = noise(1000, 3)
    soundfile.write(tmp_path / "talk.wav", samples, 16000, subtype="FLOAT")
    recordings = each_channel(tmp_path / "talk.wav")
    assert [r.id for r in recordings] == ["talk.ch0", "talk.ch1", "talk.ch2"]
    for channel, recording in enumerate(recordings):
        np.testing.assert_array_equal(load(recording), samples[:, channel])
    assert [r.id for r in each_channel(recordings[1])] == ["talk.ch1.ch1"]


def test_each_channel_of_a_part_keeps_the_part() -> None:
    samples = noise(1600, 2)
    first, second = each_channel(Recording("a", samples, 16000, offset=0.05, duration=0.01))
    np.testing.assert_array_equal(load(first), samples[800:960, 0])
    np.testing.assert_array_equal(load(second), samples[800:960, 1])


def test_channels_of_one_file_object_can_be_read_side_by_side() -> None:
    samples = noise(16_000, 2)
    file = io.BytesIO()
    soundfile.write(file, samples, 16000, format="FLAC", subtype="PCM_24")
    both = [read_blocks(recording, 16000, 0.1) for recording in each_channel(file)]
    joined = np.concatenate([np.stack(pair, axis=1) for pair in zip(*both, strict=True)])
    np.testing.assert_allclose(joined, samples, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_integers_are_scaled(dtype: type) -> None:
    limits = np.iinfo(dtype)
    np.testing.assert_allclose(load((np.array([limits.min, 0, limits.max // 2 + 1], dtype), 16000)), [-1.0, 0.0, 0.5])
    assert load((np.array([limits.max], dtype), 16000))[0] <= 1.0


def test_unsigned_bytes_are_centred() -> None:
    np.testing.assert_array_equal(load((np.array([0, 128, 192], np.uint8), 16000)), [-1.0, 0.0, 0.5])


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.bool_, np.complex64])
def test_numbers_without_a_known_scale_are_refused(dtype: type) -> None:
    with pytest.raises(AudioError, match=f"the scale of {np.dtype(dtype).name} samples isn't known"):
        load((np.zeros(10, dtype), 16000))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_tensors(dtype: torch.dtype) -> None:
    samples = torch.linspace(-0.5, 0.5, 100, dtype=dtype)
    np.testing.assert_allclose(load((samples, 16000)), samples.float().numpy(), atol=1e-7)


def test_orientation_of_arrays() -> None:
    samples = noise(100, 8)
    np.testing.assert_array_equal(load((samples, 16000)), load((samples.T, 16000)))
    assert probe((samples[:8, :8], 16000)) == AudioInfo(16000, 8, 8, 0.0005, "array", "float32")
    assert probe((samples[:1, :8].T, 16000)).channels == 1
    with pytest.raises(AudioError, match=r"shape \(4, 0\)"):
        load((np.zeros((4, 0), np.float32), 16000))


def test_blocks_are_copies_of_an_array() -> None:
    samples = np.zeros(1000, np.float32)
    for block in read_blocks((samples, 16000), 16000, 0.01):
        block += 1
    assert not samples.any()


def test_array_without_a_rate() -> None:
    with pytest.raises(AudioError, match="Sample rate is not set"):
        load(Recording("a", np.zeros(10, np.float32)))


def test_one_sample_and_none(tmp_path: Path) -> None:
    for suffix in ("wav", "flac", "aiff", "w64", "au"):
        for frames in (1,) if suffix == "flac" else (0, 1):  # libsndfile writes no FLAC without samples
            path = tmp_path / f"{frames}.{suffix}"
            soundfile.write(path, np.full(frames, 0.5, np.float32), 16000)
            assert load(path).tolist() == [0.5] * frames
            assert len(list(read_blocks(path))) == frames
            assert probe(path).duration == frames / 16000
    assert load((np.zeros(0, np.float32), 16000)).shape == (0,)
    assert load((np.full(1, 0.5, np.float32), 8000)).shape == (2,)


@pytest.mark.parametrize("value", [0, -1, 16000.5, "16000", None, True])
def test_rates_that_cannot_be(value: object) -> None:
    with pytest.raises(InputError, match="sample_rate="):
        read_blocks((np.zeros(10, np.float32), 16000), value)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="sample_rate="):
        load((np.zeros(10, np.float32), 16000), value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_blocks_that_cannot_be(value: float) -> None:
    with pytest.raises(InputError, match="block_seconds="):
        read_blocks((np.zeros(10, np.float32), 16000), block_seconds=value)


def test_several_recordings_are_refused() -> None:
    with pytest.raises(InputError, match="Got 2 recordings"):
        load(["a.wav", "b.wav"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("as_file", [True, False])
def test_samples_that_are_no_numbers(tmp_path: Path, bad: float, as_file: bool) -> None:
    samples = np.zeros((800_000, 2), np.float32)
    samples[600_000, 1] = bad
    source: object = (samples, 16000)
    if as_file:
        soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
        source = tmp_path / "a.wav"
    with pytest.raises(AudioError, match=r"at 37\.5000 s"):
        load(source)
    assert len(load(Recording("a", samples, 16000, channel=0))) == 800_000


def test_a_value_beyond_float32_counts_as_infinite(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"a sample is inf at 0\.0001 s"):
        load((np.array([0.0, 1e300]), 16000))
    soundfile.write(tmp_path / "a.wav", np.array([0.0, 1e300]), 16000, subtype="DOUBLE")
    with pytest.raises(AudioError, match=r"a sample is inf at 0\.0001 s"):
        load(tmp_path / "a.wav")


def test_nothing_is_opened_before_the_first_block(tmp_path: Path) -> None:
    blocks = read_blocks(tmp_path / "absent.wav")
    with pytest.raises(AudioError, match="no such file"):
        next(blocks)


def test_abandoned_iterator_closes_the_file(tmp_path: Path, open_files: Iterator[set[str]]) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(160_000), 16000)
    blocks = read_blocks(path, block_seconds=1.0)
    next(blocks)
    assert str(path) in next(open_files)
    del blocks
    assert str(path) not in next(open_files)


def test_streams_become_rereadable_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    soundfile.write(path, np.zeros(100, dtype=np.float32), 16000)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    writer.start()
    [whole, missing] = as_recordings([path, tmp_path / "nothing.wav"])
    assert rereadable(whole) is whole
    assert rereadable(missing) is missing
    [streamed] = as_recordings(pipe)
    copy = rereadable(streamed)
    writer.join()
    assert [len(load(copy)) for _ in range(2)] == [100, 100]
    assert copy.id == "pipe"
