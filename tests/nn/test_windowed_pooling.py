"""Pooling against the same sums written as a loop."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from speakerdiar.nn.windowed_pooling import LEAST_VARIANCE, whole_statistics, windowed_statistics


@pytest.mark.parametrize("window", [1, 4, 7, 20])
@pytest.mark.parametrize("frames", [1, 3, 30])
def test_windows_as_a_loop_has_them(frames: int, window: int) -> None:
    images = torch.randn(2, 3, frames, 5)
    padded = functional.pad(images, (0, 0, window // 2, window), mode="replicate")
    found = windowed_statistics(images, window)
    assert found.shape == (2, frames, 6)
    for frame in range(frames):
        around = padded[:, :, frame : frame + window].flatten(2)
        deviations, means = torch.std_mean(around, 2, correction=0)
        torch.testing.assert_close(found[:, frame], torch.cat([means, deviations], 1))


def test_whole_recordings() -> None:
    images = torch.randn(2, 3, 11, 5)
    deviations, means = torch.std_mean(images, (2, 3), correction=0)
    torch.testing.assert_close(whole_statistics(images), torch.cat([means, deviations], 1))


@pytest.mark.parametrize("value", [0.0, 1e4])
def test_what_never_changes_has_the_least_deviation_and_a_gradient(value: float) -> None:
    images = torch.full((1, 1, 30, 2), value, requires_grad=True)
    for found in (windowed_statistics(images, 20), whole_statistics(images)):
        torch.testing.assert_close(
            found[..., 1], torch.full_like(found[..., 1], LEAST_VARIANCE**0.5), rtol=0, atol=1e-4
        )
        (gradient,) = torch.autograd.grad(found.sum(), images)
        assert gradient.isfinite().all()
