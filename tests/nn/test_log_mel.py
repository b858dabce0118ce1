"""Log-mel features: known values, and streams cut anywhere."""

from __future__ import annotations

import math

import librosa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.nn.log_mel import LOG_GUARD, LogMel, MelStream, per_feature

MEL = LogMel(16)
NOISE = torch.randn(6000, generator=torch.Generator().manual_seed(0))


@settings(max_examples=60)
@given(length=st.integers(0, 3000), cuts=st.lists(st.integers(0, 900), max_size=12))
def test_a_stream_cut_anywhere_gives_the_features_of_the_whole(length: int, cuts: list[int]) -> None:
    samples, stream, at, parts = NOISE[:length], MelStream(MEL), 0, []
    for cut in cuts:
        parts.append(stream.push(samples[at : at + cut]))
        at += cut
        heard = min(at, length)
        frames = sum(map(len, parts))
        assert MEL.samples(frames) <= heard < MEL.samples(frames + 1)
    parts += [stream.push(samples[at:]), stream.finish()]
    found = torch.cat(parts)
    assert found.shape == (MEL.frames(length), 16)
    torch.testing.assert_close(found, MEL(samples), rtol=0, atol=1e-3)


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 199, 200, 399, 400])
def test_recordings_shorter_than_a_window(samples: int) -> None:
    assert MEL(NOISE[:samples]).shape == (samples // 160, 16)


def test_silence_is_the_logarithm_of_the_guard() -> None:
    torch.testing.assert_close(MEL(torch.zeros(1600)), torch.full((10, 16), math.log(LOG_GUARD)))


def test_a_tone_is_loudest_in_its_band() -> None:
    tone = torch.sin(2 * math.pi * 1000 * torch.arange(8000) / 16000)
    assert set(MEL(tone)[2:-2].argmax(1).tolist()) == {MEL.filters[32].argmax().item()}  # bin 32 of 512 is 1000 Hz


def test_per_feature_brings_each_band_to_mean_0_and_deviation_1() -> None:
    found = per_feature(MEL(NOISE))
    torch.testing.assert_close(found.mean(0), torch.zeros(16), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.std(0), torch.ones(16), rtol=0, atol=1e-4)
    assert per_feature(found[:1]).tolist() == [[0.0] * 16]


@pytest.mark.parametrize(("samples", "n_mels"), [(160, 80), (4321, 128), (16000, 80)])
def test_is_the_formula_in_float64(samples: int, n_mels: int) -> None:
    x = 0.1 * NOISE.double().repeat(3)[:samples]
    emphasized = x - 0.97 * torch.cat([x.new_zeros(1), x[:-1]])
    padded = torch.nn.functional.pad(emphasized, (200, 400))
    window = torch.hann_window(400, periodic=False, dtype=torch.float64)
    n, k = torch.arange(400.0, dtype=torch.float64), torch.arange(257.0, dtype=torch.float64)
    basis = torch.exp(-2j * math.pi * torch.outer(k, n) / 512)  # a plain sum, no fast transform
    bands = torch.from_numpy(librosa.filters.mel(sr=16000, n_fft=512, n_mels=n_mels, dtype="float64"))
    framed = torch.stack([padded[160 * t : 160 * t + 400] for t in range(samples // 160)]) * window
    power = (framed.to(torch.complex128) @ basis.T).abs().square()
    wanted = torch.log(power @ bands.T + 2.0**-24)
    torch.testing.assert_close(LogMel(n_mels)(x.float()).double(), wanted, rtol=0, atol=2e-3)
    assert (LogMel(n_mels)(x.float()).double() - wanted).abs().mean() < 1e-5


@given(frames=st.integers(0, 50))
def test_samples_are_the_fewest_that_complete_so_many_frames(frames: int) -> None:
    needed = MEL.samples(frames)
    assert len(MelStream(MEL).push(NOISE.repeat(2)[:needed])) == frames
    if frames:
        assert len(MelStream(MEL).push(NOISE.repeat(2)[: needed - 1])) == frames - 1


@given(length=st.integers(2, 60), bands=st.integers(1, 5), scale=st.floats(0.01, 100))
def test_per_feature_is_the_unbiased_formula(length: int, bands: int, scale: float) -> None:
    features = scale * torch.randn(length, bands, generator=torch.Generator().manual_seed(length))
    wide = features.double()
    deviation = ((wide - wide.mean(0)).square().sum(0) / (length - 1)).sqrt()
    wanted = (wide - wide.mean(0)) / (deviation + 1e-5)
    torch.testing.assert_close(per_feature(features).double(), wanted, rtol=1e-4, atol=1e-4)


def test_a_band_that_never_changes_is_0() -> None:
    assert not per_feature(torch.full((9, 2), -16.0)).any()


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 401, 4321])
def test_utterances_of_a_batch_are_each_by_itself(samples: int) -> None:
    rows = NOISE[: 3 * (len(NOISE) // 3)].reshape(3, -1).repeat(1, 3)[:, :samples]
    found = MEL.of_utterances(rows)
    torch.testing.assert_close(found, torch.stack([MEL(row) for row in rows]), rtol=0, atol=1e-3)
    torch.testing.assert_close(per_feature(found), torch.stack([per_feature(row) for row in found]))


def test_a_stream_keeps_no_more_than_a_window() -> None:
    stream = MelStream(MEL)
    for _ in range(20):
        stream.push(NOISE)
        assert stream._tail.untyped_storage().nbytes() <= 4 * (len(MEL.window) + MEL.hop)
