"""Statistics of frames against their formulas, and from prefix sums."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.frames import runs
from speakerdiar.nn.statistics_pooling import RUNS_AT_ONCE, PrefixSums, statistics, weighted_statistics

FRAMES = torch.from_numpy(np.random.default_rng(0).normal(1, 2, (2, 40, 5)).astype(np.float32))


def test_statistics_are_mean_and_unbiased_deviation() -> None:
    found, frames = statistics(FRAMES).numpy(), FRAMES.numpy()
    np.testing.assert_allclose(found[:, :5], frames.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found[:, 5:], frames.std(axis=1, ddof=1), rtol=1e-5)


def test_weights_of_one_change_nothing() -> None:
    torch.testing.assert_close(weighted_statistics(FRAMES, torch.ones(2, 1, 40))[:, 0], statistics(FRAMES))


def test_weighted_statistics_follow_the_formula() -> None:
    weights = np.random.default_rng(1).random((2, 3, 40)).astype(np.float32)
    found = weighted_statistics(FRAMES, torch.from_numpy(weights)).numpy()
    for b in range(2):
        for s in range(3):
            w, x = weights[b, s].astype(np.float64)[:, None], FRAMES[b].numpy().astype(np.float64)
            mean = (w * x).sum(axis=0) / w.sum()
            variance = (w * (x - mean) ** 2).sum(axis=0) / (w.sum() - (w**2).sum() / w.sum())
            np.testing.assert_allclose(found[b, s], [*mean, *np.sqrt(variance)], rtol=1e-4)


def test_weights_of_another_length_are_taken_from_their_places() -> None:
    weights = torch.tensor([0.0, 1.0, 0.0, 1.0]).repeat(2, 1, 1)
    chosen = torch.cat([FRAMES[:, 10:20], FRAMES[:, 30:]], dim=1)
    torch.testing.assert_close(weighted_statistics(FRAMES, weights)[:, 0], statistics(chosen))


def test_no_weight_gives_zeros() -> None:
    assert not weighted_statistics(FRAMES, torch.zeros(2, 3, 40)).any()


@given(st.lists(st.lists(st.booleans(), min_size=40, max_size=40), min_size=1, max_size=6))
def test_prefix_sums_give_the_same(masks: list[list[bool]]) -> None:
    spans = [runs(np.array(mask)) for mask in masks]
    rows = np.repeat(np.arange(len(masks)), [len(span) for span in spans])
    found = PrefixSums(FRAMES[0]).statistics(
        torch.from_numpy(np.concatenate(spans)), torch.from_numpy(rows), len(masks)
    )
    expected = weighted_statistics(FRAMES[:1], torch.tensor([masks]).float())[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_more_runs_than_are_summed_at_once() -> None:
    spans = torch.stack([torch.arange(0, 40, 2), torch.arange(1, 41, 2)], dim=1).repeat(RUNS_AT_ONCE, 1)
    found = PrefixSums(FRAMES[0]).statistics(spans, torch.arange(RUNS_AT_ONCE).repeat_interleave(20), RUNS_AT_ONCE)
    torch.testing.assert_close(found, statistics(FRAMES[:1, ::2]).expand(RUNS_AT_ONCE, -1), rtol=0.05, atol=1e-4)


def test_frames_that_do_not_vary_have_slopes() -> None:
    frames = FRAMES.clone()
    frames[:, :, 2] = 3.0
    frames.requires_grad_(True)
    [slopes] = torch.autograd.grad(weighted_statistics(frames, torch.ones(2, 1, 40)).sum(), [frames])
    assert slopes.isfinite().all()
