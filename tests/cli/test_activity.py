"""`speakerdiar vad`, `overlap` and `changes`, with the embedded model and with one that hears all three."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from speakerdiar import models
from speakerdiar.annotation import Segment
from speakerdiar.audio import load as load_audio
from speakerdiar.cli.main import app
from speakerdiar.formats import json_doc, rttm
from speakerdiar.formats import load as load_turns
from speakerdiar.frames import FrameGrid
from speakerdiar.models import MODELS
from speakerdiar.postprocessing.speech_activity import SpeechActivity

RATE = 8000
needs_weights = pytest.mark.skipif(not MODELS["embedded"].is_here(), reason="the embedded weights aren't installed")
CONVERSATION = Path(__file__).resolve().parents[2] / "examples" / "data" / "conversation.flac"


class Listener:
    """Hears fixed times, counted from where it was told to begin, once the audio was read."""

    def segment(self, audio: Any) -> SpeechActivity:
        seconds = len(load_audio(audio, RATE)) / RATE
        grid = FrameGrid(1.0)
        count = np.array([2, 1, 0], np.uint8)
        return SpeechActivity(seconds, (Segment(0, 2),), (Segment(0.5, 1),), (0.5, 1.0), count, grid)


@pytest.fixture
def talks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two recordings; every model is the listener."""
    monkeypatch.setattr(models, "load_model", lambda name: Listener())
    for name, seconds in (("a", 3), ("b", 4)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(seconds * RATE), RATE)
    return tmp_path


def run(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


@needs_weights
def test_vad_finds_what_the_embedded_model_hears(tmp_path: Path) -> None:
    samples, rate = soundfile.read(CONVERSATION, dtype="float32", frames=16000 * 4)
    quiet = np.zeros(2 * rate, np.float32)
    soundfile.write(tmp_path / "talk.wav", np.concatenate([quiet, samples, quiet, quiet]), rate)
    done = run("vad", tmp_path / "talk.wav", "-f", "json")
    assert done.exit_code == 0, done.output
    result = json_doc.from_document(json.loads(done.stdout))
    assert (result.duration, result.speakers) == (10.0, ("speech",))
    [turn] = result
    assert turn.start == pytest.approx(2.95, abs=0.3)
    assert turn.end == pytest.approx(6.0, abs=0.3)


def test_speech_and_overlap_of_a_model_that_hears_both(talks: Path) -> None:
    done = run("vad", talks / "a.wav", talks / "b.wav")
    assert done.exit_code == 0, done.output
    found = rttm.loads(done.stdout)
    assert [(result.recording_id, *(turn.segment for turn in result)) for result in found] == [
        ("a", Segment(0, 2)),
        ("b", Segment(0, 2)),
    ]
    done = run("overlap", talks, "--out", talks / "out", "-f", "rttm,json")
    assert (done.exit_code, done.output) == (0, "")
    assert sorted(path.name for path in (talks / "out").iterdir()) == ["a.json", "a.rttm", "b.json", "b.rttm"]
    [result] = load_turns(talks / "out" / "b.json")
    assert (result.duration, [(turn.segment, turn.speaker) for turn in result]) == (4, [(Segment(0.5, 1), "overlap")])


def test_changes_are_lines_or_json(talks: Path) -> None:
    assert run("changes", talks).stdout == "a\t0.500\na\t1.000\nb\t0.500\nb\t1.000\n"
    assert json.loads(run("changes", talks / "b.wav", "--json").stdout) == [
        {"recording_id": "b", "changes": [0.5, 1.0]}
    ]


def test_times_of_a_part_are_the_recordings_own(talks: Path) -> None:
    manifest = talks / "part.jsonl"
    manifest.write_text(json.dumps({"audio_filepath": str(talks / "b.wav"), "offset": 1, "duration": 9}))
    assert run("changes", manifest).stdout == "b\t1.500\nb\t2.000\n"
    document = json.loads(run("overlap", manifest, "-f", "json").stdout)
    assert (document["offset"], document["duration"]) == (1.0, 3.0)
    assert document["turns"] == [{"start": 1.5, "end": 2.0, "speaker": "overlap"}]


def test_standard_input(talks: Path) -> None:
    document = json.loads(run("vad", "-", "-f", "json", stdin=(talks / "a.wav").read_bytes()).stdout)
    assert (document["recording_id"], document["duration"]) == ("stdin", 3.0)


def test_one_bad_file_does_not_stop_the_others(talks: Path) -> None:
    (talks / "c.wav").write_text("not audio")
    done = run("changes", talks / "c.wav", talks / "gone*.wav", talks / "a.wav", "-q")
    assert done.exit_code == 1
    assert done.stdout == "a\t0.500\na\t1.000\n"
    assert done.stderr.count("error:") == 2
    assert run("vad", talks / "c.wav", talks / "a.wav", "-f", "json").exit_code == 1


@needs_weights
@pytest.mark.parametrize("command", ["overlap", "changes"])
def test_a_model_that_does_not_hear_it_is_refused_with_those_that_do(command: str) -> None:
    done = run(command, CONVERSATION)
    assert done.exit_code == 2
    assert f"--model embedded doesn't find {command}: give a model with local segmentation" in done.stderr


def test_a_wrong_option_is_refused(talks: Path) -> None:
    assert "rttm" in run("vad", talks, "-f", "rtm").stderr
    assert "--out" in run("overlap", talks, "--out", talks / "a.wav").stderr
    assert run("vad", talks, "--out", talks / "a.wav" / "x").exit_code in (1, 2)
