"""The template: hooks and their order, and what subclasses written for NeMo rely on."""

from __future__ import annotations

import inspect
import json
import os
from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import ToneDiarizer
from nemo_style import EXPECTED, NumberDataset, Numbers, TypedConfig, turns
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from speakerdiar.config import DiarizeConfig, InternalDiarizeConfig
from speakerdiar.errors import ModelError
from speakerdiar.mixins import SpkDiarizationMixin


def test_runs_the_hooks_in_order() -> None:
    model = Numbers()
    assert model.diarize(["1.0", "2.0", "3.0"], batch_size=2) == [1.0, 2.0, 3.0]
    assert model.calls == ["begin", "manifest", "loader", "forward", "output", "forward", "output", "end"]


def test_generator_yields_each_batch_when_it_is_ready() -> None:
    model = Numbers()
    generator = model.diarize_generator(["1.0", "2.0", "3.0"], override_config=DiarizeConfig(batch_size=2))
    assert next(generator) == [1.0, 2.0]
    assert model.calls.count("forward") == 1
    assert list(generator) == [[3.0]]


def test_paths_reach_the_loader_with_a_manifest() -> None:
    seen: list[Any] = []

    class Reader(Numbers):
        def _setup_diarize_dataloader(self, config: dict[str, Any]) -> DataLoader[Any]:
            lines = Path(config["temp_dir"], "manifest.json").read_text().splitlines()
            seen.extend(json.loads(line) for line in lines)
            return super()._setup_diarize_dataloader(config)

    model = Reader()
    model.diarize(["1.0", Path("2.0")], batch_size=2, num_workers=1)
    config = model.configs[0]
    assert config["paths2audio_files"] == ["1.0", "2.0"]
    assert (config["batch_size"], config["num_workers"], config["session_len_sec"]) == (2, 1, -1)
    assert "manifest_filepath" not in config
    assert [entry["audio_filepath"] for entry in seen] == ["1.0", "2.0"]
    assert not os.path.exists(config["temp_dir"])


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
@pytest.mark.parametrize("listed", [False, True])
def test_a_manifest_reaches_the_loader_by_its_path(tmp_path: Path, suffix: str, listed: bool) -> None:
    path = tmp_path / f"set{suffix}"
    entries = [{"audio_filepath": "7", "offset": 0, "duration": None}, {"audio_filepath": "7"}]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    model = Numbers()
    assert model.diarize([str(path)] if listed else path, batch_size=3) == [7.0, 7.0]
    assert model.configs[0]["manifest_filepath"] == str(path)
    assert "paths2audio_files" not in model.configs[0]
    assert len(set(model.ids[0])) == 2


def test_a_list_that_begins_with_a_manifest_name_is_a_list() -> None:
    class Names(Numbers):
        def _setup_diarize_dataloader(self, config: dict[str, Any]) -> DataLoader[Any]:
            assert config["paths2audio_files"] == ["1.jsonl", "2.json"]
            return DataLoader(NumberDataset(["1", "2"]))

    assert Names().diarize(["1.jsonl", "2.json"]) == [1.0, 2.0]


def test_a_manifest_that_is_not_there_is_left_to_the_models_loader() -> None:
    assert Numbers().diarize("nowhere.jsonl") == [7.0, 7.0]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("list", [1.0, 2.0, 3.0]),
        ("dict", {"output": [1.0, 2.0, 3.0]}),
        ("dicts", [{"output": 1.0}, {"output": 2.0}, {"output": 3.0}]),
        ("lists", ([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])),
        ("tuple", ([1.0, 2.0, 3.0],)),
        ("object", [{"n": 1}, {"n": 1}, {"n": 1}]),
    ],
)
def test_every_shape_of_output_is_kept(kind: str, expected: Any) -> None:
    config = TypedConfig(output_type=kind)
    assert Numbers().diarize(["1", "2", "3"], override_config=config) == expected


def test_output_of_none_is_an_error() -> None:
    with pytest.raises(ModelError, match="returned None"):
        Numbers().diarize(["1"], override_config=TypedConfig(output_type="none"))


def test_a_config_without_internal_is_refused() -> None:
    @dataclass
    class Foreign:
        batch_size: int = 1
        output_type: str = "dict"

    model = Numbers()
    with pytest.raises(ValueError, match="_internal"):
        model.diarize([1.0, 2.0], override_config=Foreign())
    with pytest.raises(ValueError, match="_internal"):
        model.diarize_generator(["1"], override_config=Foreign())
    config = DiarizeConfig()
    config._internal = {"device": None}  # type: ignore[assignment]
    with pytest.raises(ValueError, match="_internal"):
        model.diarize(["1"], override_config=config)
    assert model.calls == []


def test_a_derived_config_keeps_its_extra_fields_and_is_not_changed() -> None:
    model = Numbers()
    config = TypedConfig(output_type="dict", num_workers=None, _internal=InternalDiarizeConfig(dtype="half"))
    before = (dict(vars(config)), dict(vars(config._internal)))
    for _ in range(2):
        assert model.diarize(["1"], override_config=config) == {"output": [1.0]}
    assert (dict(vars(config)), dict(vars(config._internal))) == before
    assert model.seen[0] is not config
    assert isinstance(model.seen[0], TypedConfig)
    assert model.seen[0]._internal is not None
    assert model.seen[0]._internal.dtype == "half"


def test_an_omegaconf_config_is_taken() -> None:
    config = OmegaConf.structured(TypedConfig(output_type="dict", batch_size=2))
    assert Numbers().diarize(["1", "2"], override_config=config) == {"output": [1.0, 2.0]}


