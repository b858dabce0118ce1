"""NeMo's configs: what becomes of their values, and those that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from fakes_sortformer import nemo_config, nemo_weights, tiny_network, tiny_shape, write_nemo

from speakerdiar.errors import ConfigError, UnknownOptionError, WeightsError
from speakerdiar.models import load_model
from speakerdiar.models.diarizers.sortformer_config import (
    SCORING,
    check_sizes,
    checked_scoring,
    normalize_of,
    own_weights,
    scoring_of,
    shape_of,
)
from speakerdiar.nn.sortformer import SortformerShape

SHAPE = tiny_shape()
FILE = "x.nemo"


def changed(part: str, name: str, value: Any) -> dict[str, Any]:
    config = nemo_config(SHAPE, streaming=True)
    config[part][name] = value
    return config


def test_the_sizes_of_a_config() -> None:
    assert shape_of(nemo_config(SHAPE), FILE) == SHAPE


def test_what_a_config_leaves_out_is_as_in_nemo() -> None:
    config = nemo_config(SHAPE)
    for name in ("ff_expansion_factor", "conv_kernel_size", "xscaling", "subsampling_conv_channels"):
        del config["encoder"][name]
    del config["sortformer_modules"]["num_spks"]
    found = shape_of(config, FILE)
    assert (found.d_inner, found.kernel, found.xscaling, found.channels) == (4 * SHAPE.d_model, 9, True, SHAPE.d_model)
    assert found.speakers == 4
    config["encoder"]["subsampling_conv_channels"] = -1
    assert shape_of(config, FILE).channels == SHAPE.d_model


def test_a_list_of_one_attention_context_is_that_context() -> None:
    assert shape_of(changed("encoder", "att_context_size", [[-1, -1]]), FILE) == SHAPE


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("encoder", "subsampling", "striding"),
        ("encoder", "subsampling_factor", 4),
        ("encoder", "causal_downsampling", True),
        ("encoder", "self_attention_model", "abs_pos"),
        ("encoder", "att_context_size", [70, 13]),
        ("encoder", "conv_norm_type", "layer_norm"),
        ("encoder", "untie_biases", False),
        ("transformer_encoder", "pre_ln", True),
        ("transformer_encoder", "hidden_act", "gelu"),
        ("preprocessor", "sample_rate", 8000),
        ("preprocessor", "window_stride", 0.02),
        ("preprocessor", "n_fft", 400),
    ],
)
def test_layers_of_another_kind_are_refused(part: str, name: str, value: Any) -> None:
    with pytest.raises(WeightsError) as caught:
        shape_of(changed(part, name, value), FILE)
    assert f"{FILE}: {part}.{name}={value!r} isn't supported" in str(caught.value)


@pytest.mark.parametrize("part", ["encoder", "transformer_encoder", "sortformer_modules", "preprocessor"])
@pytest.mark.parametrize("value", [None, "text"])
def test_a_config_without_a_part_is_refused(part: str, value: Any) -> None:
    with pytest.raises(WeightsError, match=f"has no {part}: this isn't a Sortformer"):
        shape_of({**nemo_config(SHAPE), part: value}, FILE)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("n_layers", "many", "layers='many': give a whole number"),
        ("n_heads", 5, "d_model=32 can't be divided by heads=5"),
        ("conv_kernel_size", 8, "kernel=8: give an odd number"),
        ("ff_expansion_factor", None, "unsupported operand"),
        ("subsampling_conv_channels", "x", "invalid literal"),
    ],
)
def test_sizes_that_cant_be_are_refused(name: str, value: Any, reason: str) -> None:
    with pytest.raises(WeightsError, match=reason):
        shape_of(changed("encoder", name, value), FILE)
    config = nemo_config(SHAPE)
    del config["encoder"]["d_model"]
    with pytest.raises(WeightsError, match="'d_model' is missing"):
        shape_of(config, FILE)


@pytest.mark.parametrize(
    ("name", "value", "ours"),
    [
        ("n_layers", 10**9, "layers"),
        ("d_model", 4 * 10**12, "d_model"),
        ("feat_in", 10**9, "n_mels"),
        ("conv_kernel_size", 10**9 + 1, "kernel"),
        ("subsampling_conv_channels", 10**9, "channels"),
    ],
)
def test_sizes_that_the_weights_have_no_room_for_are_refused_before_anything_is_made(
    tmp_path: Path, name: str, value: int, ours: str
) -> None:
    """Else a file of some kilobytes would ask for gigabytes, or for hours."""
    path = write_nemo(tmp_path / FILE, tiny_network(), changed("encoder", name, value))
    with pytest.raises(WeightsError, match=rf"config has {ours}={value}, and its weights have room for \d+ at most"):
        load_model(path)


def test_weights_without_numbers_have_no_room() -> None:
    with pytest.raises(WeightsError, match="room for 0 at most"):
        check_sizes(SortformerShape(), {"a": torch.zeros(0, 10**6), "b": torch.tensor(1.0)}, FILE)


@pytest.mark.parametrize(("value", "wanted"), [("per_feature", True), ("NA", False), (None, False), ("", False)])
def test_normalization(value: Any, wanted: bool) -> None:
    assert normalize_of(changed("preprocessor", "normalize", value), FILE) is wanted


def test_normalization_of_another_kind_is_refused() -> None:
    with pytest.raises(WeightsError, match="normalize='all_features' isn't known: per_feature and NA are"):
        normalize_of(changed("preprocessor", "normalize", "all_features"), FILE)


def test_scoring_has_our_names() -> None:
    found = scoring_of(changed("sortformer_modules", "sil_threshold", 0.3))
    assert found == {"sil_frames_per_speaker": 3, "sil_threshold": 0.3}
    assert scoring_of({}) == {}
    assert checked_scoring(found) == found
    assert checked_scoring(None) == {}
    assert set(checked_scoring(dict.fromkeys(SCORING.values(), 1))) == set(SCORING.values())


@pytest.mark.parametrize("given", [3, "sil_threshold", ["sil_threshold"]])
def test_scoring_is_a_mapping(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"scoring=.*give a mapping of sil_frames_per_speaker"):
        checked_scoring(given)


def test_unknown_scoring_names_the_closest() -> None:
    with pytest.raises(UnknownOptionError, match=r"'sil_treshold'\. Did you mean 'sil_threshold'"):
        checked_scoring({"sil_treshold": 0.3})
    with pytest.raises(UnknownOptionError, match="'cache_len'"):
        checked_scoring({"cache_len": 40})  # a length is a latency's


def test_tensors_that_take_no_part_are_left_out() -> None:
    network = tiny_network()
    assert set(own_weights(nemo_weights(network), SHAPE, FILE)) == set(network.state_dict())
    assert set(own_weights(network.state_dict(), SHAPE, FILE)) == set(network.state_dict())
    half = {name: value.half() for name, value in nemo_weights(network).items()}
    assert set(own_weights(half, SHAPE, FILE)) == set(network.state_dict())


@pytest.mark.parametrize("wrong", ["filters", "bands", "shape"])
def test_weights_of_other_mel_bands_are_refused(wrong: str) -> None:
    weights = nemo_weights(tiny_network())
    bands = weights["preprocessor.featurizer.fb"]
    others = {"filters": bands.roll(3, dims=2), "bands": bands[:, :80], "shape": torch.zeros(0)}
    with pytest.raises(WeightsError, match=r"x\.nemo was trained on other mel bands"):
        own_weights({**weights, "preprocessor.featurizer.fb": others[wrong]}, SHAPE, FILE)
