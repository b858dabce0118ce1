"""`speakerdiar link` on folders of recordings and documents."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fakes_roles import FakeEmbedder
from typer.testing import CliRunner, Result

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.cli.link_sources import Speakers, sources_in
from speakerdiar.cli.main import app
from speakerdiar.errors import ConfigError
from speakerdiar.formats import json_doc, load
from speakerdiar.models import MODELS

RATE = 16000
PITCH = {"a": 300.0, "b": 700.0, "c": 1600.0}  # Hz


class ToneDiarizer:
    """Knows that recordings are tones of 3 s, and what their names say of who is heard; counts its calls."""

    def __init__(self, embedder: FakeEmbedder | None) -> None:
        if embedder is not None:
            self.embedder = embedder
        self.calls: list[str] = []

    def diarize(self, path: str) -> list[Diarization]:
        self.calls.append(Path(path).stem)
        people = Path(path).stem.split("_")[1]
        turns = tuple(Turn(3 * k, 3 * k + 3, f"SPEAKER_{k:02d}") for k in range(len(people)))
        result = Diarization(Path(path).stem, 3.0 * len(people), turns)
        if not hasattr(self, "embedder"):
            return [result]
        samples, _ = soundfile.read(path, dtype="float32")
        vectors = self.embedder.embed(samples, [turn.segment for turn in turns])
        return [replace(result, embeddings={t.speaker: v for t, v in zip(turns, vectors, strict=True)})]


def write_talk(path: Path) -> Path:
    """Write a recording in which the people speak whom its name names: `1_ab.wav`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(3 * RATE) / RATE
    tones = [0.3 * np.sin(2 * np.pi * PITCH[person] * times) for person in path.stem.split("_")[1]]
    soundfile.write(path, np.concatenate(tones), RATE)
    return path


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    for name in ("1_ab.wav", "sub/2_ca.wav", "3_b.flac"):
        write_talk(tmp_path / "talks" / name)
    return tmp_path / "talks"


@pytest.fixture
def diarizer(monkeypatch: pytest.MonkeyPatch) -> ToneDiarizer:
    found = ToneDiarizer(FakeEmbedder())
    monkeypatch.setattr("speakerdiar.models.load_model", lambda name: found)
    return found


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["link", *(str(argument) for argument in arguments), "--threshold", "0.7"])


def people(out: Path) -> dict[str, list[str]]:
    found = [load(path)[0] for path in sorted((out / "linked").rglob("*.rttm"))]
    return {r.recording_id: [name.removeprefix("PERSON_000") for name in r.speakers] for r in found}


def test_a_person_has_one_name_in_all_recordings(talks: Path, diarizer: ToneDiarizer, tmp_path: Path) -> None:
    out, report = tmp_path / "out", tmp_path / "people.csv"
    done = run(talks, "--out", out, "--report", report, "--format", "rttm,json")
    assert done.exit_code == 0, done.output
    assert people(out) == {"1_ab": ["1", "2"], "3_b": ["2"], "sub/2_ca": ["3", "1"]}
    assert "3 persons in 3 recordings, 2 of them in more than one." in done.stdout
    rows = {row["person"]: row for row in csv.DictReader(report.read_text().splitlines())}
    assert (rows["PERSON_0001"]["recordings"], rows["PERSON_0001"]["seconds"]) == ("2", "6.0")
    assert set(json_doc.load(out / "linked" / "sub" / "2_ca.json").embeddings) == {"PERSON_0001", "PERSON_0003"}
    assert json_doc.load(out / "diarized" / "sub" / "2_ca.json").speakers == ("SPEAKER_00", "SPEAKER_01")