def test_arguments_beside_a_config_are_not_ignored() -> None:
    model = Numbers()
    config = TypedConfig(output_type="dict", batch_size=3)
    model.diarize(["1"], override_config=config, num_speakers=2)
    assert (model.seen[-1].batch_size, model.seen[-1].num_speakers) == (3, 2)
    model.diarize(["1"], batch_size=2, override_config=config, output_type="list")
    assert (model.seen[-1].batch_size, model.seen[-1].output_type) == (2, "list")  # type: ignore[attr-defined]


def test_a_second_positional_argument_is_refused_with_the_keyword() -> None:
    model = Numbers()
    with pytest.raises(TypeError, match="batch_size=4"):
        model.diarize(["1"], 4)
    with pytest.raises(TypeError, match="sample_rate=16000"):
        model.diarize(["1"], 16000)
    assert model.calls == []


def test_the_signature_is_the_published_one() -> None:
    signature = inspect.signature(SpkDiarizationMixin.diarize).parameters
    names = [name for name, p in signature.items() if p.kind is p.KEYWORD_ONLY]
    assert names == [
        "sample_rate", "batch_size", "include_tensor_outputs", "postprocessing_yaml", "num_workers", "verbose",
        "override_config",
    ]  # fmt: skip
    defaults = DiarizeConfig()
    for name in names[:-1]:
        assert signature[name].default == getattr(defaults, name), name


def test_worker_processes_change_nothing(wav: str) -> None:
    model = ToneDiarizer()
    assert Numbers().diarize(["1", "2", "3"], num_workers=2) == [1.0, 2.0, 3.0]
    assert turns(model.diarize([wav, wav], num_workers=2)) == [EXPECTED, EXPECTED]
    assert turns(model.diarize([wav], num_workers=None)) == [EXPECTED]


def test_configs_of_other_classes_are_refused() -> None:
    @dataclass
    class Lookalike:
        batch_size: int = 1
        _internal: Any = None

    with pytest.raises(ValueError, match="DiarizeConfig"):
        Numbers().diarize(["1"], override_config=Lookalike())
    with pytest.raises(ValueError, match="instance"):
        Numbers().diarize(["1"], override_config=DiarizeConfig)
    assert DiarizeConfig._internal is None


def test_hooks_may_change_the_containers_of_their_config() -> None:
    @dataclass
    class Listing(DiarizeConfig):
        heard: list[str] = field(default_factory=list)

    class Noting(Numbers):
        def _diarize_on_begin(self, audio: Any, diarcfg: Any) -> None:
            diarcfg.heard.append("begin")

    config = Listing()
    Noting().diarize(["1"], override_config=config)
    assert config.heard == []


def test_hooks_may_be_overridden_without_super() -> None:
    class Own(Numbers):
        def _diarize_on_begin(self, audio: Any, diarcfg: DiarizeConfig) -> None:
            self.eval()

        def _diarize_input_manifest_processing(
            self, audio_files: list[str], temp_dir: str, diarcfg: DiarizeConfig
        ) -> dict[str, Any]:
            workers = {"batch_size": diarcfg.batch_size, "num_workers": diarcfg.num_workers}
            return {"paths2audio_files": audio_files, "temp_dir": temp_dir, **workers}

        def _diarize_on_end(self, diarcfg: DiarizeConfig) -> None:
            self.calls.append("own end")

    model = Own().train()
    assert model.diarize(["1", "2"], num_workers=None) == [1.0, 2.0]
    assert model.calls[-1] == "own end"
    assert model.training


Pair = namedtuple("Pair", "heard name")


@pytest.mark.parametrize(
    ("collate", "heard"),
    [
        (lambda rows: {"x": torch.stack(rows)}, lambda batch: batch["x"]),
        (lambda rows: OrderedDict(x=torch.stack(rows)), lambda batch: batch["x"]),
        (lambda rows: UserDict(x=torch.stack(rows)), lambda batch: batch["x"]),
        (lambda rows: (torch.stack(rows), "name"), lambda batch: batch[0]),
        (lambda rows: [torch.stack(rows)], lambda batch: batch[0]),
        (lambda rows: Pair(torch.stack(rows), "name"), lambda batch: batch.heard),
    ],
)
def test_batches_of_every_kind_reach_the_forward_as_they_are(collate: Any, heard: Any) -> None:
    class Kinds(Numbers):
        def _setup_diarize_dataloader(self, config: dict[str, Any]) -> DataLoader[Any]:
            return DataLoader(NumberDataset(config["paths2audio_files"]), batch_size=2, collate_fn=collate)

        def _diarize_forward(self, batch: Any) -> Any:
            assert type(batch) is type(collate([torch.ones(1)]))
            return super()._diarize_forward(heard(batch))

    model = Kinds()
    assert model.diarize(["1", "2", "3"]) == [1.0, 2.0, 3.0]
    assert model.ids == [["1", "2"], ["3"]]


def test_named_tuples_of_lists_keep_their_names() -> None:
    class Named(Numbers):
        def _diarize_output_processing(self, outputs: Any, uniq_ids: list[str], diarcfg: Any) -> Any:
            return Pair(outputs.flatten().tolist(), list(uniq_ids))

    result = Named().diarize(["1", "2"])
    assert result == Pair([1.0, 2.0], ["1", "2"])
    assert isinstance(result, Pair)


def test_shapes_of_output_that_differ_are_an_error() -> None:
    class Changing(Numbers):
        def _diarize_output_processing(self, outputs: Any, uniq_ids: list[str], diarcfg: Any) -> Any:
            return [1.0] if uniq_ids == ["1"] else {"output": [1.0]}

    with pytest.raises(ModelError, match="one shape"):
        Changing().diarize(["1", "2"])
