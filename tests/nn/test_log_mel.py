"""Log-mel features: known values, and streams cut anywhere."""

from __future__ import annotations

import math

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
