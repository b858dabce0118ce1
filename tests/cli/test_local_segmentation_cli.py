"""Pipelines, pairs of weights, and what one pass says, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from onnx_files import segmentation_file
from pipeline_files import CONVERSATION, pipeline_folder, resnet_file
from typer.testing import CliRunner

from speakerdiar.cli.main import app
from speakerdiar.formats import rttm


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pipeline_folder(tmp_path_factory.mktemp("cli") / "pipeline")


def run(*arguments: object, code: int = 0) -> str:
    found = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert found.exit_code == code, found.output
    return found.stdout if code == 0 else found.output


def test_a_pipelines_folder_diarizes(folder: Path) -> None:
    [fast] = rttm.loads(run("diarize", CONVERSATION, "--model", folder, "--quiet", "--num-speakers", 3))
    assert len(fast.speakers) == 3
    [exact] = rttm.loads(run("diarize", CONVERSATION, "--model", folder, "--quiet", "--exact"))
    assert exact.turns
    [alone] = rttm.loads(run("diarize", CONVERSATION, "--model", folder, "--quiet", "--exclusive"))
    assert alone.overlap == ()


def test_a_pair_of_weights_diarizes(tmp_path: Path) -> None:
    segmentation, embedder = segmentation_file(tmp_path / "model.onnx"), resnet_file(tmp_path / "avg_model.pt")
    document = json.loads(
        run("diarize", CONVERSATION, "--model", segmentation, "--embedder", embedder, "-q", "--format", "json")
    )
    assert document["turns"]


def test_one_pass_says_speech_overlap_and_changes(folder: Path) -> None:
    for command in ("vad", "overlap"):
        assert rttm.loads(run(command, CONVERSATION, "--model", folder, "-q", "-f", "rttm"))
    changes = json.loads(run("changes", CONVERSATION, "--model", folder, "-q", "--json"))
    assert changes


def test_an_embedder_that_is_none_is_refused(tmp_path: Path) -> None:
    said = run("diarize", CONVERSATION, "--model", segmentation_file(tmp_path / "a.onnx"), "--embedder", "ge3e", code=1)
    assert "Did you mean 'ge2e'" in said


def test_an_option_of_other_models_is_refused() -> None:
    assert "exact" in run("diarize", CONVERSATION, "--exact", code=2)
