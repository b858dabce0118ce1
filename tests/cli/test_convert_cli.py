"""`speakerdiar convert`: a model in, our own folder or an ONNX file out."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pytest
import torch
from fakes_networks import drawn_weights, shapes_of
from typer.testing import CliRunner, Result

from speakerdiar.cli.main import app
from speakerdiar.models import MODELS
from speakerdiar.models.embedders import make_embedder
from speakerdiar.models.embedders.onnx import OnnxEmbedder
from speakerdiar.models.segmenters.onnx import OnnxSegmenter
from speakerdiar.nn.resnet34 import ResNetShape, SpeakerResNet

needs_weights = pytest.mark.skipif(not MODELS["embedded"].is_here(), reason="the embedded weights aren't installed")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


@needs_weights
def test_a_model_without_weights_of_its_own_is_refused(tmp_path: Path) -> None:
    done = run("embedded", tmp_path / "out")
    assert done.exit_code == 1
    assert "embedded can't be converted: ClusteringDiarizer has no weights of its own" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_nemo_file_becomes_a_folder_that_loads(shared: Path, tmp_path: Path) -> None:
    source, out = shared / "golden/nemo/containers/nemo30.nemo", tmp_path / "out"
    done = run(source, out)
    assert (done.exit_code, done.stdout) == (0, ""), done.output
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "config.yaml", "model.safetensors"]
    assert "isn't empty" in run(source, out).stderr
    assert run(out, tmp_path / "again").exit_code == 0
    assert (tmp_path / "again/model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()
    assert run(source, out, "--overwrite").exit_code == 0


def test_an_unknown_source_is_named(tmp_path: Path) -> None:
    done = run(tmp_path / "missing.nemo", tmp_path / "out")
    assert done.exit_code == 1
    assert "missing.nemo" in done.stderr


@pytest.fixture
def embedder(tmp_path: Path) -> Path:
    """A small network as WeSpeaker saves it."""
    network = SpeakerResNet(ResNetShape(channels=4, blocks=(1, 1, 1, 1), dimension=12))
    torch.save(drawn_weights(shapes_of(network.state_dict())), tmp_path / "avg_model.pt")
    return tmp_path / "avg_model.pt"


def test_a_segmenter_becomes_an_onnx_file(shared: Path, tmp_path: Path) -> None:
    source, out = shared / "golden/peers/1_pyannet/small.bin", tmp_path / "segmentation.onnx"
    done = run(source, out)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"written to {out}\n"), done.output
    assert OnnxSegmenter(out).speakers == 3
    said = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    assert said["comment"] == "exported by speakerdiar from small.bin"
    assert "is there already" in run(source, out).stderr
    assert run(source, out, "--overwrite", "--int8").exit_code == 0
    assert OnnxSegmenter(out).speakers == 3


def test_an_embedder_becomes_a_folder_and_that_an_onnx_file(embedder: Path, tmp_path: Path) -> None:
    assert run(embedder, tmp_path / "own").exit_code == 0
    assert make_embedder(tmp_path / "own").dimension == 12
    assert "isn't empty" in run(embedder, tmp_path / "own").stderr
    assert run(tmp_path / "own", tmp_path / "embedding.onnx").exit_code == 0
    assert OnnxEmbedder(tmp_path / "embedding.onnx").dimension == 12


def test_what_cannot_be_written_is_one_line_of_error(embedder: Path, tmp_path: Path) -> None:
    run(embedder, tmp_path / "a.onnx")
    for arguments, message in (
        ((embedder, tmp_path / "out", "--int8"), "--int8 with"),
        ((embedder, tmp_path / "out.nemo"), ".nemo files aren't written"),
        ((tmp_path / "a.onnx", tmp_path / "b.onnx"), "no segmenter or embedder is read from ONNX"),
        ((tmp_path / "a.onnx", tmp_path / "out"), "no segmenter or embedder is read from ONNX"),
        ((tmp_path / "missing.bin", tmp_path / "b.onnx"), "missing.bin"),
    ):
        done = run(*arguments)
        assert (done.exit_code != 0, len(done.stderr.splitlines())) == (True, 1), done.output
        assert message in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "avg_model.pt"]


def test_a_pipeline_is_no_single_network(shared: Path, tmp_path: Path) -> None:
    folder = shared / "golden/peers/3_pipeline/community-1"
    assert "config.yaml" in [path.name for path in folder.iterdir()]
    for out in ("out", "out.onnx"):
        assert run(folder, tmp_path / out).exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(embedder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = run(embedder, tmp_path / "a.onnx")
    assert done.exit_code == 1
    assert "speakerdiar[export]" in done.stderr


def test_help_names_the_command() -> None:
    assert "convert" in CliRunner().invoke(app, ["--help"]).stdout
    assert "--overwrite" in run("--help").stdout
