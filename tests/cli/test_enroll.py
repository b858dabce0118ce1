"""Enrolling, identifying, listing and forgetting, as a person does it, with turns of the demo conversation."""

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

DATA = Path(__file__).resolve().parents[2] / "examples" / "data"

needs_weights = pytest.mark.skipif(not MODELS["embedded"].is_here(), reason="the embedded weights aren't installed")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two long turns of each speaker, silence, and the first seconds of the conversation."""
    folder = tmp_path_factory.mktemp("clips")
    [truth] = load(DATA / "conversation.rttm")
    samples, rate = soundfile.read(DATA / "conversation.flac", dtype="float32")
    for name in truth.speakers:
        spoken = [turn for turn in truth if turn.speaker == name and turn.duration > 3]
        for number, turn in enumerate(spoken[:2]):
            part = samples[round(turn.start * rate) : round(turn.end * rate)]
            soundfile.write(folder / f"{name}{number}.wav", part, rate)
    soundfile.write(folder / "silence.wav", np.zeros(rate * 2, np.float32), rate)
    soundfile.write(folder / "talk.wav", samples[: 24 * rate], rate)
    return folder


@pytest.fixture(scope="module")
def store(clips: Path) -> Path:
    """A store that knows three of the four."""
    path = clips / "voices.db"
    for name in ("ada", "ben", "cleo"):
        done = run("enroll", name, clips / f"{name}0.wav", "--store", path)
        assert done.exit_code == 0, done.output
    return path


@needs_weights
def test_enrolling_says_what_is_kept_and_what_may_be_wrong(clips: Path, tmp_path: Path) -> None:
    to = ("--store", tmp_path / "voices.db")
    first = run("enroll", "Ada L.", clips / "ada0.wav", *to)
    assert first.stdout == "Ada L.: 1 recording, 3.0 s of speech\n"
    assert first.stderr == "warning: Ada L.: 3.0 s of speech in all: 5 s or more make a steadier voice.\n"
    second = run("enroll", "Ada L.", clips / "ada1.wav", clips / "ada0.wav", *to)
    assert second.stdout.startswith("Ada L.: 2 recordings, 8.3 s of speech, agreement 0.")
    assert second.stderr == f"warning: {clips / 'ada0.wav'}: enrolled already; it counts once.\n"
    third = run("enroll", "Ada L.", clips / "ben0.wav", "--json", *to)
    assert "ben0.wav: unlike the other clips of Ada L." in third.stderr
    facts = json.loads(third.stdout)
    assert (facts["person"]["clips"], facts["added"]) == (3, 1)
    assert facts["agreement"] < 0.47


@needs_weights
def test_the_enrolled_are_known_and_others_unknown(clips: Path, store: Path) -> None:
    files = [clips / f"{name}1.wav" for name in ("ada", "ben", "cleo", "duncan")]
    done = run("identify", *files, "--store", store)
    assert done.exit_code == 0, done.output
    assert [line.split(" (")[0] for line in done.stdout.splitlines()] == [
        "ada1: ada",
        "ben1: ben",
        "cleo1: cleo",
        "duncan1: unknown",
    ]
    found = json.loads(run("identify", files[0], files[3], "--store", store, "--json", "--top", 2).stdout)
    ada, duncan = found["recordings"]
    assert (ada["recording_id"], ada["name"], duncan["name"]) == ("ada1", "ada", None)
    assert [len(answer["nearest"]) for answer in (ada, duncan)] == [2, 2]
    assert duncan["score"] == duncan["nearest"][0]["score"] < found["threshold"] <= ada["score"]
    strict = run("identify", files[0], "--store", store, "--threshold", 1)
    assert strict.stdout.startswith("ada1: unknown (ada 0.")


@needs_weights
def test_one_bad_file_does_not_stop_identifying(clips: Path, store: Path) -> None:
    done = run("identify", clips / "silence.wav", clips / "gone.wav", clips / "ben1.wav", "--store", store)
    assert done.exit_code == 1
    assert done.stdout.startswith("ben1: ben (ben 0.")
    assert "silence.wav: no speech heard" in done.stderr
    assert "gone.wav" in done.stderr


@needs_weights
def test_a_recording_that_cannot_be_enrolled_enrols_nobody(clips: Path, tmp_path: Path) -> None:
    done = run("enroll", "Ada", clips / "ada0.wav", clips / "silence.wav", "--store", tmp_path / "voices.db")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "silence.wav: no speech heard" in done.stderr
    listed = run("list", "--store", tmp_path / "voices.db")
    assert (listed.stdout, listed.stderr) == ("", f"0 enrolled in {tmp_path / 'voices.db'}\n")


@needs_weights
def test_the_enrolled_are_listed_carried_and_forgotten(store: Path, tmp_path: Path) -> None:
    listed = run("list", "--store", store)
    assert [line.split()[:3] for line in listed.stdout.splitlines()] == [
        [name, "1", "recording"] for name in ("ada", "ben", "cleo")
    ]
    assert listed.stderr == f"3 enrolled in {store} with ge2e\n"
    assert run("voiceprints", "export", tmp_path / "voices.json", "--store", store).exit_code == 0
    other = ("--store", tmp_path / "other.db")
    assert run("voiceprints", "import", tmp_path / "voices.json", *other).stderr == "imported ada, ben, cleo\n"
    wrong = run("forget", "ada", "bea", *other)
    assert wrong.exit_code == 2
    assert "Did you mean 'ben'?" in wrong.stderr
    assert run("forget", "ada", "ben", *other).exit_code == 0
    facts = json.loads(run("list", "--json", *other).stdout)
    assert (facts["embedder"], facts["store"]) == ("ge2e", str(tmp_path / "other.db"))
    assert [sorted(person) for person in facts["people"]] == [["clips", "name", "seconds", "since"]]
    assert facts["people"][0]["name"] == "cleo"


@needs_weights
def test_diarize_names_the_enrolled_and_numbers_the_others(clips: Path, store: Path, tmp_path: Path) -> None:
    done = run("diarize", clips / "talk.wav", "--store", store, "--format", "json", "--quiet")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert {turn["speaker"] for turn in document["turns"]} == {"ada", "ben", "cleo", "SPEAKER_00"}
    assert sorted(document["identified"]) == ["ada", "ben", "cleo"]
    profiles = ("--profile", f"Cleo={clips / 'cleo0.wav'}", "--profile", f"Cleo={clips / 'cleo1.wav'}")
    done = run("diarize", clips / "talk.wav", *profiles, "--format", "json", "--quiet")
    assert list(json.loads(done.stdout)["identified"]) == ["Cleo"]


@needs_weights
def test_the_store_may_be_named_by_the_environment(clips: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEAKERDIAR_VOICES", str(store))
    done = run("diarize", clips / "talk.wav", "--voices", "--quiet", "--name-threshold", 1)
    assert {line.split()[7] for line in done.stdout.splitlines()} == {f"SPEAKER_0{index}" for index in range(4)}
    assert run("list").stdout.startswith("ada ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["identify", "a.wav"],
        ["list"],
        ["forget", "ada"],
        ["voiceprints", "export", "voices.json"],
        ["diarize", str(DATA / "conversation.flac")],
    ],
)
def test_a_store_that_is_not_there_is_told_and_not_made(arguments: list[str], tmp_path: Path) -> None:
    done = run(*arguments, "--store", tmp_path / "voices.db")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "voices.db: there is no store of voices: make it with" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--profile", "ana.wav"], "--profile 'ana.wav': give NAME=FILE"),
        (["--profile", "=ana.wav"], "give NAME=FILE"),
        (["--profile", "Ana=ana.wav", "--voices"], "names have one source"),
        (["--profile", "Ana=ana.wav", "--store", "voices.db"], "names have one source"),
        (["--name-threshold", "0.5"], "--name-threshold 0.5: add --voices"),
    ],
)
def test_names_that_cannot_be_given_are_refused_before_any_work(options: list[str], said: str) -> None:
    done = run("diarize", "gone.wav", *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr


@needs_weights
def test_what_cannot_be_named_with_is_told(clips: Path, tmp_path: Path) -> None:
    run("enroll", "Ada", clips / "silence.wav", "--store", tmp_path / "voices.db")
    for command in ("identify", "diarize"):
        done = run(command, clips / "talk.wav", "--store", tmp_path / "voices.db")
        assert done.exit_code == 2
        assert "voices.db: nobody is enrolled" in done.stderr
    done = run("diarize", clips / "talk.wav", "--profile", f"Ada={clips / 'gone.wav'}")
    assert "gone.wav" in done.stderr
    (tmp_path / "voices.db").write_text("no database, but a text that is long enough to be looked at")
    for arguments in (["list"], ["identify", clips / "talk.wav"], ["enroll", "Ada", clips / "ada0.wav"]):
        done = run(*arguments, "--store", tmp_path / "voices.db")
        assert done.exit_code == 2
        assert "voices.db: can't be read as a store of voices" in done.stderr
