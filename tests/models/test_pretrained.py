"""What loading and saving promise for every model with weights of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes_sortformer import nemo_config, tiny_offline, tiny_streaming, write_nemo

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.folder import read_folder
from speakerdiar.errors import ConfigError, UnknownOptionError, WeightsError
from speakerdiar.models.diarizers.sortformer import SortformerDiarizer
from speakerdiar.models.diarizers.streaming_sortformer import StreamingSortformerDiarizer
from speakerdiar.models.pretrained import PRECISIONS, check_model, precision_of, put_on


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_offline().save_pretrained(tmp_path_factory.mktemp("weights") / "offline")


@pytest.fixture(scope="module")
def nemo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = tiny_offline().network
    return write_nemo(tmp_path_factory.mktemp("weights") / "v1.nemo", network, nemo_config(network.shape))


def same_weights(model: Any, other: Any) -> bool:
    ours, theirs = model.network.state_dict(), other.network.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_folder_holds_config_weights_and_card(folder: Path) -> None:
    assert sorted(file.name for file in folder.iterdir()) == ["README.md", "config.yaml", "model.safetensors"]
    config = read_folder(folder).config
    assert config["model"] == "sortformer"
    assert config["shape"]["n_mels"] == 80
    assert "as the source states it" in (folder / "README.md").read_text()


@pytest.mark.parametrize("as_text", [True, False])
def test_weights_come_back_from_folder_and_file(folder: Path, nemo: Path, as_text: bool) -> None:
    for path in (folder, nemo):
        model = SortformerDiarizer.from_pretrained(str(path) if as_text else path)
        assert same_weights(model, tiny_offline())
        assert not model.training
        assert not any(value.requires_grad or value.is_meta for value in model.parameters())
    assert same_weights(SortformerDiarizer.restore_from(str(nemo) if as_text else nemo), tiny_offline())


def test_a_nemo_file_saved_in_our_format_says_where_it_came_from(nemo: Path, tmp_path: Path) -> None:
    model = SortformerDiarizer.restore_from(nemo)
    again = SortformerDiarizer.from_pretrained(model.save_pretrained(tmp_path / "converted"))
    assert same_weights(again, model)
    assert again.source == model.source == "converted from `v1.nemo`"
    assert "converted from `v1.nemo`" in (tmp_path / "converted" / "README.md").read_text()


def test_a_folder_that_isnt_empty_is_replaced_only_when_asked(folder: Path, tmp_path: Path) -> None:
    target = tiny_offline(seed=1).save_pretrained(tmp_path / "m")
    with pytest.raises(ConfigError, match="isn't empty: give another folder, or overwrite=True"):
        tiny_offline().save_pretrained(target)
    assert same_weights(SortformerDiarizer.from_pretrained(target), tiny_offline(seed=1))
    assert tiny_offline().save_pretrained(target, overwrite=True) == target
    assert same_weights(SortformerDiarizer.from_pretrained(target), tiny_offline())


@pytest.mark.parametrize("load", ["from_pretrained", "restore_from"])
def test_options_that_loading_doesnt_have_are_refused(nemo: Path, load: str) -> None:
    with pytest.raises(UnknownOptionError, match=r"'precison'\. Did you mean 'precision'"):
        getattr(SortformerDiarizer, load)(nemo, precison="bf16")
    with pytest.raises(ConfigError, match="precision='int8': give one of fp32, bf16, fp16"):
        getattr(SortformerDiarizer, load)(nemo, precision="int8")
    with pytest.raises(ConfigError, match="device='nowhere' can't be used"):
        getattr(SortformerDiarizer, load)(nemo, device="nowhere")
    with pytest.raises(ConfigError, match="device='meta' holds no numbers"):
        getattr(SortformerDiarizer, load)(nemo, device="meta")


def test_a_model_of_another_kind_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"holds the model 'sortformer', not 'streaming-sortformer': load it with lo"
    ):
        StreamingSortformerDiarizer.from_pretrained(folder)
    with pytest.raises(WeightsError, match="'streaming-sortformer', not 'sortformer'"):
        SortformerDiarizer.from_pretrained(tiny_streaming().save_pretrained(tmp_path / "m"))


@pytest.mark.parametrize("load", ["from_pretrained", "restore_from"])
def test_a_file_that_isnt_there_is_named(tmp_path: Path, load: str) -> None:
    with pytest.raises(WeightsError, match=r"absent\.nemo"):
        getattr(SortformerDiarizer, load)(tmp_path / "absent.nemo")


@pytest.mark.parametrize(
    "shape", [None, 7, {"n_mels": 80, "speaker": 4}, {"n_mels": 0}, {"kernel": 4}], ids=lambda shape: str(shape)
)
def test_a_shape_that_cant_be_is_refused(folder: Path, shape: Any) -> None:
    held = read_folder(folder)
    with pytest.raises(WeightsError, match=r"config\.yaml has no usable `shape` \(.+\): get it anew"):
        SortformerDiarizer.from_checkpoint(replace(held, config={**held.config, "shape": shape}))


def test_every_tensor_that_doesnt_fit_is_named(folder: Path) -> None:
    held = read_folder(folder)
    weights = dict(held.weights)
    weights["extra"] = weights.pop("encoder.pre_encode.out.bias")
    weights["sortformer_modules.encoder_proj.bias"] = torch.zeros(3)
    with pytest.raises(WeightsError) as caught:
        SortformerDiarizer.from_checkpoint(Checkpoint(held.path, held.config, weights))
    for fault in (
        "encoder.pre_encode.out.bias (32,) is missing",
        "extra (32,) is unknown",
        "sortformer_modules.encoder_proj.bias is (3,), not (24,)",
    ):
        assert fault in str(caught.value)


def test_precisions() -> None:
    assert {name: precision_of(name) for name in PRECISIONS} == {
        "fp32": torch.float32,
        "bf16": torch.bfloat16,
        "fp16": torch.float16,
    }
    with pytest.raises(ConfigError, match="precision='half'"):
        precision_of("half")


def test_none_leaves_a_model_where_it_is() -> None:
    model = torch.nn.Linear(1, 1, device="meta")
    put_on(model, None)
    assert model.weight.is_meta
    with pytest.raises(ConfigError, match="device='cpu' can't be used"):  # there are no numbers to move
        put_on(model, "cpu")


def test_a_folder_that_names_no_model_may_be_any() -> None:
    check_model(Checkpoint(Path("x"), {}, {}), "sortformer")
    with pytest.raises(WeightsError, match="x holds the model 'other'"):
        check_model(Checkpoint(Path("x"), {"model": "other"}, {}), "sortformer")
