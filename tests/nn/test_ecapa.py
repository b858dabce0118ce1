"""ECAPA-TDNN: how groups of channels meet, what lies beyond the ends, what padding may change, and sizes."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from fakes_networks import drawn_weights, shapes_of

from speakerdiar.nn.ecapa import EcapaNetwork, EcapaShape, Kind, Res2Net, TimeDelay
from speakerdiar.nn.ecapa_names import ecapa_kind, ecapa_names, ecapa_shape

SMALL = EcapaShape("speechbrain", 10, 8, 6, 3, 4, 5, 2, (5, 3, 3, 3))
KINDS: list[Kind] = ["speechbrain", "wespeaker", "nemo"]


def made(kind: Kind) -> EcapaNetwork:
    network = EcapaNetwork(dataclasses.replace(SMALL, kind=kind, last_norm=kind == "wespeaker")).eval()
    network.load_state_dict(drawn_weights(shapes_of(network.state_dict())))
    return network


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_are_read_off_the_weights(kind: Kind) -> None:
    network = made(kind)
    assert ecapa_shape(network.state_dict(), kind) == network.shape


def test_groups_that_do_not_fit_are_refused() -> None:
    weights = made("speechbrain").state_dict()
    weights["blocks.0.middle.layers.0.conv.weight"] = torch.zeros(3, 3, 3)
    with pytest.raises(ValueError, match="groups of 3"):
        ecapa_shape(weights, "speechbrain")


@torch.inference_mode()
def test_a_group_goes_with_what_the_one_before_it_gave() -> None:
    torch.manual_seed(3)
    x = torch.randn(2, 6, 9)
    groups = torch.split(x, 2, dim=1)
    first_stays, last_stays = (Res2Net(6, 3, 3, 2, mirror=mirror).eval() for mirror in (True, False))
    one = first_stays.layers[0](groups[1])
    two = first_stays.layers[1](groups[2] + one)
    torch.testing.assert_close(first_stays(x), torch.cat([groups[0], one, two], dim=1))
    one = last_stays.layers[0](groups[0])
    two = last_stays.layers[1](groups[1] + one)
    torch.testing.assert_close(last_stays(x), torch.cat([one, two, groups[2]], dim=1))


@torch.inference_mode()
def test_frames_are_mirrored_or_zeros_beyond_the_ends() -> None:
    x = torch.tensor([[[1.0, 2.0, 4.0]]])
    for mirror, ends in ((True, (2.0, 2.0)), (False, (0.0, 0.0))):
        layer = TimeDelay(1, 1, 3, mirror=mirror, norm=False)
        torch.nn.init.zeros_(layer.conv.weight)[..., 0] = 1
        torch.nn.init.zeros_(layer.get_parameter("conv.bias"))
        assert layer(x).tolist() == [[[ends[0], 1.0, 2.0]]]


@torch.inference_mode()
def test_means_do_not_see_the_padding() -> None:
    network, features = made("nemo"), torch.randn(1, 60, 10, generator=torch.Generator().manual_seed(4))
    alone = network(features)
    longer = torch.cat([features, torch.zeros(1, 9, 10)], dim=1)
    torch.testing.assert_close(network(longer, 60), alone, rtol=0.05, atol=0.05)  # convolutions see it, at the end
    assert (network(longer) - alone).abs().max() > 10 * (network(longer, 60) - alone).abs().max()


def test_nobodys_weights_have_no_kind() -> None:
    assert ecapa_kind({"conv1.weight": torch.zeros(1)}) is None
    assert list(ecapa_names({"conv9.weight": torch.zeros(1)}, "wespeaker")) == ["conv9.weight"]
