"""`speakerdiar simulate`: clips in, conversations with exact turns out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from speakerdiar import audio
from speakerdiar.cli.main import app
from speakerdiar.formats import load_recordings, rttm
from speakerdiar.simulation import TurnTaking
from speakerdiar.simulation.scene_file import load_scene
from speakerdiar.simulation.turn_taking import KINDS

RATE = 8000


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of each of four speakers, each noise that pauses in the middle for half a second."""
    folder = tmp_path_factory.mktemp("clips")
    drawn = np.random.default_rng(0)
    for name in ("ana", "ben", "cy", "dot"):
        (folder / name).mkdir()
        for number in range(2):
            samples = 0.1 * drawn.standard_normal(2 * RATE)
            samples[RATE : RATE * 3 // 2] = 0
            audio.save(folder / name / f"{number}.wav", samples.astype(np.float32), RATE)
    return folder


@pytest.fixture
def references(tmp_path: Path) -> Path:
    folder = tmp_path / "references"
    folder.mkdir()
    lines = [f"SPEAKER talk 1 {start} {long} <NA> <NA> {name} <NA> <NA>" for start, long, name in TURNS]
    (folder / "talk.rttm").write_text("\n".join(lines) + "\n")
    return folder


TURNS = [(0, 2, "A"), (1.5, 2, "B"), (4, 1, "B"), (6, 3, "A"), (7, 0.5, "B"), (9.5, 2, "B")]


def test_conversations_come_with_turns_and_a_manifest(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(clips, "--out", out, "--count", 3, "--seconds", 5, "--speakers", "2-3", "--rate", RATE, "--seed", 4)
    assert (done.exit_code, done.stdout) == (0, ""), done.output
    assert "3 conversations, 0.00 h in " in done.stderr
    assert "times real time; speech " in done.stderr
    recordings = load_recordings(out / "manifest.jsonl")
    assert [recording.id for recording in recordings] == [f"sim4-00000{index}" for index in range(3)]
    for recording in recordings:
        assert len(audio.load(recording, RATE)) == 5 * RATE
        assert recording.rttm_filepath is not None
        (turns,) = rttm.load(recording.rttm_filepath)
        assert set(turns.speakers) <= {"ana", "ben", "cy", "dot"}
        assert len(turns.speakers) == recording.num_speakers


def test_a_file_depends_on_its_seed_and_number_alone(clips: Path, tmp_path: Path) -> None:
    options = ("--seconds", 4, "--rate", RATE, "--quiet", "--room", 1, "--format", "wav")
    few, many, other = tmp_path / "few", tmp_path / "many", tmp_path / "other"
    assert run(clips, "-o", few, *options, "--count", 1).stderr == ""
    run(clips, "-o", many, *options, "--count", 3, "--jobs", 2)
    run(clips, "-o", other, *options, "--count", 1, "--seed", 1)
    assert (few / "sim0-000000.wav").read_bytes() == (many / "sim0-000000.wav").read_bytes()
    assert (few / "sim0-000000.wav").read_bytes() != (other / "sim1-000000.wav").read_bytes()


def test_hours_say_how_many(clips: Path, tmp_path: Path) -> None:
    run(clips, "-o", tmp_path / "out", "--hours", 0.005, "--seconds", 5, "--rate", RATE)
    assert len(load_recordings(tmp_path / "out/manifest.jsonl")) == 4  # 18 s


def test_options_reach_the_sound(clips: Path, tmp_path: Path) -> None:
    noise = tmp_path / "noise"
    noise.mkdir()
    audio.save(noise / "hum.wav", np.sin(np.arange(RATE)).astype(np.float32), RATE)
    options = ("--count", 2, "--seconds", 4, "--rate", RATE, "--level", -45, -45)
    run(clips, "-o", tmp_path / "plain", *options, "--whole-clips")
    done = run(
        clips, "-o", tmp_path / "rich", *options, "--noise", noise, "--babble", 1, "--telephone", 1, "--codec", "ulaw"
    )
    assert done.exit_code == 0, done.output
    for recording in load_recordings(tmp_path / "plain/manifest.jsonl"):
        samples = audio.load(recording, RATE)
        assert np.sqrt(np.mean(np.square(samples))) < 10 ** (-45 / 20)
        assert (samples == 0).mean() > 0.01
    for recording in load_recordings(tmp_path / "rich/manifest.jsonl"):
        samples = audio.load(recording, RATE)
        assert np.count_nonzero(samples) > 0.8 * len(samples)
        spectrum = np.abs(np.fft.rfft(samples)) ** 2
        assert spectrum[: 4 * 150].sum() < 0.05 * spectrum.sum(), "below a telephone's band"


def test_pauses_in_clips_are_no_speech_unless_asked(clips: Path, tmp_path: Path) -> None:
    options = ("--count", 4, "--seconds", 20, "--speakers", 1, "--rate", RATE)
    shares = []
    for name, whole in (("found", ()), ("whole", ("--whole-clips",))):
        run(clips, "-o", tmp_path / name, *options, *whole)
        for path in sorted((tmp_path / name).glob("*.rttm")):
            (turns,) = rttm.load(path)
            samples = audio.load(path.with_suffix(".flac"), RATE)
            said = np.concatenate([samples[round(t.start * RATE) : round(t.end * RATE)] for t in turns])
            shares.append((name, (said == 0).mean()))
    assert max(share for name, share in shares if name == "found") < 0.2
    assert max(share for name, share in shares if name == "whole") > 0.2


def test_a_folder_in_use_is_kept_unless_told(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("-o", out, "--seconds", 3, "--rate", RATE)
    run(clips, *options, "--count", 3)
    refused = run(clips, *options, "--count", 1)
    assert refused.exit_code == 2
    assert "isn't empty: give another folder, or --overwrite" in refused.stderr
    assert run(clips, *options, "--count", 1, "--overwrite").exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["manifest.jsonl", "sim0-000000.flac", "sim0-000000.rttm"]


def test_statistics_of_real_turns_are_a_scene(references: Path, tmp_path: Path) -> None:
    done = run("--like", references)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("# 1 recordings, 0.00 h; overlap 10.5 % of speech; 2 to 2 speakers")
    scene = tmp_path / "scene.yaml"
    scene.write_text(done.stdout)
    assert len(load_scene(scene).talks) == 1
    lines = [line.partition("#")[::2] for line in done.stdout.splitlines()[3:]]
    measured = {name.strip(" -").partition(":")[0]: float(value) for name, value in lines}
    assert [measured[kind] for kind in KINDS] == [0.2, 0.4, 0.2, 0.2]
    assert [measured[name] for name in ("hold_pause", "switch_pause", "overlap")] == [0.5, 0.75, 0.5]


def test_conversations_are_like_real_ones(clips: Path, references: Path, tmp_path: Path) -> None:
    """How they take turns comes from these, not from the scene."""
    scene = tmp_path / "scene.yaml"
    scene.write_text("seconds: 60\nspeakers: [2, 2]\ntalks: [{turn_switch: 0, interruption: 0, backchannel: 0}]\n")
    options = ("--scene", scene, "--count", 2, "--rate", RATE, "--whole-clips")
    run(clips, "-o", tmp_path / "own", *options)
    run(clips, "-o", tmp_path / "like", *options, "--like", references)
    own, like = (
        TurnTaking.measured([rttm.load(path)[0] for path in (tmp_path / name).glob("*.rttm")])
        for name in ("own", "like")
    )
    assert own.turn_switch + own.interruption + own.backchannel == 0
    assert like.turn_switch > like.turn_hold > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--speakers", "9"), "speakers=(9, 9)"),
        (("--speakers", "1-x"), "--speakers '1-x': give a number, or least and most"),
        (("--speakers", "5"), "4 speakers in the pool for conversations of up to 5"),
        (("--codec", "mp4"), "codecs=('mp4',)"),
        (("--room", "2"), "room=2.0"),
        (("--count", "0"), "--count 0: give 1 or more"),
        (("--jobs", "0"), "--jobs 0: give 1 or more"),
        (("--hours", "1", "--count", "2"), "--count 2 and --hours 1: give one of them"),
        (("--hours", "-1"), "--hours -1: give hours above 0"),
        (("--level", "0", "-40"), "level=(0.0, -40.0)"),
        (("--seed", "-3"), "seed=-3"),
        (("--scene", "gone.yaml"), "gone.yaml: there is no such file"),
        (("--noise", "gone"), "gone: no audio in this folder"),
        (("--like", "gone"), "gone: there is no such file or folder"),
    ],
)
def test_what_cannot_be_is_refused(clips: Path, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    done = run(clips, "--out", tmp_path / "out", "--rate", RATE, *options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_without_clips_or_a_folder_it_says_what_to_give(clips: Path, references: Path, tmp_path: Path) -> None:
    for arguments in ((), ("--like", references, "--out", tmp_path / "out")):
        assert "No clips to make conversations of" in run(*arguments).stderr
    assert "--out isn't given" in run(clips).stderr
    assert "there is no such file or folder" in run(tmp_path / "gone", "-o", tmp_path / "out").stderr


def test_torch_is_not_needed(clips: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from speakerdiar.__main__ import main; main()"
    arguments = ["simulate", str(clips), "-o", str(tmp_path / "out"), "--count", "1", "--rate", str(RATE)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/manifest.jsonl").is_file()
