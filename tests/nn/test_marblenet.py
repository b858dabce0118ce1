"""MarbleNet: how far its frames see, its two ways to judge, and NeMo's names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from speakerdiar.nn.jasper import BlockShape
from speakerdiar.nn.marblenet import MarbleNetNetwork, MarbleNetShape, marblenet_names

BLOCKS = (
    BlockShape(5, 11, stride=2),
    BlockShape(4, 7, repeat=2, residual=True),
    BlockShape(5, 9, dilation=2),
    BlockShape(5, 1, separable=False),
)


def made(**options: int | str) -> MarbleNetNetwork:
    torch.manual_seed(9)
    return MarbleNetNetwork(MarbleNetShape(8, BLOCKS, **options)).eval()  # type: ignore[arg-type]


@torch.inference_mode()
def test_a_frame_depends_on_nothing_beyond_its_reach() -> None:
    network, features = made(), torch.randn(1, 200, 8)
    shape = network.shape
    assert shape.stride == 2
    assert shape.reach == 5 + 2 * (3 + 3) + 2 * 2 * 4 + 2
    scores = network(features)[0]
    assert scores.shape == (100,)
    at = 50
    cut = features[:, shape.stride * at - shape.reach + 1 : shape.stride * at + shape.reach].clone()
    changed = torch.zeros_like(features)
    changed[:, shape.stride * at - shape.reach + 1 : shape.stride * at + shape.reach] = cut
    torch.testing.assert_close(network(changed)[0, at], scores[at])
    assert (network(changed)[0] - scores).abs().max() > 1e-4


@pytest.mark.parametrize(("pooling", "pooled"), [("avg", torch.Tensor.mean), ("max", torch.Tensor.amax)])
@pytest.mark.parametrize(("padded_to", "padding"), [(16, 7), (0, 1)])
@torch.inference_mode()
def test_windows_are_judged_as_a_whole(
    pooling: str, pooled: Callable[..., torch.Tensor], padded_to: int, padding: int
) -> None:
    network, features = made(pooling=pooling, padded_to=padded_to), torch.randn(3, 49 if padded_to else 50, 8)
    torch.nn.init.constant_(network.get_submodule("encoder.3.mconv.1").get_parameter("bias"), 0.5)
    found = network(features)
    encoded = network.encoder(features.transpose(1, 2))
    assert encoded.shape[-1] == 25
    judged = torch.cat([encoded, torch.full((3, 5, padding), 0.5)], dim=-1)  # what the norm makes of zeros
    weights = network.state_dict()
    logits = pooled(judged, -1) @ weights["decoder.0.weight"].T + weights["decoder.0.bias"]
    torch.testing.assert_close(found, torch.sigmoid(logits[:, 1] - logits[:, 0]))


def test_layers_of_a_decoder_stand_where_those_of_nemo_do() -> None:
    names = {"decoder.layer0.weight": "decoder.0.weight", "decoder.layer2.bias": "decoder.2.bias"}
    assert list(marblenet_names(dict.fromkeys(names, torch.zeros(1)))) == list(names.values())
    assert set(names.values()) <= set(made(layers=2).state_dict())
    assert list(marblenet_names({"decoder.decoder_layers.0.bias": torch.zeros(1)})) == ["decoder.0.bias"]
    assert list(marblenet_names({"decoder.final.bias": torch.zeros(1)})) == ["decoder.final.bias"]
