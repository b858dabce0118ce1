"""PyanNet: its heads, its sizes, and pyannote's names for its weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from speakerdiar.errors import ConfigError, InputError, WeightsError
from speakerdiar.nn.pyannet import PyanNet, PyanNetShape, from_pyannote_names
from speakerdiar.nn.sincnet import CHANNELS

SMALL: dict[str, Any] = {"classes": 4, "lstm_size": 8, "linear_size": 6}
BANK = "sincnet.conv1d.0.filterbank."


def small(**options: Any) -> PyanNet:
    torch.manual_seed(0)
    return PyanNet(PyanNetShape(**{**SMALL, **options})).eval()


@torch.inference_mode()
def test_powerset_scores_are_logarithms_of_probabilities() -> None:
    scores = small()(torch.randn(2, 5000))
    assert scores.shape == (2, 15, 4)
    torch.testing.assert_close(scores.exp().sum(-1), torch.ones(2, 15))


@torch.inference_mode()
def test_other_scores_are_probabilities_each() -> None:
    scores = small(powerset=False)(torch.randn(2, 5000))
    assert ((scores > 0) & (scores < 1)).all()
    assert (scores.sum(-1) - 1).abs().max() > 0.1


@torch.inference_mode()
def test_a_wider_last_layer_changes_only_rounding() -> None:
    network = small()
    encoded = torch.randn(1, 9, CHANNELS)
    wide = network.classify(encoded, head=torch.float64)
    assert wide.dtype == torch.float32
    torch.testing.assert_close(wide, network.classify(encoded))


@pytest.mark.parametrize(
    "options",
    [{"linear_layers": 0}, {"bidirectional": False}, {"lstm_layers": 3}, {"stride": 5}, {"linear_layers": 1}],
)
@torch.inference_mode()
def test_other_sizes_run(options: dict[str, Any]) -> None:
    network = small(**options)
    assert network(torch.randn(1, 5000)).shape == (1, network.sincnet.frames(5000), 4)


@torch.inference_mode()
def test_a_window_of_two_frames_is_the_shortest() -> None:
    network = small()
    assert network.least_samples == 1261
    assert network(torch.randn(1, 1261)).shape == (1, 2, 4)
    for samples in (0, 800, 1260):
        with pytest.raises(InputError, match=f"A window of {samples} samples: give 1261 or more"):
            network(torch.randn(1, samples))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("classes", 0),
        ("classes", 7.0),
        ("lstm_size", 10**9),
        ("lstm_layers", True),
        ("stride", -1),
        ("linear_layers", -1),
        ("linear_layers", 65),
        ("bidirectional", 1),
        ("powerset", None),
    ],
)
def test_sizes_that_cannot_be_are_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{option}={value!r}: give"):
        PyanNetShape(**{**SMALL, option: value})


def bank() -> dict[str, torch.Tensor]:
    shapes = {"low_hz_": (40, 1), "band_hz_": (40, 1), "window_": (125,), "n_": (1, 125)}
    return {BANK + name: torch.rand(shape) + 0.1 for name, shape in shapes.items()}


def test_filters_are_computed_and_other_names_kept() -> None:
    found = from_pyannote_names(
        {**bank(), "other": torch.ones(1), "lstm.weight_ih_l3_reverse": torch.ones(2)}, 16000, "x"
    )
    assert set(found) == {"sincnet.conv1d.0.weight", "other", "lstm.weight_ih_l3_reverse"}
    assert found["sincnet.conv1d.0.weight"].shape == (80, 1, 251)


def test_a_split_lstm_is_joined() -> None:
    given = ["lstm.0.weight_ih_l0", "lstm.1.bias_hh_l0_reverse", "lstm.12.weight_hh_l0"]
    found = from_pyannote_names({**bank(), **dict.fromkeys(given, torch.ones(1))}, 16000, "x")
    assert {"lstm.weight_ih_l0", "lstm.bias_hh_l1_reverse", "lstm.weight_hh_l12"} < set(found)


def test_tensors_of_filters_that_do_not_fit_are_named() -> None:
    weights = bank()
    del weights[f"{BANK}n_"]
    weights[f"{BANK}low_hz_"] = torch.ones(39, 1)
    with pytest.raises(
        WeightsError, match=r"x doesn't fit PyanNet: .*n_ \(1, 125\) is missing; .*low_hz_ is \(39, 1\)"
    ):
        from_pyannote_names(weights, 16000, "x")
