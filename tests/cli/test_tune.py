"""`speakerdiar tune`, and `speakerdiar diarize` with what it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from fakes_sortformer import nemo_config, tiny_network, write_nemo
from typer.testing import CliRunner, Result

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.cli.main import app
from speakerdiar.formats import save
from speakerdiar.models.settings import DiarizerSettings

CONVERSATION = Path(__file__).resolve().parents[2] / "examples" / "data" / "conversation.flac"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = tiny_network()
    path = tmp_path_factory.mktemp("weights") / "tiny.nemo"
    return write_nemo(path, network, nemo_config(network.shape, streaming=True))


@pytest.fixture(scope="module")
def dev_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pieces of a conversation with made-up turns, and a manifest that gives them splits."""
    folder = tmp_path_factory.mktemp("dev")
    samples, rate = soundfile.read(CONVERSATION, dtype="float32", stop=16000 * 12)
    rows = []
    for name, part, split in (("one", samples[: 6 * rate], "dev"), ("two", samples[6 * rate :], "test")):
        soundfile.write(folder / f"{name}.wav", part, rate)
        save(Diarization(name, 6.0, (Turn(0.5, 2.5, "Ann"), Turn(3.0, 5.0, "Ben"))), folder / f"{name}.rttm")
        rows.append({"audio": f"{name}.wav", "rttm": f"{name}.rttm", "split": split})
    (folder / "splits.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def rates(table: str, row: str) -> list[str]:
    """Return DER, miss, false alarm and confusion, before or after."""
    [line] = [line for line in table.splitlines() if f" {row} " in line and "sought" not in line]
    return line.split(f" {row} ")[1].split()[:4]


def test_the_file_gives_the_error_rate_that_tuning_printed(dev_set: Path, weights: Path, tmp_path: Path) -> None:
    best, turns = tmp_path / "best.yaml", tmp_path / "turns"
    done = run("tune", weights, dev_set, "--out", best, "--trials", 8, "--seed", 1)
    assert done.exit_code == 0, done.output
    printed = rates(done.stdout, "after")
    assert float(printed[0]) < float(rates(done.stdout, "before")[0])
    assert best.read_text().startswith(f"# Tuned on 2 recordings of {dev_set.name}: DER {printed[0]} %.\n")
    audio = [dev_set / "one.wav", dev_set / "two.wav"]
    assert run("diarize", *audio, "--config", best, "--out", turns, "-f", "json", "-q").exit_code == 0
    scored = run("score", dev_set, turns)
    [total] = [line.split() for line in scored.stdout.splitlines() if line.startswith("TOTAL")]
    assert total[1:5] == printed


def test_without_a_file_the_yaml_is_printed_and_a_split_is_a_part(dev_set: Path, weights: Path) -> None:
    only = ("--only", "postprocessing_params.onset")
    done = run("tune", weights, dev_set / "splits.jsonl", "--split", "dev", "--trials", 3, *only, "-q")
    assert done.exit_code == 0, done.output
    assert "tuned on (1)" in done.stdout
    yaml = done.stdout[done.stdout.index("# Tuned on") :]
    assert "\ndiarize:\n  postprocessing_params:\n    onset: " in yaml
    assert "pad_onset" not in done.stdout[: done.stdout.index("# Tuned on")]
    assert "hold some out" in done.stderr


def test_it_begins_with_the_values_of_a_file(dev_set: Path, weights: Path, tmp_path: Path) -> None:
    params = {"onset": 0.31, "min_duration_off": 0.77}
    start = DiarizerSettings("another", diarize={"max_speakers": 2, "postprocessing_params": params})
    begin = start.write(tmp_path / "start.yaml")
    done = run("tune", weights, dev_set, "--config", begin, "--out", tmp_path / "out.yaml", "--trials", 1)
    assert done.exit_code == 0, done.output
    found = DiarizerSettings.read(tmp_path / "out.yaml")
    assert found.model == str(weights)
    assert found.diarize["max_speakers"] == 2
    assert found.diarize["postprocessing_params"].items() >= params.items()
    assert "Nothing beat the present values in 1 trials." in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--only", "postprocessing_params.onsett"), "Did you mean 'postprocessing_params.onset'?"),
        (("--split", "dev"), "has no manifest.jsonl"),
        (("--trials", "0"), "trials=0"),
        (("--collar", "-1"), "collar=-1"),
        (("--config", "absent.yaml"), "there is no such file"),
        (("--out", "."), "is a folder"),
        (("--device", "tpu9"), "device='tpu9' can't be used"),
    ],
)
def test_what_cannot_be_done_is_said(dev_set: Path, weights: Path, options: tuple[str, ...], said: str) -> None:
    done = run("tune", weights, dev_set, *options)
    assert done.exit_code == 2
    assert done.output.count(said) == 1
    assert done.stdout == ""


def test_options_win_over_the_file(dev_set: Path, weights: Path, tmp_path: Path) -> None:
    params = {"onset": 0.9, "offset": 0.9}
    file = DiarizerSettings(str(weights), diarize={"max_speakers": 1, "postprocessing_params": params}).write(
        tmp_path / "own.yaml"
    )
    audio = dev_set / "one.wav"
    plain = run("diarize", audio, "--model", weights, "-q").stdout
    with_file = run("diarize", audio, "--config", file, "-q").stdout
    assert with_file != plain
    over = ("--max-speakers", "4", "--postprocessing", "none")
    assert run("diarize", audio, "--config", file, *over, "-q").stdout == plain
    assert run("diarize", audio, "--config", file, "--model", tmp_path / "none.nemo", "-q").exit_code != 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("diarise: {}\n", "Did you mean 'diarize'?"),
        ("diarize: {max_speaker: 2}\n", "Did you mean 'max_speakers'?"),
        ("diarize: {postprocessing_params: {onsett: 0.5}}\n", "Did you mean 'onset'?"),
        ("diarize: {max_speakers: 0}\n", "max_speakers=0"),
        ("thresholds: {clusterer.threshold: 1}\n", "has no option 'clusterer.threshold'"),
    ],
)
def test_a_typo_in_the_file_is_an_error(dev_set: Path, weights: Path, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text)
    done = run("diarize", dev_set / "one.wav", "--model", weights, "--config", file)
    assert done.exit_code == 2
    assert said in done.output
    assert done.stdout == ""


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from speakerdiar.cli.main import app\n"
        "try: app(['tune', '--help'])\n"
        "except SystemExit: pass\n"
        "print('HEAVY', sorted({'torch', 'scipy', 'soundfile', 'optuna', 'yaml'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout
