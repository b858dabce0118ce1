"""Sizes of SOND that weights say, and those that are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes_sond import SIZES, VARIANTS

from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.nn.preact_resnet import TrunkShape
from speakerdiar.nn.sond import SondNetwork, SondSpeakerNetwork
from speakerdiar.nn.sond_shape import ALIMEETING, CALLHOME, SondShape, SondSpeakerShape

FILE = Path("sond.pb")
SHAPES = {"alimeeting": ALIMEETING, "callhome": CALLHOME}


@pytest.mark.parametrize("name", SHAPES)
def test_weights_say_the_published_shapes(name: str) -> None:
    with torch.device("meta"):
        network = SondNetwork(SHAPES[name])
    assert SondShape.of(network.state_dict(), FILE) == SHAPES[name]
    assert SHAPES[name].classes == 2517


def test_published_sizes() -> None:
    with torch.device("meta"):
        networks = [SondNetwork(ALIMEETING), SondNetwork(CALLHOME), SondSpeakerNetwork(SondSpeakerShape())]
    sizes = [sum(value.numel() for value in network.parameters()) for network in networks]
    assert sizes == [19_084_662, 15_557_735, 6_474_400]


@pytest.mark.parametrize("name", VARIANTS)
def test_weights_and_options_say_other_shapes(name: str) -> None:
    shape = SondShape(**{**VARIANTS[name], "cd_heads": 5, "window": 12, "normalize_speech_speaker": name == "n16k4"})
    options: dict[str, Any] = {"cd_heads": 5, "window": 12, "mel_bins": 24}
    found = SondShape.of(
        SondNetwork(shape).state_dict(), FILE, **options, normalize_speech_speaker=shape.normalize_speech_speaker
    )
    sizes = ("speaker_units", "ci_units")  # of parts that the variant may lack
    assert replace(found, **{size: SIZES[size] for size in sizes}) == shape


def test_without_dense_layers() -> None:
    shape = SondShape(**{**SIZES, "fsmn_dense": 0})
    assert SondShape.of(SondNetwork(shape).state_dict(), FILE, mel_bins=24).fsmn_dense == 0


def test_weights_say_the_shape_of_the_speaker_network() -> None:
    shape = SondSpeakerShape(TrunkShape((4, 6, 8, 10), (1, 2, 1, 1), 16, 12), 7, 9, 3)
    assert SondSpeakerShape.of(SondSpeakerNetwork(shape).state_dict(), FILE, 16) == shape


@pytest.mark.parametrize(
    "name",
    [
        "encoder.resnet1_dense.weight",
        "encoder.resnet2_dense.weight",
        "cd_scorer.encoders.0.feed_forward.w_1.weight",
        "decoder.fsmn_layers.0.memory.fsmn_block.weight",
        "decoder.conv1d.weight",
    ],
)
def test_missing_weights_are_named(name: str) -> None:
    weights = SondNetwork(SondShape(**SIZES)).state_dict()
    del weights[name]
    with pytest.raises(WeightsError, match=rf"sond\.pb .*{name} is missing"):
        SondShape.of(weights, FILE)


def test_missing_weights_of_the_speaker_network_are_named() -> None:
    with pytest.raises(WeightsError, match=r"decoder\.output_dense\.weight is missing"):
        SondSpeakerShape.of(
            {f"decoder.{layer}.weight": torch.zeros(1, 1) for layer in ("resnet1_dense", "resnet2_dense")}, FILE
        )


def test_classes_that_are_no_sets_are_refused() -> None:
    weights = SondNetwork(SondShape(**SIZES)).state_dict()
    weights["decoder.conv1d.weight"] = weights["decoder.conv1d.weight"][1:]
    with pytest.raises(WeightsError, match="41 aren't the sets of 6 speakers"):
        SondShape.of(weights, FILE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window=0"),
        ({"speaker_encoder": 0}, "speaker_encoder=0"),
        ({"fsmn_dense": -1}, "fsmn_dense=-1"),
        ({"filters": (32, 64)}, r"filters=\(32, 64\)"),
        ({"cd_heads": 3}, "cd_heads=3 doesn't divide 512"),
        ({"variant": "n16k5"}, "variant='n16k5': give n16k4 or callhome"),
        ({"ci_scorer": "cosine"}, "ci_scorer='cosine': give dot or conv"),
    ],
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SondShape(**options)
