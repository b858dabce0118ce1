"""The command line, run as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from speakerdiar.cli.diarize import file_stem, file_stems
from speakerdiar.cli.main import app
from speakerdiar.config import DiarizeConfig, field_docs
from speakerdiar.formats import json_doc, load, rttm
from speakerdiar.models import MODELS

ROOT = Path(__file__).resolve().parents[2]
CONVERSATION = ROOT / "examples" / "data" / "conversation.flac"

needs_weights = pytest.mark.skipif(not MODELS["embedded"].is_here(), reason="the embedded weights aren't installed")


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two short recordings and one file that is no audio."""
    folder = tmp_path_factory.mktemp("clips")
    samples, rate = soundfile.read(CONVERSATION, dtype="float32", stop=16000 * 14)
    (folder / "sub").mkdir()
    soundfile.write(folder / "first talk.wav", samples[: rate * 8], rate)
    soundfile.write(folder / "sub" / "second.flac", np.stack([samples, samples[::-1]], axis=1), rate)
    return folder


def run(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from speakerdiar.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'scipy', 'soundfile', 'librosa', 'matplotlib'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout
    for command in ("diarize", "stream", "score", "models", "info"):
        assert command in done.stdout


def test_options_are_explained_as_in_the_config() -> None:
    shown = " ".join(run("diarize", "--help").output.replace("│", " ").split())
    for name in ("num_speakers", "min_speakers", "max_speakers"):
        assert f"--{name.replace('_', '-')}" in shown
        assert field_docs(DiarizeConfig)[name] in shown


def test_version() -> None:
    assert run("--version").output.startswith("speakerdiar 0.")


@needs_weights
def test_json_on_standard_output_is_only_json(clips: Path) -> None:
    done = run("diarize", clips / "first talk.wav", "--format", "json")
    assert done.exit_code == 0, done.output
    result = json_doc.from_document(json.loads(done.stdout))
    assert (result.recording_id, result.duration) == ("first talk", 8.0)
    assert result.turns
    assert "first talk: " in done.stderr


@needs_weights
def test_several_recordings_give_an_array(clips: Path) -> None:
    done = run("diarize", clips, "--format", "json", "--quiet")
    assert done.exit_code == 0, done.output
    assert [document["recording_id"] for document in json.loads(done.stdout)] == ["first talk", "second"]
    assert done.stderr == ""


@needs_weights
def test_the_shape_of_json_follows_what_was_asked_for(clips: Path, tmp_path: Path) -> None:
    done = run("diarize", clips / "first talk.wav", tmp_path / "missing.wav", "--format", "json", "--quiet")
    assert done.exit_code == 1
    [document] = json.loads(done.stdout)
    assert document["recording_id"] == "first talk"
    saved = tmp_path / "both.json"
    saved.write_text(done.stdout)
    assert [result.recording_id for result in load(saved)] == ["first talk"]


@needs_weights
def test_output_that_cannot_be_written_is_one_line_of_error(clips: Path) -> None:
    command = [sys.executable, "-m", "speakerdiar", "diarize", str(clips / "first talk.wav"), "-q"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: standard output")
    assert "Traceback" not in done.stderr


@needs_weights
def test_files_are_written_in_every_format_and_drawn(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--format", "rttm,json,vtt", "--out", out, "--plot", "--num-speakers", 2)
    done = run("diarize", clips / "first talk.wav", *options)
    assert done.exit_code == 0, done.output
    names = ["first talk.json", "first talk.png", "first talk.rttm", "first talk.vtt"]
    assert sorted(path.name for path in out.iterdir()) == names
    [result] = rttm.load(out / "first talk.rttm")
    assert len(result.speakers) == 2
    assert done.stdout == ""


@needs_weights
def test_one_bad_file_does_not_stop_the_others(clips: Path, tmp_path: Path) -> None:
    bad = tmp_path / "notes.wav"
    bad.write_text("not audio at all")
    names = (bad, tmp_path / "missing.wav", tmp_path / "*.flac", clips / "first talk.wav")
    done = run("diarize", *names, "--out", tmp_path / "out", "--quiet")
    assert done.exit_code == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["first talk.rttm"]
    assert done.stderr.count("error:") == 3
    for name in ("notes.wav", "missing.wav", "*.flac"):
        assert name in done.stderr


@needs_weights
def test_each_channel_on_its_own_and_exclusive(clips: Path) -> None:
    done = run("diarize", clips / "sub" / "second.flac", "--channel", "each", "--exclusive", "-f", "json", "-q")
    assert done.exit_code == 0, done.output
    documents = json.loads(done.stdout)
    assert [document["recording_id"] for document in documents] == ["second.ch0", "second.ch1"]
    for document in documents:
        assert not json_doc.from_document(document).overlap


@needs_weights
def test_standard_input(clips: Path) -> None:
    audio = (clips / "first talk.wav").read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "speakerdiar", "diarize", "-", "-q"], input=audio, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    [result] = rttm.loads(done.stdout.decode())
    assert result.recording_id == "stdin"


@needs_weights
def test_a_manifest_is_a_list_of_recordings(clips: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "set.jsonl"
    path = str(clips / "first talk.wav")
    entries = [{"audio_filepath": path, "offset": 1.0, "duration": 5.0, "uniq_id": "part"}]
    manifest.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    done = run("diarize", manifest, "-f", "json", "-q")
    document = json.loads(done.stdout)
    assert (document["recording_id"], document["offset"], document["duration"]) == ("part", 1.0, 5.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "rtm"], "rttm"),
        (["--format", "rttm,json"], "--out"),
        (["--format", ","], "--format"),
        (["--num-speakers", 0], "num_speakers=0"),
        (["--min-speakers", 3, "--max-speakers", 2], "max_speakers=2"),
        (["--channel", "left"], "--channel"),
        (["--out", CONVERSATION], "--out"),
        (["--model", "embeded"], "'embedded'"),
    ],
)
def test_a_wrong_option_is_refused_before_any_work(arguments: list[object], said: str) -> None:
    done = run("diarize", CONVERSATION, *arguments)
    assert done.exit_code in (1, 2)
    assert said in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("id", "stem"),
    [
        ("talk", "talk"),
        ("a/talk", "a/talk"),
        ("../../x", "x"),
        ("/etc/x", "etc/x"),
        ("..\\x", "x"),
        ("..", "recording"),
    ],
)
def test_an_id_never_leads_out_of_the_folder(id: str, stem: str) -> None:
    assert file_stem(id) == stem


