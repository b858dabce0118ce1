"""`speakerdiar verify` on turns of the demo conversation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from speakerdiar.cli.main import app
from speakerdiar.formats import load
from speakerdiar.models import MODELS
from speakerdiar.models.embedders.ge2e import Ge2eEmbedder

DATA = Path(__file__).resolve().parents[2] / "examples" / "data"

needs_weights = pytest.mark.skipif(not MODELS["embedded"].is_here(), reason="the embedded weights aren't installed")


@pytest.fixture(scope="session")
def turns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two long turns of each of two speakers, and silence."""
    folder = tmp_path_factory.mktemp("turns")
    [truth] = load(DATA / "conversation.rttm")
    samples, rate = soundfile.read(DATA / "conversation.flac", dtype="float32")
    for name in ("ada", "duncan"):
        (folder / name).mkdir()
        spoken = [turn for turn in truth if turn.speaker == name and turn.duration > 2.5]
        for number, turn in enumerate(spoken[:2]):
            part = samples[round(turn.start * rate) : round(turn.end * rate)]
            soundfile.write(folder / name / f"{number}.wav", part, rate)
    soundfile.write(folder / "silence.wav", np.zeros(rate * 2, np.float32), rate)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["verify", *(str(argument) for argument in arguments)])


@needs_weights
def test_two_recordings_get_score_threshold_and_decision(turns: Path) -> None:
    done = run(turns / "ada" / "0.wav", turns / "ada" / "1.wav")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[2] == "decision:  same speaker"
    found = json.loads(run(turns / "ada" / "0.wav", turns / "duncan" / "0.wav", "--json").stdout)
    assert found["threshold"] == Ge2eEmbedder.voice_threshold
    assert not found["same"]
    assert -1 <= found["score"] < found["threshold"]


@needs_weights
def test_the_exit_code_tells_only_if_asked(turns: Path) -> None:
    two = (turns / "ada" / "0.wav", turns / "duncan" / "0.wav")
    assert [run(*two).exit_code, run(*two, "--exit-code").exit_code] == [0, 3]
    assert run(*two, "--exit-code", "--threshold", 0.0).exit_code == 0


@needs_weights
def test_a_side_may_be_a_folder(turns: Path) -> None:
    found = json.loads(run(turns / "ada", turns / "ada" / "0.wav", "--json").stdout)
    assert found["score"] > 0.9


@needs_weights
def test_trials_give_error_rates_and_thresholds(turns: Path) -> None:
    lines = ["1 ada/0.wav ada/1.wav", "duncan/0.wav duncan/1.wav target", "0 ada/0.wav duncan/1.wav"]
    trials = turns / "trials.txt"
    trials.write_text("\n".join([*lines, "ada/1.wav duncan/0.wav nontarget"]))
    figures = json.loads(run("--trials", trials, "--json", "--false-accept", 0.5, "--quiet").stdout)
    assert figures["trials"] == {"same": 2, "different": 2}
    assert figures["eer"]["rate"] == 0
    assert figures["min_dcf"] == {"cost": 0.0, "threshold": figures["eer"]["threshold"], "p_target": 0.01}
    default, asked = figures["at"]
    assert default == {"threshold": Ge2eEmbedder.voice_threshold, "miss": 0.0, "false_accept": 0.0}
    assert asked["false_accept"] == 0.5
    done = run("--trials", trials, "--threshold", 1)
    assert "EER:    0.00 % at threshold" in done.stdout
    assert "at threshold 1.0000: miss 100.00 %, false accept 0.00 %" in done.stdout


@needs_weights
def test_silence_is_an_error_that_names_the_file(turns: Path) -> None:
    done = run(turns / "ada" / "0.wav", turns / "silence.wav")
    assert done.exit_code == 2
    assert "silence.wav: no speech heard" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a recording for each"),
        (["a.wav"], "name a recording for each"),
        (["a.wav", "b.wav", "--trials", "list.txt"], "leave out 'a.wav'"),
        (["--trials", "list.txt", "--exit-code"], "leave out --exit-code"),
        (["a.wav", "b.wav", "--threshold", "2"], "threshold=2.0"),
        (["a.wav", "b.wav", "--embedder", "ge2"], "Did you mean 'ge2e'?"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code in (1, 2)
    assert said in done.stderr
    assert done.stdout == ""


@needs_weights
@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("1 gone.wav gone.wav\n", [], "None of 1 trials is of two speakers"),
        ("1 gone.wav gone.wav\n0 gone.wav b.wav\n", ["--p-target", "0"], "p_target=0"),
        ("1 gone.wav gone.wav\n0 gone.wav b.wav\n", ["--false-accept", "7"], "false_accept=7"),
        ("1 gone.wav gone.wav\n0 gone.wav b.wav\n", [], "gone.wav"),
        ("1 gone.wav\n", [], "trials.txt:1: 2 fields"),
    ],
)
def test_trials_that_cannot_be_measured_are_refused(tmp_path: Path, text: str, options: list[str], said: str) -> None:
    (tmp_path / "trials.txt").write_text(text)
    done = run("--trials", tmp_path / "trials.txt", *options)
    assert done.exit_code == 2
    assert said in done.stderr
