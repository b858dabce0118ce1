"""SincNet: its filters pass their bands, and its frames are where it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speakerdiar.nn.sincnet import CHANNELS, FILTERS, KERNEL, MIN_BAND_HZ, MIN_LOW_HZ, SincNet, sinc_filters

RATE = 16000
HALF = KERNEL // 2
WINDOW = torch.hamming_window(KERNEL, periodic=False)[:HALF]
ANGLES = 2 * torch.pi * torch.arange(-HALF, 0.0)[None] / RATE


def filters(low: list[float], band: list[float]) -> torch.Tensor:
    return sinc_filters(torch.tensor(low)[:, None], torch.tensor(band)[:, None], WINDOW, ANGLES, rate=RATE)


def test_a_filter_passes_its_band_alone() -> None:
    found = filters([950.0], [950.0])
    assert found.shape == (2, 1, KERNEL)
    spectrum = np.abs(np.fft.rfft(found[:, 0].numpy(), RATE))  # a bin a hertz
    middle = (MIN_LOW_HZ + 950 + MIN_LOW_HZ + 950 + MIN_BAND_HZ + 950) / 2
    assert np.all(spectrum[:, int(middle)] > 50 * spectrum[:, 300])
    assert np.all(spectrum[:, int(middle)] > 50 * spectrum[:, 5000])


def test_each_band_has_a_cosine_and_a_sine() -> None:
    even, odd = filters([300.0], [200.0])[:, 0]
    torch.testing.assert_close(even, even.flip(0))
    torch.testing.assert_close(odd, -odd.flip(0))
    assert even[HALF] == 1


def test_the_sign_of_an_edge_does_not_count() -> None:
    torch.testing.assert_close(filters([-300.0, 20.0], [200.0, -9.0]), filters([300.0, 20.0], [200.0, 9.0]))


def test_a_band_ends_at_half_the_rate() -> None:
    torch.testing.assert_close(
        filters([4000.0], [1e5]), filters([4000.0], [RATE / 2 - 4000 - MIN_LOW_HZ - MIN_BAND_HZ])
    )


@pytest.mark.parametrize(("stride", "receptive", "step"), [(10, 991, 270), (5, 621, 135), (1, 325, 27)])
def test_frames_are_where_it_says(stride: int, receptive: int, step: int) -> None:
    network = SincNet(stride)
    assert (network.receptive, network.frame_step) == (receptive, step)
    assert [network.frames(n) for n in (0, 1, receptive - 1, receptive, receptive + step)] == [0, 0, 0, 1, 2]
    with torch.inference_mode():
        for samples in (receptive + step, receptive + 3 * step - 1, receptive + 3 * step):
            assert network(torch.randn(2, samples)).shape == (2, CHANNELS, network.frames(samples))
    assert FILTERS == 80


def test_the_level_of_a_window_does_not_count() -> None:
    network = SincNet()
    samples = torch.randn(1, 8000)
    with torch.inference_mode():
        torch.testing.assert_close(network(samples * 0.05 + 0.3), network(samples), rtol=0, atol=2e-2)


def test_half_precision_hears_quiet_voices() -> None:
    torch.manual_seed(0)
    network = SincNet()
    samples = torch.randn(1, 8000) * 1e-2 + 0.5
    with torch.inference_mode():
        whole = network(samples)
        half = network.to(torch.bfloat16)(samples)
    assert half.dtype == torch.bfloat16
    assert (half.float() - whole).abs().mean() < 0.05 * whole.abs().mean()
