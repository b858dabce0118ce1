"""`speakerdiar convert`: a model in, our own folder out."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from speakerdiar.cli.main import app
from speakerdiar.models import MODELS

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


def test_help_names_the_command() -> None:
    assert "convert" in CliRunner().invoke(app, ["--help"]).stdout
    assert "--overwrite" in run("--help").stdout
