"""Blocks of time convolutions: sums by hand, lengths, squeeze-and-excitation, and NeMo's names."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from speakerdiar.nn.jasper import BlockShape, JasperBlock, JasperEncoder, SqueezeExcite, encoder_names


def made(inputs: int, shape: BlockShape) -> JasperBlock:
    torch.manual_seed(6)
    return JasperBlock(inputs, shape).eval()


def normed(x: torch.Tensor) -> torch.Tensor:
    """What a batch norm that has seen nothing does."""
    return x.div((1 + 1e-3) ** 0.5)


@torch.inference_mode()
def test_a_separable_block_with_a_residual_is_the_sum_of_two_ways() -> None:
    block = made(3, BlockShape(4, kernel=5, repeat=2, residual=True))
    x = torch.randn(2, 3, 20)
    weights = block.state_dict()
    inner = x
    for at in (0, 5):
        padded = functional.pad(inner, (2, 2)).unfold(-1, 5, 1)  # (B, C, T, 5)
        over_time, over_channels = weights[f"mconv.{at}.weight"][:, 0], weights[f"mconv.{at + 1}.weight"][..., 0]
        mixed = normed(torch.einsum("bctk,ck,oc->bot", padded, over_time, over_channels))
        inner = mixed if at else torch.relu(mixed)
    side = normed(torch.einsum("bct,oc->bot", x, weights["res.0.weight"][..., 0]))
    torch.testing.assert_close(block(x), torch.relu(inner + side), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_a_full_convolution_sees_all_channels() -> None:
    block = made(3, BlockShape(4, kernel=3, separable=False, dilation=2))
    x = torch.randn(1, 3, 20)
    mixed = functional.conv1d(x, block.state_dict()["mconv.0.weight"], padding=2, dilation=2)
    torch.testing.assert_close(block(x), torch.relu(normed(mixed)))


@pytest.mark.parametrize("frames", [1, 2, 9, 10])
@pytest.mark.parametrize("kernel", [1, 3, 11])
def test_strides_give_a_frame_for_each_that_they_begin(frames: int, kernel: int) -> None:
    encoder = JasperEncoder(3, [BlockShape(4, kernel=kernel, stride=2), BlockShape(5, kernel=kernel)]).eval()
    with torch.inference_mode():
        assert encoder(torch.randn(1, 3, frames)).shape == (1, 5, -(-frames // 2))


@torch.inference_mode()
def test_squeeze_and_excitation_scales_channels_by_their_means() -> None:
    torch.manual_seed(7)
    layer, x = SqueezeExcite(8, 4), torch.randn(2, 8, 15)
    squeeze, excite = layer.state_dict().values()
    assert squeeze.shape == (2, 8)
    gate = torch.sigmoid(torch.relu(x.mean(-1) @ squeeze.T) @ excite.T)
    torch.testing.assert_close(layer(x), x * gate[..., None])
    assert len(made(3, BlockShape(8, kernel=1, squeeze=4)).mconv) == 4


def test_names_of_nemo_become_ours() -> None:
    block = BlockShape(4, kernel=3, repeat=2, residual=True, squeeze=2)
    ours = set(JasperEncoder(3, [block]).state_dict())
    weights = {
        "encoder.encoder.0.mconv.0.conv.weight": torch.zeros(1),
        "encoder.encoder.0.mconv.7.running_var": torch.zeros(1),
        "encoder.encoder.0.mconv.8.fc.2.weight": torch.zeros(1),
        "encoder.encoder.0.res.0.0.conv.weight": torch.zeros(1),
        "encoder.encoder.0.res.0.1.bias": torch.zeros(1),
    }
    assert {name.removeprefix("encoder.") for name in encoder_names(weights)} <= ours
    assert list(encoder_names({"decoder.layer0.weight": torch.zeros(1)})) == ["decoder.layer0.weight"]
