"""`load_model` looks at what it is given, and picks the model that reads it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes_sortformer import nemo_config, tiny_network, tiny_offline, tiny_streaming, write_nemo

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.hub import Snapshot
from speakerdiar.checkpoints.pins import FilePin
from speakerdiar.errors import UnknownModelError, UnknownOptionError, WeightsError
from speakerdiar.models import MODELS, load_model, opening
from speakerdiar.models.diarizers.sortformer import SortformerDiarizer
from speakerdiar.models.diarizers.streaming_sortformer import StreamingSortformerDiarizer
from speakerdiar.models.opening import (
    local_place,
    model_name,
    open_checkpoint,
    open_model,
    read_place,
    read_weights,
    transformers_type,
)


@pytest.fixture(scope="module")
def nemo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = tiny_network()
    path = tmp_path_factory.mktemp("weights") / "v2.nemo"
    return write_nemo(path, network, nemo_config(network.shape, streaming=True))


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("as_text", [True, False])
def test_a_nemo_file_says_whether_it_streams(tmp_path: Path, streaming: bool, as_text: bool) -> None:
    network = tiny_network(128 if streaming else 80)
    path = write_nemo(tmp_path / "x.nemo", network, nemo_config(network.shape, streaming=streaming))
    model = load_model(str(path) if as_text else path)
    assert type(model) is (StreamingSortformerDiarizer if streaming else SortformerDiarizer)


def test_a_folder_of_ours_says_which_model_it_is(tmp_path: Path) -> None:
    models: list[SortformerDiarizer | StreamingSortformerDiarizer] = [tiny_offline(), tiny_streaming()]
    for number, model in enumerate(models):
        assert isinstance(load_model(model.save_pretrained(tmp_path / str(number))), type(model))


def test_a_folder_may_hold_one_nemo_file(nemo: Path, tmp_path: Path) -> None:
    shutil.copy(nemo, tmp_path / "one.nemo")
    (tmp_path / "README.md").write_text("card")
    assert isinstance(load_model(tmp_path), StreamingSortformerDiarizer)
    shutil.copy(nemo, tmp_path / "two.nemo")
    with pytest.raises(WeightsError, match=r"holds one\.nemo, two\.nemo: give the path of one \.nemo file"):
        load_model(tmp_path)


def test_our_own_format_goes_before_a_nemo_file(nemo: Path, tmp_path: Path) -> None:
    folder = tiny_offline().save_pretrained(tmp_path / "m")
    shutil.copy(nemo, folder / "v2.nemo")
    assert isinstance(load_model(folder), SortformerDiarizer)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"holds neither config\.yaml nor a \.nemo file"):
        load_model(tmp_path)


def test_options_go_to_the_class(nemo: Path) -> None:
    model: Any = load_model(nemo, precision="bf16", device="cpu")
    assert next(model.network.parameters()).dtype == torch.bfloat16
    with pytest.raises(UnknownOptionError, match="'precison'"):
        load_model(nemo, precison="bf16")


def test_weights_of_another_model_of_nemos_are_refused(tmp_path: Path) -> None:
    network = tiny_network()
    target = "nemo.collections.asr.models.EncDecCTCModel"
    path = write_nemo(tmp_path / "asr.nemo", network, {**nemo_config(network.shape), "target": target})
    with pytest.raises(
        WeightsError, match=r"was saved by .*EncDecCTCModel: of NeMo's models, SortformerEncLabelModel is"
    ):
        load_model(path)
    with pytest.raises(WeightsError, match="`target` is None, not a class of NeMo"):
        model_name(Checkpoint(Path("x.nemo"), {"encoder": {}}, {}))


def test_the_target_goes_before_a_model_named_in_a_nemo_config() -> None:
    """A `.nemo` file can't pass for one of our folders."""
    config = {**nemo_config(tiny_network().shape), "model": "streaming-sortformer"}
    assert model_name(Checkpoint(Path("x.nemo"), config, {})) == "sortformer"


def test_a_folder_of_an_unknown_model_is_refused() -> None:
    with pytest.raises(
        WeightsError, match=r"holds the model 'pyannote', and no model .* Known: sortformer, streaming-"
    ):
        open_checkpoint(Checkpoint(Path("x"), {"model": "pyannote"}, {}))


@pytest.mark.parametrize("name", ["absent.nemo", "some/absent.nemo", "./absent", "/absent/folder", "a/b/c"])
def test_what_isnt_there_is_refused_without_asking_the_hub(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "pull", None)
    with pytest.raises(WeightsError, match="there is no such file or folder"):
        load_model(name)


def test_a_name_that_is_neither_row_nor_path_is_refused_with_the_closest() -> None:
    with pytest.raises(UnknownModelError, match=r"no model 'embeded'\. Did you mean 'embedded'"):
        load_model("embeded")


def test_a_name_of_the_hub_is_pulled_with_its_options(
    nemo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    shutil.copy(nemo, tmp_path / "one.nemo")
    shutil.copy(nemo, tmp_path / "other.nemo")  # that another program put into the cache

    def pull(name: str, **options: Any) -> Snapshot:
        asked.append((name, options))
        return Snapshot(name, "0" * 40, tmp_path, {"one.nemo": FilePin(1, "")})

    monkeypatch.setattr(opening, "pull", pull)
    model: Any = load_model("some/one", token="t", revision="r", precision="bf16")
    assert isinstance(model, StreamingSortformerDiarizer)
    assert next(model.network.parameters()).dtype == torch.bfloat16
    row = load_model("nvidia/diar_streaming_sortformer_4spk-v2", token="t")
    assert isinstance(row, StreamingSortformerDiarizer)
    assert row.licence == "CC-BY-4.0"
    assert asked[0] == ("some/one", {"token": "t", "revision": "r"})
    name, options = asked[1]
    assert name == "nvidia/diar_streaming_sortformer_4spk-v2"
    assert options["licence"] == "CC-BY-4.0"
    assert options["token"] == "t"
    assert options["revision"] == MODELS[name].revision
    assert options["files"] == MODELS[name].files
    assert list(read_weights("some/one", revision="r").weights)
    assert asked[2] == ("some/one", {"revision": "r"})


def test_a_path_that_exists_goes_before_a_name_of_the_hub(
    nemo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "pull", None)
    (tmp_path / "some").mkdir()
    shutil.copytree(nemo.parent, tmp_path / "some" / "one")
    assert local_place("some/one") == Path("some/one")
    assert isinstance(open_model("some/one", token="unused"), StreamingSortformerDiarizer)


def test_a_folder_of_transformers_is_known_by_its_config(tmp_path: Path) -> None:
    assert transformers_type(tmp_path) is None
    file = tmp_path / "config.json"
    for text, wanted in (
        (json.dumps({"model_type": "nemotron3_diarization"}), "nemotron3_diarization"),
        (json.dumps({"model_type": 3}), None),
        ("[]", None),
    ):
        file.write_text(text)
        assert transformers_type(tmp_path) == wanted
    file.write_text("{")
    with pytest.raises(WeightsError, match=r"config\.json can't be read as JSON"):
        transformers_type(tmp_path)
    file.write_text(json.dumps({"model_type": "wav2vec2"}))
    with pytest.raises(WeightsError, match=r"holds the model 'wav2vec2', and no model here .* Known: nemotron3"):
        load_model(tmp_path)


def test_what_is_read_is_a_checkpoint(nemo: Path) -> None:
    assert read_place(nemo).path == nemo
    assert read_place(nemo.parent).path == nemo
    assert read_weights(nemo).config["streaming_mode"] is True
