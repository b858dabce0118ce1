"""TitaNet: its stages one after the other, its front end, and NeMo's names."""

from __future__ import annotations

import torch
from fakes_networks import buzz

from speakerdiar.nn.jasper import BlockShape
from speakerdiar.nn.titanet import NormalizedLogMel, TitaNetNetwork, TitaNetShape, titanet_names

SHAPE = TitaNetShape(8, (BlockShape(6, 3, squeeze=2), BlockShape(4, 1)), attention=3, dimensions=(5, 2))


@torch.inference_mode()
def test_layers_behind_the_pooling_come_one_after_the_other() -> None:
    torch.manual_seed(8)
    network, features = TitaNetNetwork(SHAPE).eval(), torch.randn(3, 40, 8)
    pooled = network.pooling(network.encoder(features.transpose(1, 2)))
    assert pooled.shape == (3, 8)
    weights = network.state_dict()
    vectors = pooled
    for layer in range(2):  # batch norms that have seen nothing stand before them
        weight, bias = weights[f"embedding.{layer}.1.weight"][..., 0], weights[f"embedding.{layer}.1.bias"]
        vectors = vectors / (1 + 1e-5) ** 0.5 @ weight.T + bias
    torch.testing.assert_close(network(features), vectors)


def test_features_of_utterances_are_normalised_each_by_itself() -> None:
    rows = torch.from_numpy(buzz(2)).reshape(2, -1)
    found = NormalizedLogMel(80)(rows)
    assert found.shape == (2, 100, 80)
    torch.testing.assert_close(found.mean(1), torch.zeros(2, 80), rtol=0, atol=1e-4)
    torch.testing.assert_close(found.std(1), torch.ones(2, 80), rtol=0, atol=1e-3)


def test_names_of_nemo_become_ours() -> None:
    names = {
        "decoder._pooling.attention_layer.0.conv_layer.weight": "pooling.first.weight",
        "decoder._pooling.attention_layer.0.bn.running_mean": "pooling.norm.1.running_mean",
        "decoder._pooling.attention_layer.2.bias": "pooling.second.bias",
        "decoder.emb_layers.1.0.weight": "embedding.1.0.weight",
        "encoder.encoder.0.mconv.1.conv.weight": "encoder.0.mconv.1.weight",
        "other.weight": "other.weight",
    }
    found = titanet_names(dict.fromkeys(names, torch.zeros(1)))
    assert list(found) == list(names.values())
    assert set(names.values()) - {"other.weight"} <= set(TitaNetNetwork(SHAPE).state_dict())
