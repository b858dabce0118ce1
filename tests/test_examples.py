"""Every example runs as it stands, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pipeline_files import pipeline_folder

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted(ROOT.glob("examples/*.py"))
ARGUMENTS = {
    "03_stream_microphone.py": [str(ROOT / "examples/data/conversation.flac")],  # else it listens forever
    "07_simulate_and_train.py": ["4"],  # steps; more take minutes
}

SAYS = {
    "05_verify_speakers.py": "same speaker",
    "07_simulate_and_train.py": "who speaks when",
}  # the others say who speaks when


def test_there_are_examples() -> None:
    numbered = {
        *("01_diarize_file.py", "02_own_model.py", "03_stream_microphone.py", "04_pyannote_pipeline.py"),
        *("05_verify_speakers.py", "06_named_speakers.py", "07_simulate_and_train.py"),
    }
    assert {*numbered, "demo.py"} <= {path.name for path in EXAMPLES}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pyannote pipeline whose small networks know nothing."""
    return pipeline_folder(tmp_path_factory.mktemp("example") / "pipeline")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_runs_and_says_something(path: Path, tmp_path: Path, pipeline: Path) -> None:
    before = _files(ROOT / "examples")
    arguments = [str(pipeline)] if path.name == "04_pyannote_pipeline.py" else ARGUMENTS.get(path.name, [])
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:speakerdiar", str(path), *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert SAYS.get(path.name, "SPEAKER_00") in done.stdout
    assert _files(ROOT / "examples") == before


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60


def test_demo_writes_its_three_files(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(ROOT / "examples/demo.py")], cwd=tmp_path, check=True, capture_output=True)
    assert _files(tmp_path) == {f"demo-out/conversation.{suffix}" for suffix in ("json", "png", "rttm")}


def _files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