def test_a_second_run_goes_on_and_keeps_the_names(talks: Path, diarizer: ToneDiarizer, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(talks, "--out", out)
    write_talk(talks / "0_cb.wav")
    diarizer.calls.clear()
    assert run(talks, "--out", out).exit_code == 0
    assert diarizer.calls == ["0_cb"]
    assert people(out) == {"0_cb": ["3", "2"], "1_ab": ["1", "2"], "3_b": ["2"], "sub/2_ca": ["3", "1"]}
    # Audio that was changed since is diarized anew.
    later = (out / "diarized" / "1_ab.json").stat().st_mtime + 10
    os.utime(talks / "1_ab.wav", (later, later))
    diarizer.calls.clear()
    run(talks, "--out", out)
    assert diarizer.calls == ["1_ab"]


def test_out_may_be_the_folder_itself(talks: Path, diarizer: ToneDiarizer) -> None:
    for _ in range(2):
        done = run(talks, "--out", talks, "--format", "json", "--report", talks / "people.json")
        assert done.exit_code == 0, done.output
        assert json.loads((talks / "people.json").read_text())["recordings"] == 3
    assert sorted(diarizer.calls) == ["1_ab", "2_ca", "3_b"]


def test_without_out_only_the_report_comes(talks: Path, diarizer: ToneDiarizer) -> None:
    before = sorted(talks.rglob("*"))
    done = run(talks)
    assert done.exit_code == 0
    assert done.stdout.startswith("person")
    assert sorted(talks.rglob("*")) == before


def test_documents_are_used_instead_of_diarizing(talks: Path, diarizer: ToneDiarizer, tmp_path: Path) -> None:
    for path in (talks / "1_ab.wav", talks / "sub" / "2_ca.wav"):
        [result] = diarizer.diarize(str(path))
        json_doc.dump(result, path.with_suffix(".json"))
    (talks / "sub" / "2_ca.wav").unlink()
    (talks / "settings.json").write_text('{"turns": 3}')
    diarizer.calls.clear()
    done = run(talks, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert diarizer.calls == ["3_b"]
    assert people(tmp_path / "out") == {"1_ab": ["1", "2"], "3_b": ["2"], "sub/2_ca": ["3", "1"]}


def _without_vectors(path: Path, diarizer: ToneDiarizer) -> None:
    [result] = diarizer.diarize(str(path))
    json_doc.dump(replace(result, embeddings={}), path.with_suffix(".json"))


def test_documents_without_vectors_get_them_from_the_audio(talks: Path, diarizer: ToneDiarizer, tmp_path: Path) -> None:
    for path in (talks / "1_ab.wav", talks / "sub" / "2_ca.wav"):
        _without_vectors(path, diarizer)
    (talks / "sub" / "2_ca.wav").unlink()
    done = run(talks, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "2_ca.json: no embedding of 48 numbers for each speaker" in done.stderr
    assert people(tmp_path / "out") == {"1_ab": ["1", "2"], "3_b": ["2"]}


def test_a_model_without_embeddings_gets_them_from_the_default_embedder(
    talks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diarizer, embedder = ToneDiarizer(None), FakeEmbedder()
    monkeypatch.setattr("speakerdiar.models.load_model", lambda name: diarizer)
    monkeypatch.setattr("speakerdiar.models.embedders.make_embedder", lambda name: embedder)
    speakers = Speakers.of("any", None, None)
    found = [speakers.diarized(source, source.id) for source in sources_in(talks, None)]
    assert all(set(result.embeddings) == set(result.speakers) for result in found if result is not None)
    assert "3 persons in 3 recordings, 2 of them" in run(talks).stdout


def test_one_bad_recording_does_not_stop_the_others(talks: Path, diarizer: ToneDiarizer, tmp_path: Path) -> None:
    (talks / "broken.json").write_text("{")
    (talks / "half.json").write_text('{"turns": [], "recording_id": "half"}')
    done = run(talks, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "broken.json:1: isn't JSON" in done.stderr
    assert "half.json: version" in done.stderr
    assert len(people(tmp_path / "out")) == 3


def _text(path: Path) -> None:
    path.write_text("{}")


def _of_another_embedder(path: Path) -> None:
    from speakerdiar.voiceprints.archive import Archive

    Archive().save(path, FakeEmbedder(dimension=32))


@pytest.mark.parametrize(("spoil", "said"), [(_text, "isn't an archive"), (_of_another_embedder, "makes others")])
def test_an_archive_that_does_not_fit_is_refused_before_any_work(
    talks: Path, diarizer: ToneDiarizer, tmp_path: Path, spoil: Callable[[Path], Any], said: str
) -> None:
    spoil(tmp_path / "archive.json")
    done = run(talks, "--out", tmp_path)
    assert done.exit_code == 2
    assert said in done.stderr
    assert diarizer.calls == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--report", "people.txt"], "ends in .csv or .json"),
        (["--format", "rtm"], "Did you mean 'rttm'?"),
        (["--format", "rttm,json"], "add --out DIR"),
        (["--threshold", "1.5"], "threshold=1.5"),
        (["--store", "gone.db"], "gone.db: there is no store of voices"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(
    talks: Path, diarizer: ToneDiarizer, arguments: list[str], said: str
) -> None:
    done = CliRunner().invoke(app, ["link", str(talks), *arguments])
    assert done.exit_code in (1, 2)
    assert said in done.stderr
    assert diarizer.calls == []


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    for folder, said in ((tmp_path, "neither audio nor JSON"), (tmp_path / "gone", "no such folder")):
        with pytest.raises(ConfigError, match=said):
            sources_in(folder, None)


@pytest.mark.skipif(not MODELS["embedded"].is_here(), reason="the embedded weights aren't installed")
def test_the_embedded_model_and_enrolled_voices(tmp_path: Path) -> None:
    data = Path(__file__).resolve().parents[2] / "examples" / "data"
    [truth] = load(data / "conversation.rttm")
    samples, rate = soundfile.read(data / "conversation.flac", dtype="float32")
    parts = {
        name: np.concatenate([samples[round(t.start * rate) : round(t.end * rate)] for t in truth if t.speaker == name])
        for name in ("ada", "duncan")
    }
    (tmp_path / "talks").mkdir()
    for name, spoken in parts.items():
        third = len(spoken) // 3
        soundfile.write(tmp_path / f"{name}.wav", spoken[:third], rate)
        soundfile.write(tmp_path / "talks" / f"{name}1.wav", spoken[third : 2 * third], rate)
        soundfile.write(tmp_path / "talks" / f"{name}2.wav", spoken[2 * third :], rate)
    enrolled = ["enroll", "Duncan", str(tmp_path / "duncan.wav"), "--store", str(tmp_path / "voices.db")]
    assert CliRunner().invoke(app, enrolled).exit_code == 0
    options = ["--store", str(tmp_path / "voices.db"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["link", str(tmp_path / "talks"), *options])
    assert done.exit_code == 0, done.output
    assert people(tmp_path / "out") == {"ada1": ["1"], "ada2": ["1"], "duncan1": ["Duncan"], "duncan2": ["Duncan"]}