def write_turns(path: Path, rows: list[tuple[str, float, float, str]]) -> Path:
    path.write_text("".join(f"SPEAKER {id} 1 {s} {d} <NA> <NA> {name} <NA> <NA>\n" for id, s, d, name in rows))
    return path


def test_score_prints_every_file_and_the_protocol(tmp_path: Path) -> None:
    reference = write_turns(tmp_path / "ref.rttm", [("a", 0, 10, "x"), ("b", 0, 10, "y")])
    hypothesis = write_turns(tmp_path / "hyp.rttm", [("a", 0, 9, "p"), ("b", 0, 10, "q")])
    done = run("score", reference, hypothesis, "--collar", 0.25)
    assert done.exit_code == 0, done.output
    for part in ("a", "b", "TOTAL", "0.25", "overlap", "2 files"):
        assert part in done.stdout, part
    report = json.loads(run("score", reference, hypothesis, "--json").stdout)
    assert report["total"]["der"] == pytest.approx(0.05)


def test_score_takes_folders_and_reports_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "ref").mkdir()
    (tmp_path / "hyp").mkdir()
    write_turns(tmp_path / "ref" / "a.rttm", [("a", 0, 10, "x")])
    write_turns(tmp_path / "ref" / "b.rttm", [("b", 0, 10, "x")])
    write_turns(tmp_path / "hyp" / "a.rttm", [("a", 0, 10, "x")])
    (tmp_path / "ref" / "notes.json").write_text("[]")
    done = run("score", tmp_path / "ref", tmp_path / "hyp")
    assert done.exit_code == 2
    assert "b" in done.stderr
    done = run("score", tmp_path / "ref", tmp_path / "hyp", "--missing", "empty", "--json")
    assert json.loads(done.stdout)["total"]["der"] == pytest.approx(0.5)


def test_an_empty_file_says_that_nobody_speaks(tmp_path: Path) -> None:
    reference = write_turns(tmp_path / "a.rttm", [("a", 0, 10, "x")])
    (tmp_path / "hyp").mkdir()
    (tmp_path / "hyp" / "a.rttm").write_text("")
    report = json.loads(run("score", reference, tmp_path / "hyp", "--json").stdout)
    assert report["total"]["der"] == 1.0


def test_models_lists_the_table() -> None:
    rows = json.loads(run("models", "--json").stdout)
    assert [row["name"] for row in rows] == list(MODELS)
    assert all(row["licence"] for row in rows)
    table = run("models").stdout
    assert "embedded" in table


def test_info_describes_audio_and_turns(tmp_path: Path) -> None:
    [audio] = json.loads(run("info", CONVERSATION, "--json").stdout)
    assert (audio["sample_rate"], audio["channels"]) == (16000, 1)
    turns = write_turns(tmp_path / "x.rttm", [("a", 0, 10, "x"), ("a", 8, 4, "y")])
    [described] = json.loads(run("info", turns, "--json").stdout)
    assert described["speakers"] == {"x": 10.0, "y": 4.0}
    assert described["overlap"] == 2.0
    assert "overlap:" in run("info", turns).stdout
    missing = run("info", tmp_path / "nothing.wav")
    assert missing.exit_code != 0
    assert "nothing.wav" in missing.stderr


def test_the_module_is_the_command() -> None:
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-m", "speakerdiar", "info", str(CONVERSATION)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert "16000" in done.stdout


def test_two_ids_never_share_a_file() -> None:
    assert list(file_stems(["a:b", "a_b", "a_b#2", "../a_b"]).values()) == ["a_b", "a_b#2", "a_b#2#2", "a_b#3"]


@needs_weights
def test_an_error_names_its_file_once_and_logs_hold_no_blank_lines(tmp_path: Path) -> None:
    bad = tmp_path / "empty.wav"
    bad.touch()
    done = run("diarize", bad)
    assert done.exit_code == 1
    assert done.stderr.count(str(bad)) == 1
    assert all(done.stderr.splitlines())


def test_the_table_of_models_cuts_nothing_off() -> None:
    assert "…" not in run("models").output
