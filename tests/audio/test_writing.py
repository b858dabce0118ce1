from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speakerdiar.audio import load, probe, save
from speakerdiar.errors import AudioError, InputError


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".WAV"])
@pytest.mark.parametrize(("subtype", "step"), [("PCM_16", 2**-15), ("PCM_24", 2**-23)])
def test_what_is_saved_reads_back(tmp_path: Path, suffix: str, subtype: str, step: float) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 1000).astype(np.float32)
    save(tmp_path / f"a{suffix}", samples, 16000, subtype)
    assert probe(tmp_path / f"a{suffix}").codec == subtype
    np.testing.assert_allclose(load(tmp_path / f"a{suffix}"), samples, atol=step)


def test_floats_and_channels(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(0, 2, (1000, 3)).astype(np.float32)
    save(str(tmp_path / "a.wav"), samples, 44100, "FLOAT")
    assert probe(tmp_path / "a.wav").channels == 3
    np.testing.assert_allclose(load(tmp_path / "a.wav", 44100), samples.mean(axis=1), atol=1e-6)


def test_loud_samples_are_clipped(tmp_path: Path) -> None:
    save(tmp_path / "a.wav", np.array([2.0, -2.0]), 16000)
    np.testing.assert_allclose(load(tmp_path / "a.wav"), [1.0, -1.0], atol=1e-4)


def test_no_samples(tmp_path: Path) -> None:
    save(tmp_path / "a.wav", np.zeros(0), 16000)
    assert load(tmp_path / "a.wav").shape == (0,)
    with pytest.raises(AudioError, match=r"use \.wav"):
        save(tmp_path / "a.flac", np.zeros(0), 16000)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'\.mp3' names no format to write"):
        save(tmp_path / "a.mp3", np.zeros(10), 16000)
    with pytest.raises(InputError, match="int16 of shape"):
        save(tmp_path / "a.wav", np.zeros(10, np.int16), 16000)
    with pytest.raises(AudioError, match="can't be written as FLAC FLOAT"):
        save(tmp_path / "a.flac", np.zeros(10), 16000, "FLOAT")
    with pytest.raises(AudioError, match="can't be written"):
        save(tmp_path / "no" / "a.wav", np.zeros(10), 16000)
