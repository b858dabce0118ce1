"""`speakerdiar embed` on parts of the demo conversation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from speakerdiar.cli.main import app
from speakerdiar.models import MODELS
from speakerdiar.models.verification import Verifier

DATA = Path(__file__).resolve().parents[2] / "examples" / "data"
TURNS = [("conversation", 1.0, 3.0, "ada"), ("conversation", 3.5, 3.0, "ada"), ("conversation", 4.5, 6.0, "ben")]

needs_weights = pytest.mark.skipif(not MODELS["embedded"].is_here(), reason="the embedded weights aren't installed")


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the first seconds of the conversation, some turns of it, and silence."""
    folder = tmp_path_factory.mktemp("talk")
    samples, rate = soundfile.read(DATA / "conversation.flac", dtype="float32", frames=16000 * 12)
    soundfile.write(folder / "conversation.wav", samples, rate)
    soundfile.write(folder / "silence.wav", np.zeros(rate, np.float32), rate)
    lines = [f"SPEAKER {id} 1 {start} {length} <NA> <NA> {name} <NA> <NA>\n" for id, start, length, name in TURNS]
    (folder / "turns.rttm").write_text("".join(lines))
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["embed", *(str(argument) for argument in arguments)])


@needs_weights
def test_a_file_gets_the_vector_of_its_speech(talk: Path) -> None:
    done = run(talk / "conversation.wav")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    [row] = document["embeddings"]
    assert (document["embedder"], row["recording_id"], set(row)) == ("ge2e", "conversation", {"recording_id", "vector"})
    np.testing.assert_allclose(row["vector"], Verifier().embed(talk / "conversation.wav"), atol=1e-6)


@needs_weights
def test_each_turn_gets_a_vector(talk: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "turns.npz"
    done = run(talk / "conversation.wav", "--segments", talk / "turns.rttm", "-o", out, "-q")
    assert (done.exit_code, done.output) == (0, "")
    with np.load(out) as found:
        assert found["vectors"].shape == (3, 256)
        assert found["vectors"].dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found["vectors"], axis=1), 1, rtol=1e-5)
        assert found["speakers"].tolist() == ["ada", "ada", "ben"]
        np.testing.assert_allclose(found["starts"], [1.0, 3.5, 4.5])
        np.testing.assert_allclose(found["ends"], [4.0, 6.5, 10.5])
        assert found["recordings"].tolist() == ["conversation"] * 3


@needs_weights
def test_times_of_a_part_are_the_recordings_own(talk: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "part.jsonl"
    entry = {"audio_filepath": str(talk / "conversation.wav"), "offset": 0.5, "duration": 11, "uniq_id": "conversation"}
    manifest.write_text(json.dumps(entry))
    turns = ("--segments", talk / "turns.rttm")
    whole, part = (json.loads(run(name, *turns).stdout)["embeddings"] for name in (talk / "conversation.wav", manifest))
    for one, other in zip(whole, part, strict=True):
        assert (one["start"], one["end"]) == (other["start"], other["end"])
        assert np.dot(one["vector"], other["vector"]) > 0.999


@needs_weights
def test_each_speaker_gets_the_vector_of_where_only_they_talk(talk: Path, tmp_path: Path) -> None:
    options = ("--per", "speaker", "-o", tmp_path / "speakers.json")
    done = run(talk / "conversation.wav", "--segments", talk / "turns.rttm", *options)
    assert done.exit_code == 0, done.output
    ada, ben = json.loads((tmp_path / "speakers.json").read_text())["embeddings"]
    assert (ada["speaker"], ben["speaker"], set(ada)) == ("ada", "ben", {"recording_id", "speaker", "vector"})
    samples, _ = soundfile.read(talk / "conversation.wav", dtype="float32")
    np.testing.assert_allclose(ada["vector"], Verifier().embedder.embed(samples[16000:72000])[0], atol=1e-5)


@needs_weights
def test_a_speaker_who_never_talks_alone_gets_all_turns(talk: Path, tmp_path: Path) -> None:
    rttm = tmp_path / "both.rttm"
    line = "SPEAKER conversation 1 1 3 <NA> <NA> {} <NA> <NA>\n"
    rttm.write_text(line.format("x") + line.format("y"))
    rows = json.loads(run(talk / "conversation.wav", "--segments", rttm, "--per", "speaker").stdout)["embeddings"]
    assert [row["speaker"] for row in rows] == ["x", "y"]
    assert rows[0]["vector"] == rows[1]["vector"]


@needs_weights
def test_one_bad_file_does_not_stop_the_others(talk: Path) -> None:
    done = run(talk / "silence.wav", talk / "gone.wav", talk / "conversation.wav")
    assert done.exit_code == 1
    assert [row["recording_id"] for row in json.loads(done.stdout)["embeddings"]] == ["conversation"]
    assert "silence.wav: no speech heard" in done.stderr
    assert "gone.wav" in done.stderr
    done = run(talk / "silence.wav", "--segments", talk / "turns.rttm")
    assert "no turns of this recording in --segments" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "x.csv"], ".npz or .json"),
        (["--embedder", "ge2"], "Did you mean 'ge2e'?"),
        (["--segments", "gone.rttm"], "gone.rttm"),
    ],
)
def test_a_wrong_option_is_refused_before_any_work(arguments: list[str], said: str) -> None:
    done = run("a.wav", *arguments)
    assert done.exit_code in (1, 2)
    assert said in done.stderr
    assert done.stdout == ""
