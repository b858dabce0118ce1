"""SpeechBrain's log-mel features: the formula in float64, the range, and the mean."""

from __future__ import annotations

import math

import torch
from fakes_networks import buzz

from speakerdiar.nn.centered_log_mel import CenteredLogMel, one_sided_filters


def test_is_the_formula_in_float64() -> None:
    samples = torch.from_numpy(buzz(0.3))[:4321].double()
    padded = torch.nn.functional.pad(samples, (200, 400))
    frames = torch.stack([padded[160 * t : 160 * t + 400] for t in range(1 + 4321 // 160)])
    time, bins = torch.arange(400.0, dtype=torch.float64), torch.arange(201.0, dtype=torch.float64)
    basis = torch.exp(-2j * math.pi * torch.outer(bins, time) / 400)  # a plain sum, no fast transform
    window = 0.54 - 0.46 * torch.cos(2 * math.pi * time / 400)
    power = ((frames * window).to(torch.complex128) @ basis.T).abs().square() @ one_sided_filters(80).double()
    decibels = 10 * power.clamp_min(1e-10).log10()
    wanted = decibels - decibels.mean(0)
    found = CenteredLogMel(80)(samples.float()[None])[0].double()
    torch.testing.assert_close(found, wanted, rtol=0, atol=2e-3)


def test_triangles_are_as_wide_to_the_right_as_to_the_left() -> None:
    filters = one_sided_filters(20)
    assert filters.shape == (201, 20)
    hz = torch.linspace(0, 8000, 201)
    edges = 700 * (10 ** (torch.linspace(0, 2595 * math.log10(1 + 8000 / 700), 22) / 2595) - 1)
    for band in (5, 19):
        inside = hz[filters[:, band] > 0]
        width = edges[band + 1] - edges[band]
        assert (inside - edges[band + 1]).abs().max() < width
        assert len(inside) >= int(2 * width / 40) - 1


def test_nothing_lies_more_than_80_db_below_the_loudest_of_its_row() -> None:
    rows = torch.zeros(2, 8000)
    rows[0, :4000] = torch.from_numpy(buzz(0.25))
    rows[1] = 0.5 * torch.from_numpy(buzz(0.5))
    found = CenteredLogMel(80)(rows)
    assert found.shape == (2, 51, 80)
    torch.testing.assert_close(found.mean(1), torch.zeros(2, 80), rtol=0, atol=1e-3)
    assert found[0].amax() - found[0].amin() < 160
    torch.testing.assert_close(found[1], CenteredLogMel(80)(2 * rows[1:])[0], rtol=0, atol=1e-3)
