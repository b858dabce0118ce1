"""FastConformer: pieces of its reduction, its folded batch norm, and rows beside padding."""

from __future__ import annotations

import copy
from typing import TypeVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.nn import fast_conformer
from speakerdiar.nn.fast_conformer import ConformerLayer, ConvolutionModule, FastConformer, StridingReduction

ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)


def drawn(module: ModuleT, seed: int = 0) -> ModuleT:
    """The module with random numbers in every tensor, those that begin as 0 or 1 too."""
    draw = torch.Generator().manual_seed(seed)
    for name, value in module.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.3, 3, generator=draw)
        elif value.is_floating_point():
            value.normal_(0, 0.4, generator=draw)
    return module.eval().requires_grad_(False)


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=30)
@given(mels=st.integers(0, 200), bands=st.sampled_from([16, 21]), at_once=st.integers(1, 26), rows=st.integers(1, 2))
def test_the_reduction_in_pieces_is_that_in_one(mels: int, bands: int, at_once: int, rows: int) -> None:
    reduction = drawn(StridingReduction(bands, 4, 6))
    x = noise(rows, mels, bands)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_conformer, "FRAMES_AT_ONCE", 1000)
        whole = reduction(x)
        patch.setattr(fast_conformer, "FRAMES_AT_ONCE", at_once)
        pieces = reduction(x)
    assert whole.shape == (rows, -(-mels // 8), 6)
    torch.testing.assert_close(pieces, whole, rtol=1e-5, atol=1e-4)


def test_the_reduction_is_its_convolutions() -> None:
    reduction = drawn(StridingReduction(16, 4, 6))
    x = noise(2, 75, 16)
    maps = reduction.conv(x[:, None])  # (B, C, T / 8, n_mels / 8)
    wanted = reduction.out(maps.permute(0, 2, 1, 3).reshape(2, 10, -1))
    torch.testing.assert_close(reduction(x), wanted, rtol=1e-5, atol=1e-4)


@given(changed=st.integers(0, 79))
def test_a_frame_sees_its_own_mel_frames_and_seven_in_front(changed: int) -> None:
    reduction = drawn(StridingReduction(16, 4, 6))
    x = noise(1, 80, 16)
    before = reduction(x)
    x[0, changed] += 1
    differs = (reduction(x) != before).any(2)[0].nonzero()[:, 0].tolist()
    assert differs
    for frame in differs:
        assert 8 * frame - 7 <= changed < 8 * frame + 8


def test_batch_norm_is_folded_into_the_convolution_before_it() -> None:
    module = drawn(ConvolutionModule(6, 5))
    x = noise(2, 19, 6)
    with torch.no_grad():
        wanted = module.batch_norm(module.depthwise_conv(x.transpose(1, 2))).transpose(1, 2)
        torch.testing.assert_close(module._depthwise(x), wanted, rtol=1e-5, atol=1e-5)


def test_in_training_the_batch_norm_learns() -> None:
    module = drawn(ConvolutionModule(6, 5)).train()
    mean = module.batch_norm.running_mean
    assert mean is not None
    before = mean.clone()
    with torch.no_grad():
        found = module._depthwise(noise(2, 19, 6))
    wanted = module.batch_norm.bias  # the mean is the batch's own
    torch.testing.assert_close(found.mean((0, 1)), wanted, rtol=0, atol=1e-5)
    assert not torch.equal(mean, before)


@settings(max_examples=20)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4), kind=st.sampled_from([True, False]))
def test_padding_never_changes_a_row(lengths: list[int], kind: bool) -> None:
    encoder = drawn(FastConformer(16, 4, 12, 3, layers=2, d_inner=20, kernel=5, xscaling=kind))
    rows = [noise(length, 12, seed=index) for index, length in enumerate(lengths)]
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=7.0)
    valid = torch.arange(padded.shape[1]) < torch.tensor(lengths)[:, None]
    together = encoder(padded, valid)
    for row, length, found in zip(rows, lengths, together, strict=True):
        torch.testing.assert_close(found[:length], encoder(row[None])[0], rtol=1e-4, atol=1e-4)


def test_xscaling_multiplies_by_the_root_of_the_width() -> None:
    scaled = drawn(FastConformer(16, 4, 16, 2, layers=1, d_inner=20, kernel=5))
    plain = drawn(FastConformer(16, 4, 16, 2, layers=1, d_inner=20, kernel=5, xscaling=False))
    x = noise(1, 9, 16)
    torch.testing.assert_close(scaled(x), plain(4 * x))
    assert not torch.allclose(scaled(x), plain(x), atol=1e-2)


def test_positions_that_are_kept_are_those_of_the_weights_and_the_length() -> None:
    conformer = drawn(FastConformer(16, 4, 16, 2, layers=2, d_inner=20, kernel=5))
    short, long = noise(1, 9, 16), noise(1, 12, 16)
    with torch.no_grad():
        before = conformer(short)
        assert not torch.equal(conformer(long)[:, :9], before)
        torch.testing.assert_close(conformer(short), before, rtol=0, atol=0)
        for layer in conformer.layers:
            assert isinstance(layer, ConformerLayer)
            layer.self_attn.linear_pos.weight.mul_(3)
        after = conformer(short)
    assert not torch.allclose(after, before, atol=1e-3)
    torch.testing.assert_close(conformer(short), after, rtol=0, atol=1e-6)  # with gradients nothing is kept
    with torch.inference_mode():
        torch.testing.assert_close(copy.deepcopy(conformer)(short), after, rtol=0, atol=0)
