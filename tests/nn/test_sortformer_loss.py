"""Sortformer's losses: arrival order, the best order, and what doesn't count."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from speakerdiar.errors import ConfigError, InputError
from speakerdiar.nn.sortformer_loss import (
    SameSpeaker,
    SortformerObjective,
    best_order,
    by_arrival,
    every_order,
    frame_mask,
    hungarian_order,
    shared_logits,
)


def session(seed: int, speakers: int, frames: int = 12, rows: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels (rows, frames, speakers) by chance."""
    draw = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, frames, speakers, generator=draw)
    return logits, (torch.rand(rows, frames, speakers, generator=draw) < 0.4).float()


@given(seed=st.integers(0, 2**31), speakers=st.integers(1, 6), data=st.data())
def test_the_best_order_knows_no_order_of_labels(seed: int, speakers: int, data: st.DataObject) -> None:
    logits, labels = session(seed, speakers)
    other = labels[:, :, data.draw(st.permutations(range(speakers)))]
    objective = SortformerObjective(ats=0, pil=1)
    torch.testing.assert_close(objective(logits, labels).total, objective(logits, other).total)


@given(seed=st.integers(0, 2**31), speakers=st.integers(1, 4))
def test_the_best_order_costs_least_of_all(seed: int, speakers: int) -> None:
    logits, labels = session(seed, speakers, rows=1)
    costs = [
        functional.binary_cross_entropy_with_logits(logits, labels[:, :, list(order)])
        for order in itertools.permutations(range(speakers))
    ]
    torch.testing.assert_close(SortformerObjective(0, 1)(logits, labels).total, torch.stack(costs).min())


@given(seed=st.integers(0, 2**31), speakers=st.integers(1, 5))
def test_all_orders_and_the_hungarian_method_agree(seed: int, speakers: int) -> None:
    logits, labels = session(seed, speakers)
    gains = shared_logits(logits, labels, frame_mask(labels, None))
    total = [gains.gather(2, find(gains)[:, :, None]).sum(dim=(1, 2)) for find in (every_order, hungarian_order)]
    torch.testing.assert_close(*total)


def test_more_channels_than_are_tried_find_the_order_too() -> None:
    labels = torch.eye(7)[None].repeat_interleave(3, dim=1)
    drawn = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    found = best_order(8 * labels - 4, labels[:, :, drawn], torch.ones(1, 21, 1))
    assert torch.equal(found, labels)


@given(seed=st.integers(0, 2**31), speakers=st.integers(1, 6))
def test_columns_by_arrival_begin_one_after_the_other(seed: int, speakers: int) -> None:
    labels = session(seed, speakers, rows=1)[1] * (torch.rand(speakers) < 0.8)
    found = by_arrival(labels, torch.ones(1, labels.shape[1], 1))[0]
    first = [int(column.argmax()) if column.any() else len(column) for column in found.T]
    assert first == sorted(first)
    assert sorted(map(tuple, found.T.tolist())) == sorted(map(tuple, labels[0].T.tolist()))


def test_arrival_counts_only_in_frames_that_are_there() -> None:
    labels = torch.tensor([[[0, 0], [0, 1], [1, 0]], [[0, 0], [0, 0], [1, 0]]]).float()
    found = by_arrival(labels, frame_mask(labels, torch.tensor([3, 2])))
    assert found[0].tolist() == [[0, 0], [1, 0], [0, 1]]
    assert torch.equal(found[1], labels[1])


@given(seed=st.integers(0, 2**31), length=st.integers(1, 11))
def test_frames_behind_the_end_change_nothing(seed: int, length: int) -> None:
    logits, labels = session(seed, 3)
    lengths = torch.tensor([12, length])
    before = SortformerObjective()(logits, labels, lengths)
    logits[1, length:], labels[1, length:] = 40.0, 0.0
    labels[1, length:, 2] = 1
    for lost, same in zip(before, SortformerObjective()(logits, labels, lengths), strict=True):
        torch.testing.assert_close(lost, same)


def test_the_total_is_the_weighted_mean() -> None:
    logits, labels = session(0, 3)
    lost = SortformerObjective(ats=1, pil=3)(logits, labels)
    torch.testing.assert_close(lost.total, (lost.ats + 3 * lost.pil) / 4)
    assert lost.pil < lost.ats


def test_half_precision_sums_in_full() -> None:
    logits, labels = session(0, 3, frames=400)
    whole = SortformerObjective()(logits.bfloat16().float(), labels)
    with torch.autocast("cpu", torch.bfloat16):
        half = SortformerObjective()(logits.bfloat16(), labels)
    assert whole == half


def test_pairs_of_one_speaker_cost_less_when_they_are_alike() -> None:
    labels = torch.eye(3).repeat_interleave(4, dim=0)[None]
    labels[0, 3], labels[0, 7] = torch.tensor([1, 1, 0]), torch.tensor([0, 0, 0])
    head = SameSpeaker(3, 3)
    with torch.no_grad():
        head.projection.weight.copy_(torch.eye(3))
        head.projection.bias.zero_()
    voices = torch.eye(3).repeat_interleave(4, dim=0)[None]
    right = head(voices, labels)
    assert right < head(voices.roll(1, dims=1), labels) < head(torch.ones_like(voices), labels)
    # Frames of two speakers, of none, and behind the end don't count.
    noisy = voices.clone()
    noisy[0, 3], noisy[0, 7], noisy[0, 11] = torch.randn(3, 3)
    torch.testing.assert_close(head(noisy, labels, torch.tensor([11])), head(voices, labels, torch.tensor([11])))
    assert head(noisy, labels) != head(voices, labels)


def test_what_cant_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="ats=0, pil=0"):
        SortformerObjective(0, 0)
    with pytest.raises(ConfigError, match="ats=-1"):
        SortformerObjective(-1, 1)
    with pytest.raises(InputError, match=r"labels \(2, 12, 2\) for \(2, 12, 3\)"):
        SortformerObjective()(session(0, 3)[0], session(0, 2)[1])
