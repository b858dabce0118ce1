"""`speakerdiar stream`, in this process and in one of its own, with a model that hears tones."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fakes import ToneDiarizer, tones
from fakes_streaming import Told, ToneStreamer
from rich.console import Console
from typer.testing import CliRunner, Result

import speakerdiar.models
import speakerdiar.streaming
from speakerdiar.annotation import Diarization, Turn
from speakerdiar.cli.live_view import TerminalView, clock
from speakerdiar.cli.main import app
from speakerdiar.config import DiarizeConfig, field_docs
from speakerdiar.formats import load
from speakerdiar.mixins import StreamStep
from speakerdiar.models import MODELS
from speakerdiar.streaming import LiveSource, SampleChunk, StreamingUpdate

ROOT = Path(__file__).resolve().parents[2]
TALK = tones([(0.5, 2.0, 0), (2.5, 4.0, 1), (3.5, 5.0, 0)], 6.0)
PCM = (TALK * 2**15).astype("<i2").tobytes()

# The command with the model that hears tones, as a program of its own.
PROGRAM = """
import speakerdiar.models
from fakes_streaming import ToneStreamer
speakerdiar.models.load_model = lambda name: ToneStreamer()
from speakerdiar.cli.main import app
app()
"""


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ToneStreamer:
    model = ToneStreamer()
    monkeypatch.setattr(speakerdiar.models, "load_model", lambda name: model)
    return model


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.flac"
    soundfile.write(path, TALK, 16000)
    return path


class Scripted(LiveSource):
    """A microphone that gives what it is told to; a number stands for Ctrl-C."""

    sample_rate = 16000

    def __init__(self, script: list[Any]) -> None:
        self.script = script
        self.closed = False

    def __iter__(self) -> Iterator[SampleChunk]:
        for item in self.script:
            if isinstance(item, int):
                signal.raise_signal(item)
            else:
                yield item if isinstance(item, SampleChunk) else SampleChunk(item)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def microphone(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    source = Scripted([])
    monkeypatch.setattr(speakerdiar.streaming, "microphone", lambda device: source)
    return source


def run(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["stream", *map(str, arguments)], input=stdin)


def program(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "stream", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, **options},
    )


def turns_of(text: str) -> list[tuple[float, float, str]]:
    rows = [line.split("\t") for line in text.splitlines()]
    return sorted((float(start), float(end), speaker) for start, end, speaker in rows)


def whole(model: ToneStreamer, latency: str = "0.5s", seconds: float = 6.0) -> list[tuple[float, float, str]]:
    result: Diarization
    [result] = model.diarize(TALK[: round(seconds * 16000)], sample_rate=16000, latency=latency)
    return [(turn.start, turn.end, turn.speaker) for turn in result]


def test_options_are_explained_as_in_the_config() -> None:
    shown = " ".join(run("--help").output.replace("│", " ").split())
    for name in ("latency", "num_speakers", "min_speakers", "max_speakers"):
        assert f"--{name.replace('_', '-')}" in shown
        assert field_docs(DiarizeConfig)[name] in shown


def test_settled_turns_are_lines_and_come_to_what_the_whole_comes_to(
    model: ToneStreamer, talk: Path, tmp_path: Path
) -> None:
    done = run(talk, "--latency", "2s", "--out", tmp_path / "new" / "talk.rttm")
    assert done.exit_code == 0, done.output
    assert turns_of(done.stdout) == whole(model, "2s")
    assert len(turns_of(done.stdout)) == 3
    [saved] = load(tmp_path / "new" / "talk.rttm")
    assert [(turn.start, turn.end, turn.speaker) for turn in saved] == whole(model, "2s")
    assert done.stderr.splitlines()[0] == "talk: 2 speakers, 3 turns, 4.8 of 6.0 s speech"


def test_quiet_leaves_nothing_but_turns(model: ToneStreamer, talk: Path) -> None:
    done = run(talk, "-q")
    assert turns_of(done.stdout) == whole(model)
    assert done.stderr == ""


def test_json_lines_are_updates(model: ToneStreamer, talk: Path) -> None:
    done = run(talk, "--format", "jsonl")
    updates = [json.loads(line) for line in done.stdout.splitlines()]
    final = sorted((turn["start"], turn["end"], turn["speaker"]) for update in updates for turn in update["final"])
    assert final == whole(model)
    assert any(update["tentative"] for update in updates)
    assert len(updates) < 40, "a step is 0.3 s of 6 s; updates that say nothing aren't printed"
    assert updates[-1]["final_until"] == updates[-1]["time"] == 6.0


def test_counts_of_speakers_are_passed_on(model: ToneStreamer, talk: Path) -> None:
    done = run(talk, "--max-speakers", 1)
    assert {speaker for _, _, speaker in turns_of(done.stdout)} == {"SPEAKER_00"}


@pytest.mark.parametrize("kind", ["wav", "pcm"])
def test_standard_input_is_wav_or_raw_samples(model: ToneStreamer, kind: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, TALK, 16000, format="WAV", subtype="PCM_16")
    done = run("-", stdin=file.getvalue() if kind == "wav" else PCM)
    assert done.exit_code == 0, done.output
    assert turns_of(done.stdout) == whole(model)
    assert "stdin: 2 speakers" in done.stderr


def test_raw_samples_are_read_as_told(model: ToneStreamer) -> None:
    stereo = np.repeat(TALK.astype("<f4")[:, None], 2, axis=1).tobytes()
    done = run("-", "--channels", 2, "--dtype", "float32", "--rate", 16000, stdin=stereo)
    assert turns_of(done.stdout) == whole(model)
    assert "of 12.0 s" in run("-", "--rate", 8000, stdin=PCM).stderr


def test_a_named_pipe_is_a_pipe(model: ToneStreamer, tmp_path: Path) -> None:
    pipe = tmp_path / "talk.fifo"
    os.mkfifo(pipe)
    with program(pipe, "-q", stdin=subprocess.DEVNULL) as process:
        pipe.write_bytes(PCM)
        out, error = process.communicate(timeout=60)
    assert turns_of(out.decode()) == whole(model), error


def test_statistics_keep_the_two_latencies_apart(model: ToneStreamer, talk: Path) -> None:
    done = run(talk, "--stats", "--latency", "2s", "-q")
    assert turns_of(done.stdout) == whole(model, "2s")
    rows = {line.split("│")[0].strip(): line for line in done.stderr.splitlines()}
    assert "2.00 s" in rows["algorithmic"]
    assert {"compute, p50", "compute, p95", "real-time factor"} <= rows.keys()
    assert "6.00 s of audio" in rows["real-time factor"]


def test_no_more_is_heard_than_asked_for(model: ToneStreamer, talk: Path) -> None:
    assert "of 1.5 s speech" in run(talk, "--seconds", 1.5).stderr


def test_a_file_is_played_at_its_own_pace(model: ToneStreamer, talk: Path) -> None:
    begun = time.monotonic()
    done = run(talk, "--pace", "--seconds", 1.2)
    assert time.monotonic() - begun > 1.1
    assert "of 1.2 s speech" in done.stderr


def test_gaps_and_overruns_are_warnings(model: ToneStreamer, microphone: Scripted) -> None:
    microphone.script = [
        TALK[:32000],
        SampleChunk(TALK[32000:40000], lost=0.25),
        SampleChunk(TALK[40000:], overrun=True),
    ]
    done = run("mic")
    assert done.exit_code == 0, done.output
    gap, overrun, _ = done.stderr.splitlines()
    assert gap.startswith("warning: gap: 0.250 s of audio are missing at 2.000 s")
    assert overrun.startswith("warning: overrun: ")
    assert microphone.closed
    assert run("mic", "--quiet").stderr == ""


def test_speakers_found_to_be_the_same_are_told(
    monkeypatch: pytest.MonkeyPatch, microphone: Scripted, tmp_path: Path
) -> None:
    microphone.script = [TALK[:1600]] * 5
    first = StreamStep((Turn(0.0, 0.1, "SPEAKER_00"),))
    second = StreamStep((Turn(0.1, 0.2, "SPEAKER_01"),))
    same = StreamStep((Turn(0.3, 0.4, "SPEAKER_00"),), relabelled={"SPEAKER_01": "SPEAKER_00"})
    monkeypatch.setattr(speakerdiar.models, "load_model", lambda name: Told(first, second, StreamStep(), same))
    done = run("mic", "--out", tmp_path / "told.rttm")
    assert [speaker for _, _, speaker in turns_of(done.stdout)] == ["SPEAKER_00", "SPEAKER_01", "SPEAKER_00"]
    assert "warning: relabelled: SPEAKER_01 is SPEAKER_00" in done.stderr
    [saved] = load(tmp_path / "told.rttm")
    assert saved.speakers == ("SPEAKER_00",)


def test_a_model_that_breaks_is_reported_once_and_what_it_said_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = Told(StreamStep((Turn(0.0, 0.1, "SPEAKER_00"),)), last=StreamStep(tentative=(Turn(0, 1, "SPEAKER_00"),)))
    monkeypatch.setattr(speakerdiar.models, "load_model", lambda name: broken)
    done = run("-", "--out", tmp_path / "told.rttm", stdin=PCM[:16000])
    assert done.exit_code == 1
    assert done.stderr.count("error:") == 1
    assert "settle everything" in done.stderr
    [saved] = load(tmp_path / "told.rttm")
    assert len(saved) == 1


def test_broken_samples_end_the_stream_and_keep_what_came_before(model: ToneStreamer, tmp_path: Path) -> None:
    data = TALK.astype("<f4").tobytes()
    broken = data + np.full(8, np.nan, "<f4").tobytes()
    done = run("-", "--dtype", "float32", "--out", tmp_path / "talk.json", stdin=broken)
    assert done.exit_code == 2
    assert "error:" in done.stderr
    assert "nan" in done.stderr.lower()
    [saved] = load(tmp_path / "talk.json")
    assert [(turn.start, turn.end, turn.speaker) for turn in saved] == turns_of(done.stdout)


@pytest.mark.parametrize("heard", [True, False])
def test_ctrl_c_settles_what_was_heard(heard: bool, model: ToneStreamer, microphone: Scripted, tmp_path: Path) -> None:
    microphone.script = [*([TALK[:48000]] if heard else []), int(signal.SIGINT), TALK]
    done = run("mic", "--out", tmp_path / "mic.rttm")
    assert done.exit_code == (0 if heard else 130), done.output
    assert turns_of(done.stdout) == (whole(model, seconds=3.0) if heard else [])
    assert (tmp_path / "mic.rttm").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.wav",), "missing.wav"),
        (("TALK", "--latency", "0.4s"), "0.5s"),
        (("TALK", "--format", "rttm"), "live, tsv, jsonl"),
        (("TALK", "--out", "turns.doc"), ".rttm"),
        (("TALK", "--out", "."), ".rttm"),
        (("TALK", "--seconds", "0"), "--seconds 0"),
        (("TALK", "--postprocessing", "missing.yaml"), "missing.yaml"),
        (("-", "--pace"), "its own pace"),
        (("-", "--dtype", "int61"), "int16"),
        (("TALK", "--num-speakers", "0"), "num_speakers=0"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(
    arguments: tuple[str, ...], message: str, model: ToneStreamer, talk: Path
) -> None:
    done = run(*(talk if argument == "TALK" else argument for argument in arguments), stdin=PCM)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert done.stdout == ""


def test_a_model_that_does_not_stream_is_refused(monkeypatch: pytest.MonkeyPatch, talk: Path) -> None:
    monkeypatch.setattr(speakerdiar.models, "load_model", lambda name: ToneDiarizer())
    done = run(talk, "--model", "tones")
    assert done.exit_code == 2
    assert "--model tones: doesn't stream. Models that do:" in done.stderr


def test_the_microphone_is_named_by_number_or_name(
    model: ToneStreamer, microphone: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | str | None] = []

    def opened(device: int | str | None) -> Scripted:
        asked.append(device)
        return microphone

    monkeypatch.setattr(speakerdiar.streaming, "microphone", opened)
    for name in ("mic:3", "mic:USB Audio: 2", "mic", "mic:"):
        assert run(name).exit_code == 0
    assert asked == [3, "USB Audio: 2", None, None]


def test_a_pipe_is_heard_live_and_ctrl_c_ends_it_well(model: ToneStreamer, tmp_path: Path) -> None:
    with program("-", "--out", tmp_path / "live.rttm") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(PCM[: 2 * 16000 * 3])
        process.stdin.flush()
        first = process.stdout.readline().decode()  # the pipe is still open
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert turns_of(first + out.decode()) == whole(model, seconds=3.0)
    [saved] = load(tmp_path / "live.rttm")
    assert len(saved) == 2


def test_output_that_cannot_be_written_ends_the_stream_and_keeps_the_turns(
    model: ToneStreamer, talk: Path, tmp_path: Path
) -> None:
    with open("/dev/full", "w") as full, program(talk, "--out", tmp_path / "t.rttm", stdout=full) as process:
        _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error: standard output: No space left" in error.decode()
    assert "Traceback" not in error.decode()
    assert (tmp_path / "t.rttm").exists()


def test_on_a_terminal_open_turns_stand_below_the_settled_ones(model: ToneStreamer) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, color_system=None)
    session = model.stream("0.5s", sample_rate=16000)
    with TerminalView(console) as view:
        view.show(session.push(TALK[:48000]), session)
        shown = screen.getvalue()
        assert "00:00.4 - 00:02.1  SPEAKER_00\n" in shown.replace("\r", "").replace(" \n", "\n")
        view.show(StreamingUpdate(3.0, (), (Turn(2.5, 3.0, "SPEAKER_01"),), 2.0), session)
        view._live.refresh()
    shown = screen.getvalue()
    assert "00:02.5 - 00:03.0  SPEAKER_01" in shown
    assert "00:03.0  latency 0.50 s, computing" in shown
    assert shown.count("SPEAKER_00") == 1, "a settled turn is printed once"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "00:00.0"), (59.96, "01:00.0"), (3599.94, "59:59.9"), (3723.4, "1:02:03.4")]
)
def test_the_clock_carries_over(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.skipif(not MODELS["embedded"].is_here(), reason="the embedded weights aren't installed")
def test_the_embedded_model_follows_a_pipe(tmp_path: Path) -> None:
    samples, rate = soundfile.read(ROOT / "examples/data/conversation.flac", dtype="float32", stop=16000 * 14)
    soundfile.write(tmp_path / "talk.wav", samples, rate)
    done = subprocess.run(
        [sys.executable, "-m", "speakerdiar", "stream", "-", "--latency", "2s", "--stats"],
        input=(tmp_path / "talk.wav").read_bytes(),
        capture_output=True,
        check=True,
    )
    [expected] = speakerdiar.models.load_model().diarize(tmp_path / "talk.wav", latency="2s")
    lines = turns_of(done.stdout.decode())
    assert [(start, end) for start, end, _ in lines] == [(round(t.start, 3), round(t.end, 3)) for t in expected]
    assert len(expected.speakers) > 1
    assert "algorithmic" in done.stderr.decode()


def test_a_nemo_file_streams_as_its_whole_is_diarized(shared: Path, talk: Path) -> None:
    weights = shared / "golden/nemo/v2/tiny_v2.nemo"
    done = run(talk, "--model", weights, "--latency", "1.04s", "-q")
    assert done.exit_code == 0, done.output
    [expected] = speakerdiar.models.load_model(weights).diarize(talk, latency="1.04s")
    assert [(start, end) for start, end, _ in turns_of(done.stdout)] == [(t.start, t.end) for t in expected]
    assert len(expected) > 1


def test_device_and_post_processing_are_passed_on(monkeypatch: pytest.MonkeyPatch, talk: Path, tmp_path: Path) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def loaded(name: str, **options: Any) -> ToneStreamer:
        asked.append((name, options))
        return ToneStreamer()

    monkeypatch.setattr(speakerdiar.models, "load_model", loaded)
    told = tmp_path / "post.yaml"
    told.write_text("parameters:\n  onset: 0.7\n")
    assert run(talk, "--model", "x.nemo", "--device", "cuda", "--postprocessing", told).exit_code == 0
    assert asked == [("x.nemo", {"device": "cuda"})]
    told.write_text("parameters:\n  onsett: 0.7\n")
    done = run(talk, "--postprocessing", told)
    assert done.exit_code == 2
    assert "'onset'" in done.stderr
