"""Nemotron in folders of transformers: saving, loading, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

pytest.importorskip("transformers", minversion="5.18", reason="pip install 'speakerdiar[nemotron]' brings transformers")
from fakes_nemotron import tiny_nemotron, tiny_network, transformers

from speakerdiar.checkpoints.hub_files import wanted
from speakerdiar.errors import ConfigError, MissingExtraError, WeightsError
from speakerdiar.models.diarizers import nemotron
from speakerdiar.models.diarizers.nemotron import NemotronDiarizer
from speakerdiar.models.diarizers.nemotron_latency import LATENCIES

CONVERSATION = Path(__file__).resolve().parents[3] / "examples" / "data" / "conversation.flac"
RATE = 16000


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    samples, _ = soundfile.read(CONVERSATION, dtype="float32", stop=4 * RATE)
    return np.asarray(samples)


@pytest.fixture(scope="module")
def model() -> NemotronDiarizer:
    return tiny_nemotron()


@pytest.fixture(scope="module")
def folder(model: NemotronDiarizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model.save_pretrained(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copied"))


def test_what_is_saved_loads_with_the_same_scores(
    model: NemotronDiarizer, folder: Path, talk: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    loaded = NemotronDiarizer.from_pretrained(folder)
    assert loaded.diarize((talk, RATE)) == model.diarize((talk, RATE))
    assert sorted(file.name for file in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "processor_config.json",
    ]
    assert "OpenMDW-1.1" in (folder / "README.md").read_text()
    assert capfd.readouterr() == ("", "")


def test_transformers_loads_what_was_saved(model: NemotronDiarizer, folder: Path) -> None:
    processor = transformers.AutoProcessor.from_pretrained(folder)
    assert processor.feature_extractor.feature_size == 128
    theirs = transformers.AutoModelForAudioFrameClassification.from_pretrained(folder)
    for name, weight in model.network.named_parameters():
        assert torch.equal(theirs.get_parameter(name), weight)


def test_a_folder_is_replaced_only_when_asked(model: NemotronDiarizer, copied: Path) -> None:
    with pytest.raises(ConfigError, match="isn't empty"):
        model.save_pretrained(copied)
    before = (copied / "model.safetensors").read_bytes()
    other = tiny_nemotron(seed=3)
    other.save_pretrained(copied, overwrite=True)
    assert (copied / "model.safetensors").read_bytes() != before


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_half_precision_is_of_the_network_alone(
    model: NemotronDiarizer, folder: Path, talk: np.ndarray, precision: str, dtype: torch.dtype
) -> None:
    half = NemotronDiarizer.from_pretrained(folder, precision=precision, device="cpu")
    assert {weight.dtype for weight in half.network.parameters()} == {dtype}
    assert half.mel.filters.dtype == torch.float32
    whole, rough = (_scores(each, talk[: 2 * RATE]) for each in (model, half))
    assert np.abs(whole - rough).mean() < 0.05
    with pytest.raises(ConfigError, match="precision='int8'"):
        NemotronDiarizer.from_pretrained(folder, precision="int8")
    with pytest.raises(ConfigError, match="device='nowhere'"):
        NemotronDiarizer.from_pretrained(folder, device="nowhere")


@torch.inference_mode()
def _scores(model: NemotronDiarizer, samples: np.ndarray) -> np.ndarray:
    [state] = [model._begin(LATENCIES["1.04s"], model._diarize_config(None, {}), None)]
    [scores] = model._advance([state], [samples], True)
    return scores


def test_compile_compiles_each_layer_for_all_lengths(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[dict[str, Any]] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: compiled.append(options))
    NemotronDiarizer.from_pretrained(folder, compile=True)
    assert compiled == [{"dynamic": True}] * 2


def change(folder: Path, **values: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "bert"}, "holds the model 'bert', not nemotron3_diarization"),
        ({"chunk_length": "x"}, "config.json can't be used .*chunk_length"),
        ({"chunk_right_context": 400}, "config.json can't be used .*chunk_right_context"),
    ],
)
def test_another_config_is_refused(copied: Path, values: dict[str, Any], message: str) -> None:
    change(copied, **values)
    with pytest.raises(WeightsError, match=message):
        NemotronDiarizer.from_pretrained(copied)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("num_hidden_layers", 3, r"13 tensors are missing: model\.audio_tower\.layers\.2"),
        ("num_hidden_layers", 1, r"13 tensors belong nowhere: model\.audio_tower\.layers\.1"),
        ("intermediate_size", 48, "6 tensors have another shape"),
    ],
)
def test_every_tensor_is_accounted_for(copied: Path, part: str, value: int, message: str) -> None:
    config = json.loads((copied / "config.json").read_text())
    change(copied, audio_config={**config["audio_config"], part: value})
    with pytest.raises(WeightsError, match=message):
        NemotronDiarizer.from_pretrained(copied)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "processor_config.json"])
def test_broken_files_are_refused(copied: Path, name: str) -> None:
    file = copied / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(WeightsError, match=r"get it anew"):
        NemotronDiarizer.from_pretrained(copied)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_absent_files_are_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(WeightsError, match=name):
        NemotronDiarizer.from_pretrained(copied)


def test_weights_that_may_hold_code_are_not_read(copied: Path, model: NemotronDiarizer) -> None:
    (copied / "model.safetensors").unlink()
    torch.save(model.network.state_dict(), copied / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        NemotronDiarizer.from_pretrained(copied)


def test_a_front_end_of_another_kind_is_refused(copied: Path) -> None:
    file = copied / "processor_config.json"
    text = file.read_text()
    file.write_text(text.replace('"n_fft": 512', '"n_fft": 1024'))
    with pytest.raises(WeightsError, match=r"n_fft=1024 isn't supported: Nemotron has 512"):
        NemotronDiarizer.from_pretrained(copied)
    file.write_text(text.replace('"mel_filters_dtype": "float32"', '"mel_filters_dtype": "int4"'))
    with pytest.raises(WeightsError, match="mel_filters_dtype='int4'"):
        NemotronDiarizer.from_pretrained(copied)
    file.write_text('{"feature_extractor": 3, "hop_length": 80}')
    with pytest.raises(WeightsError, match="hop_length=80"):
        NemotronDiarizer.from_pretrained(copied)
    file.unlink()  # NeMo's own front end is meant where nothing is said
    assert NemotronDiarizer.from_pretrained(copied).mel_type == torch.float32


def test_constants_of_the_front_end_keep_their_type(tmp_path: Path) -> None:
    rough = NemotronDiarizer(tiny_network(), mel_type=torch.bfloat16)
    loaded = NemotronDiarizer.from_pretrained(rough.save_pretrained(tmp_path / "rough"))
    assert loaded.mel_type == torch.bfloat16
    assert torch.equal(loaded.mel.window, rough.mel.window)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no such file or folder"):
        NemotronDiarizer.from_pretrained(tmp_path / "nowhere" / "deep")


def test_a_file_is_no_folder(folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"config\.json: Not a directory: give a folder"):
        NemotronDiarizer.from_pretrained(folder / "README.md")


def test_a_name_of_the_hub_is_fetched_as_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def local_place(name: str, **options: Any) -> Path:
        asked.update(options, name=name)
        return folder

    monkeypatch.setattr(nemotron, "local_place", local_place)
    NemotronDiarizer.from_pretrained("nvidia/Nemotron-3-Diarization", token="secret", revision="main")
    assert (asked["name"], asked["token"], asked["revision"]) == ("nvidia/Nemotron-3-Diarization", "secret", "main")
    held = ["model.nemo", "config.json", "model.safetensors", "processor_config.json", "code.py", "README.md"]
    assert wanted(held, asked["files"]) == ["README.md", "config.json", "model.safetensors", "processor_config.json"]


def test_another_stacking_is_refused() -> None:
    network = tiny_network()
    network.config.audio_config.subsampling_factor = 4
    with pytest.raises(WeightsError, match="stacks 4 mel frames"):
        NemotronDiarizer(network)


@pytest.mark.parametrize("found", [None, types.ModuleType("transformers")], ids=["absent", "too old"])
def test_without_transformers_the_pip_line_is_printed(
    model: NemotronDiarizer, folder: Path, monkeypatch: pytest.MonkeyPatch, found: Any
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", found)
    line = r'transformers>=5\.18: pip install "speakerdiar\[nemotron\]"'
    with pytest.raises(MissingExtraError, match=line):
        NemotronDiarizer.from_pretrained(folder)
    with pytest.raises(MissingExtraError, match=line):
        NemotronDiarizer(model.network)


def test_loading_leaves_the_bars_and_warnings_of_transformers_as_they_were(folder: Path) -> None:
    log = transformers.utils.logging
    before = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_info()
    log.enable_progress_bar()
    try:
        with pytest.raises(WeightsError):
            NemotronDiarizer.from_pretrained(folder / "deeper")
        NemotronDiarizer.from_pretrained(folder)
        assert (log.get_verbosity(), log.is_progress_bar_enabled()) == (log.INFO, True)
    finally:
        log.set_verbosity(before[0])
        if not before[1]:
            log.disable_progress_bar()
