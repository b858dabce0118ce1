"""Limits: their settings, and that they hold whatever a header claims."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import soundfile

from speakerdiar.audio import AudioLimits, load, probe, read_blocks
from speakerdiar.config import field_docs
from speakerdiar.errors import AudioLimitError, ConfigError
from speakerdiar.recording import Recording


def flac(frames: int, rate: int = 16000, channels: int = 1) -> io.BytesIO:
    file = io.BytesIO()
    soundfile.write(file, np.zeros((frames, channels), np.float32), rate, format="FLAC")
    return file


@pytest.mark.parametrize(
    ("limits", "setting"),
    [
        (AudioLimits(max_bytes=100), "max_bytes=100"),
        (AudioLimits(max_seconds=1.5), "max_seconds=1.5"),
        (AudioLimits(max_channels=1), "max_channels=1"),
        (AudioLimits(min_rate=22050), "min_rate=22,050"),
        (AudioLimits(max_rate=11025), "max_rate=11,025"),
    ],
)
@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG"])
def test_each_limit_names_its_setting(limits: AudioLimits, setting: str, container: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros((32_000, 2), np.float32), 16000, format=container)
    with pytest.raises(AudioLimitError) as caught:
        load(file, limits=limits)
    assert setting in str(caught.value)
    assert f"SPEAKERDIAR_{setting.split('=')[0].upper()}" in str(caught.value)
    assert len(load(file)) == 32_000


def test_limits_hold_for_arrays_too() -> None:
    samples = np.zeros((32_000, 2), np.float32)
    for limits in (AudioLimits(max_seconds=1), AudioLimits(max_channels=1), AudioLimits(max_rate=8000)):
        with pytest.raises(AudioLimitError):
            load((samples, 16000), limits=limits)


def test_only_what_is_read_counts_as_seconds() -> None:
    part = Recording("a", flac(64_000), offset=2.0, duration=1.0)
    assert len(load(part, limits=AudioLimits(max_seconds=1))) == 16_000


def test_seconds_are_counted_while_decoding() -> None:
    data = bytearray(flac(2_000_000).getvalue())
    data[21] &= 0xF0  # a header that doesn't say how many samples there are
    data[22:26] = bytes(4)
    blocks = read_blocks(io.BytesIO(bytes(data)), block_seconds=1.0, limits=AudioLimits(max_seconds=60))
    with pytest.raises(AudioLimitError, match="max_seconds=60"):
        list(blocks)


def test_forged_rate_and_channels_are_refused_before_decoding() -> None:
    # 655,350 Hz x 8 channels in a few bytes: short by its header, gigabytes once it is decoded.
    data = bytearray(flac(16_000, channels=8).getvalue())
    packed = struct.unpack(">Q", data[18:26])[0]
    data[18:26] = struct.pack(">Q", packed & ~(0xFFFFF << 44) | 655_350 << 44)
    with pytest.raises(AudioLimitError, match="655350 Hz is beyond max_rate=384,000"):
        probe(io.BytesIO(bytes(data)), AudioLimits(max_rate=384_000))


def test_environment_sets_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert AudioLimits.from_environment({}) == AudioLimits()
    given = {"SPEAKERDIAR_MAX_SECONDS": "0.5", "SPEAKERDIAR_MAX_BYTES": "1000", "SPEAKERDIAR_ALLOW_TRUNCATED": "no"}
    assert AudioLimits.from_environment(given) == AudioLimits(max_seconds=0.5, max_bytes=1000, allow_truncated=False)
    monkeypatch.setenv("SPEAKERDIAR_MAX_SECONDS", "1.5")
    with pytest.raises(AudioLimitError, match=r"max_seconds=1\.5"):
        load(flac(32_000))
    assert len(load(flac(32_000), limits=AudioLimits())) == 32_000


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("MAX_SECONDS", "a day", "a number"),
        ("MAX_CHANNELS", "2.5", "a whole number"),
        ("ALLOW_ANY_CODEC", "?", "yes or"),
    ],
)
def test_environment_that_cannot_be(name: str, text: str, wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        AudioLimits.from_environment({f"SPEAKERDIAR_{name}": text})
    assert f"SPEAKERDIAR_{name}={text!r}: give {wanted}" in str(caught.value)


@pytest.mark.parametrize("values", [{"max_seconds": 0}, {"max_bytes": -1}, {"max_seconds": float("nan")}])
def test_limits_that_cannot_be(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="give a number above 0"):
        AudioLimits(**values)
    with pytest.raises(ConfigError, match="min_rate=9000 is above max_rate=8000"):
        AudioLimits(min_rate=9000, max_rate=8000)


def test_every_limit_says_what_it_means() -> None:
    assert set(field_docs(AudioLimits)) == set(AudioLimits.__dataclass_fields__)
