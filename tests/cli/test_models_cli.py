"""`speakerdiar models`: the list, weights from the Hub, and what weights are."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes_hub import FakeHub, fresh_machine
from fakes_networks import drawn_weights, shapes_of
from nemo_files import nemo_file, sound
from onnx_files import SEGMENTATION, SIZE, embedding_file, segmentation_file
from pipeline_files import pipeline_folder
from typer.testing import CliRunner, Result

from speakerdiar import models
from speakerdiar.checkpoints.digests import sha256_of
from speakerdiar.checkpoints.pins import Pins
from speakerdiar.cli.main import app
from speakerdiar.models import MODELS, ModelInfo
from speakerdiar.models.diarizers.eend_vc import EendVcDiarizer
from speakerdiar.models.diarizers.sortformer import SortformerDiarizer
from speakerdiar.models.diarizers.streaming_sortformer import StreamingSortformerDiarizer
from speakerdiar.nn.resnet34 import ResNetShape, SpeakerResNet
from speakerdiar.nn.sortformer import SortformerNetwork, SortformerShape

SMALL = SortformerShape(
    n_mels=16,
    speakers=3,
    channels=4,
    d_model=8,
    heads=2,
    layers=1,
    d_inner=8,
    d_transformer=8,
    transformer_heads=2,
    transformer_layers=1,
    transformer_inner=8,
)
NAME = "someone/diarizer"
ROW = ModelInfo(
    home="nowhere:Nothing", about="a test", licence="CC BY 4.0", hub=NAME, revision="v2", files=("*.nemo", "README.md")
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["models", *map(str, arguments)])


def told(*arguments: object) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A Hub with a repository, a machine without anything, and a table of models with a row for the repository."""
    table: Mapping[str, ModelInfo] = {**MODELS, "test-model": ROW}
    monkeypatch.setattr(models, "MODELS", table)
    with fresh_machine(tmp_path, monkeypatch) as hub:
        repo = hub.add(NAME, {"diarizer.nemo": nemo_file(tmp_path, *sound()).read_bytes(), "README.md": b"# A model\n"})
        repo.branches["v2"] = repo.branches["main"]
        yield hub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder of our own format."""
    torch.manual_seed(0)
    network = SortformerNetwork(SMALL)
    return StreamingSortformerDiarizer(network, licence="MIT").save_pretrained(tmp_path / "own")


def test_the_list_is_what_comes_without_a_command() -> None:
    assert run("--json").stdout == run("list", "--json").stdout
    assert run().stdout == run("list").stdout
    assert [row["name"] for row in json.loads(run("list", "--json").stdout)] == list(MODELS)


@pytest.mark.usefixtures("server")
def test_the_list_says_how_weights_come_here() -> None:
    [row] = [row for row in json.loads(run("--json").stdout) if row["name"] == "test-model"]
    assert (row["here"], row["needs"], row["hub"]) == (False, "speakerdiar models pull test-model", NAME)
    assert run("pull", "test-model").exit_code == 0
    [row] = [row for row in json.loads(run("--json").stdout) if row["name"] == "test-model"]
    assert (row["here"], row["needs"]) == (True, "")


def test_pull_tells_where_and_what(server: FakeHub) -> None:
    pulled = told("pull", "test-model")
    commit = server.repos[NAME].branches["v2"]
    file = Path(pulled["folder"]) / "diarizer.nemo"
    assert (pulled["repository"], pulled["commit"], pulled["licence"]) == (NAME, commit, "CC BY 4.0")
    assert pulled["sha256"]["diarizer.nemo"] == sha256_of(file)
    assert Pins().commit_of(NAME, "v2") == commit
    lines = run("pull", "test-model").stdout.splitlines()
    assert f"commit:        {commit}" in lines
    assert f"sha256:        {sha256_of(file)}  diarizer.nemo" in lines


def test_pull_takes_any_repository_and_revision(server: FakeHub) -> None:
    older = server.repos[NAME].branches["main"]
    other = server.add("someone/else", {"x.nemo": b"x"}, licence="")
    assert told("pull", "someone/else")["commit"] == other.branches["main"]
    assert run("pull", "someone/else").stdout.count("licence:       -\n") == 1
    assert told("pull", NAME, "--revision", older)["commit"] == older
    assert Pins().commit_of(NAME, "v2") == ""


def test_pull_of_a_pipeline_brings_its_parts(server: FakeHub, tmp_path: Path) -> None:
    named = {"segmentation": "someone/segmentation", "embedding": "someone/embedding"}
    folder = pipeline_folder(tmp_path / "pipeline", **named)
    server.add("someone/pipeline", {"config.yaml": (folder / "config.yaml").read_bytes()})
    for part, repo in named.items():
        server.add(repo, {file.name: file.read_bytes() for file in (folder / part).iterdir()})
    row = ModelInfo(home="nowhere:Nothing", about="", licence="MIT", hub="someone/pipeline", files=("config.yaml",))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(models, "MODELS", {"someone/pipeline": row})
        assert not json.loads(run("list", "--json").stdout)[0]["here"]
        assert told("pull", "someone/pipeline")["parts"] == list(named.values())
        assert json.loads(run("list", "--json").stdout)[0]["here"]
        server.requests.clear()
        assert isinstance(models.load_model("someone/pipeline"), EendVcDiarizer)
    assert server.requests == []


def test_pull_moves_a_pin_only_on_purpose(server: FakeHub) -> None:
    first = told("pull", "test-model")
    moved = server.repos[NAME].push({"diarizer.nemo": b"new"}, "v2")
    assert told("pull", NAME) == first
    assert told("pull", "test-model", "--force") == first
    assert told("pull", "test-model", "--update")["commit"] == moved


def test_pull_of_gated_weights_needs_a_token(server: FakeHub) -> None:
    server.repos[NAME].gated = True
    server.tokens = {"hf_reader": True}
    refused = run("pull", "test-model")
    assert refused.exit_code == 1
    assert "CC BY 4.0" in refused.stderr
    assert run("pull", "test-model", "--token", "hf_reader").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("pull", "test-modle"), 1, "Did you mean 'test-model'?"),
        (("pull", "embedded"), 2, "pip install"),
        (("pull", "someone/nothing"), 1, "no model repository someone/nothing"),
        (("pull", NAME, "--update", "--revision", "a" * 40), 2, "never moves"),
        (("info", "test-model"), 1, "run `speakerdiar models pull test-model` first"),
        (("info", "missing.nemo"), 1, "a file or folder that exists"),
        (("--json", "pull", "test-model"), 2, "write it after"),
    ],
)
@pytest.mark.usefixtures("server")
def test_what_cannot_be_done_is_one_line_of_error(arguments: tuple[str, ...], code: int, message: str) -> None:
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_info_tells_what_a_folder_is(folder: Path) -> None:
    facts = told("info", folder)
    network = SortformerNetwork(SMALL)
    expected = {
        "kind": "folder",
        "model": "streaming-sortformer",
        "tensors": len(network.state_dict()),
        "parameters": sum(value.numel() for value in network.parameters()),
        "sample_rate": 16000,
        "speakers": 3,
        "latencies": list(StreamingSortformerDiarizer.LATENCIES),
        "licence": "MIT",
        "loads": True,
        "sha256": {"model.safetensors": sha256_of(folder / "model.safetensors")},
    }
    assert {name: facts[name] for name in expected} == expected
    lines = run("info", folder).stdout.splitlines()
    assert "loads:         yes" in lines
    assert "latencies:     30.4s, 10s, 1.04s, 0.64s, 0.32s" in lines


def test_info_tells_why_weights_would_not_load(tmp_path: Path) -> None:
    facts = told("info", nemo_file(tmp_path, *sound()))
    assert (facts["kind"], facts["target"], facts["loads"]) == ("nemo", "nemo.collections.asr.models.Some", False)
    assert (facts["tensors"], facts["values"]) == (2, 8)
    assert "nemo.collections.asr.models.Some" in facts["reason"]


def test_info_refuses_what_is_no_weight_file(tmp_path: Path) -> None:
    (tmp_path / "x.nemo").write_bytes(b"no archive")
    done = run("info", tmp_path / "x.nemo")
    assert done.exit_code == 1
    assert "x.nemo" in done.stderr


def test_info_of_a_pulled_model_hashes_it_again(server: FakeHub) -> None:
    pulled = told("pull", "test-model")
    server.requests.clear()
    facts = told("info", "test-model")
    assert facts.items() >= pulled.items()
    assert facts["kind"] == "nemo"
    assert server.requests == []
    file = Path(pulled["folder"]) / "diarizer.nemo"
    file.write_bytes(bytes(os.path.getsize(file)))
    done = run("info", "test-model")
    assert done.exit_code == 1
    assert "isn't what was pulled" in done.stderr


def test_a_model_of_our_own_format_is_read_from_the_hub(server: FakeHub, folder: Path) -> None:
    server.add("someone/own", {file.name: file.read_bytes() for file in folder.iterdir()})
    run("pull", "someone/own")
    facts = told("info", "someone/own")
    assert (facts["kind"], facts["loads"], facts["licence"]) == ("folder", True, "cc-by-4.0")


def test_info_reads_the_headers_of_a_transformers_model(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(4)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "some_model"}')
    facts = told("info", tmp_path)
    assert (facts["kind"], facts["model"], facts["loads"]) == ("transformers", "some_model", False)
    assert (facts["tensors"], facts["values"]) == (2, 10)
    assert "no model here reads it" in facts["reason"]
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    assert "isn't a whole safetensors file" in run("info", tmp_path).stderr


def test_speakers_of_an_offline_model_are_told_too(tmp_path: Path) -> None:
    folder = SortformerDiarizer(SortformerNetwork(SMALL)).save_pretrained(tmp_path / "own")
    facts = told("info", folder)
    assert (facts["model"], facts["speakers"], facts["latencies"]) == ("sortformer", 3, [])


@pytest.fixture
def embedder(tmp_path: Path) -> Path:
    """A small network as WeSpeaker saves it."""
    network = SpeakerResNet(ResNetShape(channels=4, blocks=(1, 1, 1, 1), dimension=12))
    torch.save(drawn_weights(shapes_of(network.state_dict())), tmp_path / "avg_model.pt")
    return tmp_path / "avg_model.pt"


def test_info_tells_what_an_embedder_is(embedder: Path) -> None:
    facts = told("info", embedder)
    expected = {
        "path": str(embedder),
        "kind": "embedder",
        "model": "WespeakerEmbedder",
        "dimension": 12,
        "sample_rate": 16000,
        "loads": True,
        "sha256": {"avg_model.pt": sha256_of(embedder)},
    }
    assert {name: facts[name] for name in expected} == expected
    assert facts["tensors"] > 30
    assert facts["parameters"] > 10000
    assert "dimension:     12" in run("info", embedder).stdout.splitlines()


def test_info_tells_what_a_segmenter_is(shared: Path) -> None:
    facts = told("info", shared / "golden/peers/1_pyannet/small.bin")
    expected = {"kind": "segmenter", "model": "PyannetSegmenter", "sample_rate": 16000, "window_seconds": 10.0}
    expected |= {"frames": 589, "speakers": 3, "classes": 7, "loads": True}
    assert {name: facts[name] for name in expected} == expected
    assert facts["frame_seconds"] == pytest.approx(270 / 16000)


def test_info_tells_what_an_onnx_file_says_of_itself(tmp_path: Path) -> None:
    segmentation = told("info", segmentation_file(tmp_path / "a.onnx", {**SEGMENTATION, "license": "MIT"}))
    expected = {"kind": "segmenter", "model": "OnnxSegmenter", "classes": 7, "licence": "MIT", "loads": True}
    assert {name: segmentation[name] for name in expected} == expected
    assert segmentation["metadata"].items() >= SEGMENTATION.items()
    assert segmentation["inputs"] == ["x (any x 1 x any)"]
    embedding = told("info", embedding_file(tmp_path / "b.onnx", {"framework": "wespeaker"}))
    assert (embedding["kind"], embedding["model"], embedding["dimension"]) == ("embedder", "OnnxEmbedder", SIZE)


def test_info_tells_why_an_onnx_file_would_not_load(tmp_path: Path) -> None:
    facts = told("info", segmentation_file(tmp_path / "a.onnx", {**SEGMENTATION, "num_speakers": "2"}))
    assert (facts["kind"], facts["loads"]) == ("onnx", False)
    assert "classes, not 7" in facts["reason"]


def test_info_tells_what_a_pipeline_is_made_of(shared: Path, tmp_path: Path, embedder: Path) -> None:
    source = shared / "golden/peers/3_pipeline/community-1"
    folder = tmp_path / "pipeline"
    shutil.copytree(source, folder, copy_function=shutil.copyfile)
    facts = told("info", folder)
    assert (facts["kind"], facts["clustering"], facts["loads"]) == ("pipeline", "VBxClustering", False)
    assert "embedding" in facts["reason"]
    (folder / "embedding").mkdir(exist_ok=True)
    shutil.copyfile(embedder, folder / "embedding/avg_model.pt")
    told_now = told("info", folder)
    assert (told_now["segmentation"], told_now["loads"]) == ("segmentation", True)
    assert told_now["parameters"] > told("info", embedder)["parameters"]
    assert told_now["sha256"]["embedding/avg_model.pt"] == sha256_of(embedder)
    assert told_now["step"] == pytest.approx(0.1)
    assert any(setting.startswith("threshold=") for setting in told_now["settings"])
