"""The mel front end against librosa and against its formula."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch

from speakerdiar.errors import ConfigError
from speakerdiar.nn.frontend import FRAMES_AT_ONCE, MelSpectrogram, hz_to_mel, mel_filters, mel_to_hz

NOISE = np.random.default_rng(0).standard_normal(16000).astype(np.float32)


@pytest.mark.parametrize(("rate", "n_fft", "n_mels"), [(16000, 400, 40), (8000, 256, 23), (44100, 2048, 128)])
def test_filters_are_librosas(rate: int, n_fft: int, n_mels: int) -> None:
    expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels)
    np.testing.assert_allclose(mel_filters(rate, n_fft, n_mels), expected, rtol=1e-5, atol=1e-9)


def test_the_scale_is_slaneys() -> None:
    assert hz_to_mel(np.array([0, 200, 1000, 6400])) == pytest.approx([0, 3, 15, 42])
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(np.arange(0, 8000, 37))), np.arange(0, 8000, 37), rtol=1e-12)


@pytest.mark.parametrize("count", [1, 159, 160, 399, 1600, 16000])
def test_spectrograms_are_librosas(count: int) -> None:
    samples = NOISE[:count]
    mels = MelSpectrogram()(torch.from_numpy(samples)).numpy()
    expected = librosa.feature.melspectrogram(
        y=np.pad(samples, 200), sr=16000, n_fft=400, hop_length=160, n_mels=40, center=False
    ).T
    assert mels.shape == (1 + count // 160, 40)
    np.testing.assert_allclose(mels, expected[: len(mels)], rtol=1e-5, atol=1e-6)


def test_centre_padding_is_librosas() -> None:
    expected = librosa.feature.melspectrogram(y=NOISE, sr=16000, n_fft=400, hop_length=160, n_mels=40).T
    np.testing.assert_allclose(MelSpectrogram()(torch.from_numpy(NOISE)).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_frame_follows_the_formula() -> None:
    frame = NOISE[160 * 20 - 200 : 160 * 20 + 200].astype(np.float64)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    angles = -2j * np.pi * np.outer(np.arange(201), np.arange(400)) / 400
    power = np.abs(np.exp(angles) @ (frame * hann)) ** 2
    found = MelSpectrogram()(torch.from_numpy(NOISE))[20].numpy()
    np.testing.assert_allclose(found, mel_filters(16000, 400, 40) @ power, rtol=1e-5)


def test_long_pieces_are_the_same_frame_for_frame() -> None:
    mel = MelSpectrogram()
    samples = torch.from_numpy(np.resize(NOISE, (FRAMES_AT_ONCE + 500) * 160))
    part = samples[(FRAMES_AT_ONCE - 50) * 160 : (FRAMES_AT_ONCE + 50) * 160]
    torch.testing.assert_close(mel(samples)[FRAMES_AT_ONCE - 40 : FRAMES_AT_ONCE + 40], mel(part)[10:90])


@pytest.mark.parametrize("option", ["sample_rate", "n_fft", "hop", "n_mels"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "x", True])
def test_bad_options_are_refused(option: str, value: object) -> None:
    with pytest.raises((ConfigError, TypeError), match=option):
        MelSpectrogram(**{option: value})  # type: ignore[arg-type]
