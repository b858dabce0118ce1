"""Clips are read from every kind of source, each at the right place of the right file, or an error says where."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar import audio
from speakerdiar.annotation import Segment
from speakerdiar.errors import AudioDecodeError, AudioNotFoundError, ConfigError, FormatError, InputError
from speakerdiar.simulation import Clip
from speakerdiar.simulation.clips import ClipPool, read_clips, read_noises

RATE = 8000


def written(path: Path, value: float = 0.5, seconds: float = 1.0) -> Path:
    """A file whose samples rise from 0 to `value`: where a stretch is cut from can be read off its first sample."""
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.save(path, np.linspace(0, value, round(seconds * RATE), dtype=np.float32), RATE)
    return path


def manifest(folder: Path, *lines: Mapping[str, Any], name: str = "manifest.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def lengths(pool: ClipPool) -> dict[str, list[int]]:
    return {name: [len(clip.samples) for clip in clips] for name, clips in pool.voices.items()}


def first(clip: Clip) -> float:
    return float(clip.samples[0])


def test_the_folder_right_below_names_the_speaker(tmp_path: Path) -> None:
    corpus = tmp_path / "libri"
    for name in ("84/121123/84-1.flac", "84/121550/84-2.wav", "174/a.flac", "lone.wav"):
        written(corpus / name)
    (corpus / "84/121123/84.trans.txt").write_text("not audio")
    pool = read_clips(corpus, RATE)
    assert lengths(pool) == {"174": [RATE], "84": [RATE, RATE], "lone": [RATE]}
    assert pool.corpora == {"174": "libri", "84": "libri", "lone": "libri"}
    assert pool.seconds == pytest.approx(4)
    assert all(clip.samples.dtype == np.float32 for clips in pool.voices.values() for clip in clips)
    assert lengths(read_clips([corpus], 2 * RATE))["174"] == [2 * RATE]


def test_a_manifest_of_utterances_gives_a_clip_each(tmp_path: Path) -> None:
    written(tmp_path / "a/1.flac")
    lines = {"audio": "a/1.flac", "speaker": "a-1", "corpus": "a", "utterances": [[0.0, 0.25], [0.5, 2.0]]}
    manifest(tmp_path, lines)
    pool = read_clips(tmp_path, RATE)
    assert lengths(pool) == {"a-1": [RATE // 4, RATE // 2]}
    assert pool.corpora == {"a-1": "a"}
    early, late = pool.voices["a-1"]
    assert [first(early), first(late)] == pytest.approx([0, 0.25], abs=1e-3)


def test_a_nemo_manifest_gives_stretches_by_label_or_speaker(tmp_path: Path) -> None:
    wav = str(written(tmp_path / "talk.wav"))
    lines = [
        {"audio_filepath": wav, "offset": 0.5, "duration": 0.25, "label": "Ana", "text": "-"},
        {"audio_filepath": wav, "offset": 0.0, "duration": None, "speaker": 7, "label": "infer"},
        {"audio_filepath": wav, "offset": 0.2, "duration": 0.1, "label": "Ana"},
    ]
    pool = read_clips(manifest(tmp_path, *lines, name="train.json"), RATE)
    assert lengths(pool) == {"Ana": [RATE // 4, RATE // 10], "7": [RATE]}
    assert [first(clip) for clip in pool.voices["Ana"]] == pytest.approx([0.25, 0.1], abs=1e-3)
    assert pool.corpora == {"Ana": "train", "7": "train"}


def test_a_file_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wav = str(written(tmp_path / "talk.wav"))
    seen: list[str] = []
    whole = audio.load

    def load(recording: Any, rate: int) -> NDArray[np.float32]:
        seen.append(recording.path)
        return whole(recording, rate)

    monkeypatch.setattr("speakerdiar.simulation.clips.load", load)
    line = {"audio": wav, "speaker": "a", "utterances": [[0.0, 0.1], [0.2, 0.3]]}
    assert lengths(read_clips(manifest(tmp_path, line, line), RATE)) == {"a": [800] * 4}
    assert seen == [wav]


@pytest.mark.parametrize("segments", [False, True])
def test_a_kaldi_folder_gives_its_utterances(tmp_path: Path, segments: bool) -> None:
    for name in ("r1", "r2"):
        written(tmp_path / f"{name}.wav")
    data = tmp_path / "data"
    data.mkdir()
    (data / "wav.scp").write_text("r1 ../r1.wav\nr2 ../r2.wav\n")
    (data / "utt2spk").write_text("u1 ana\nu2 ben\nu3 ana\n" if segments else "r1 ana\nr2 ben\n")
    if segments:
        (data / "segments").write_text("u1 r1 0.0 0.5\nu2 r2 0.25 -1\nu3 r2 0.5 0.75\n")
    expected = {"ana": [4000, 2000], "ben": [6000]} if segments else {"ana": [8000], "ben": [8000]}
    pool = read_clips(data, RATE)
    assert lengths(pool) == expected
    assert set(pool.corpora.values()) == {"data"}


def test_speech_is_found_and_clips_without_any_are_left_out(tmp_path: Path) -> None:
    written(tmp_path / "c/ana/loud.wav", 0.5)
    written(tmp_path / "c/ana/quiet.wav", 0.001)
    written(tmp_path / "c/ben/quiet.wav", 0.001)

    def speech(samples: NDArray[np.float32]) -> list[Segment]:
        return [Segment(0.5, 0.9)] if samples.max() > 0.1 else []

    pool = read_clips(tmp_path / "c", RATE, speech=speech)
    ((clip,),) = pool.voices.values()
    assert clip.speech == (Segment(0.5, 0.9),)
    assert pool.corpora == {"ana": "c"}
    with pytest.raises(InputError, match="no speech was found"):
        read_clips(tmp_path / "c/ben", RATE, speech=speech)


def test_speakers_of_one_name_in_two_corpora_stay_apart(tmp_path: Path) -> None:
    for name in ("a/1/x.wav", "a/2/x.wav", "b/1/x.wav"):
        written(tmp_path / name)
    pool = read_clips([tmp_path / "a", tmp_path / "b"], RATE)
    assert pool.corpora == {"a/1": "a", "2": "a", "b/1": "b"}


def test_noises_are_all_that_lies_below(tmp_path: Path) -> None:
    written(tmp_path / "n/rain/1.wav")
    written(tmp_path / "n/2.flac", seconds=0.5)
    single = written(tmp_path / "single.wav", seconds=0.25)
    assert [len(noise) for noise in read_noises(tmp_path / "n", RATE)] == [RATE // 2, RATE]
    assert [len(noise) for noise in read_noises([single, tmp_path / "n"], RATE)] == [RATE // 4, RATE // 2, RATE]


WAV = {"audio": "a.wav", "speaker": "1"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"audio": "a.wav"}, "says not who speaks"),
        ({"audio": "a.wav", "label": "infer"}, "label is 'infer'"),
        ({"audio": "a.wav", "speaker": ["x"]}, "give each line a speaker"),
        ({"audio": "gone.wav", "speaker": "1"}, "gone.wav: there is no such file"),
        ({**WAV, "utterances": [[0.5, 0.2]]}, "doesn't end after its start"),
        ({**WAV, "utterances": [0.5, 0.2]}, "give pairs of start and end"),
        ({**WAV, "utterances": [[2.0, 3.0]]}, "from 2 s on is empty: .*a.wav has 1.00 s"),
        ({**WAV, "offset": 1.5}, "from 1.5 s on is empty"),
        ({"speaker": "1"}, "needs audio_filepath"),
    ],
)
def test_a_fault_in_a_manifest_is_named_with_its_line(tmp_path: Path, line: dict[str, Any], message: str) -> None:
    written(tmp_path / "a.wav")
    path = manifest(tmp_path, WAV, line)
    with pytest.raises(FormatError, match=message) as caught:
        read_clips(tmp_path, RATE)
    assert str(caught.value).startswith(f"{path}:2: ")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("wav.scp", "r1 sox x.wav -t wav - |\n", "wav.scp:1: .* is a command"),
        ("wav.scp", "r1 gone.wav\n", "wav.scp: gone.wav: there is no such file"),
        ("utt2spk", "r1 ana x\n", "utt2spk:1: 3 fields"),
        ("utt2spk", "r1 ana\nr1 ben\n", "utt2spk:2: 'r1' stands here twice"),
        ("utt2spk", "r1x ana\n", "utt2spk: utterance 'r1' has no speaker.*Did you mean 'r1x'"),
    ],
)
def test_a_fault_in_a_kaldi_folder_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    written(tmp_path / "r1.wav")
    (tmp_path / "wav.scp").write_text("r1 r1.wav\n")
    (tmp_path / "utt2spk").write_text("r1 ana\n")
    (tmp_path / name).write_text(text)
    with pytest.raises(FormatError, match=message):
        read_clips(tmp_path, RATE)


def test_sources_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioNotFoundError, match="no audio in this folder"):
        read_clips(tmp_path / "empty")
    with pytest.raises(InputError, match="gone: there is no such file or folder: name a folder of audio"):
        read_clips(tmp_path / "gone")
    with pytest.raises(InputError, match="isn't of a kind that holds clips"):
        read_clips(written(tmp_path / "a.wav"))
    with pytest.raises(InputError, match="No clips to read"):
        read_clips([])


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    for index in range(8):
        written(tmp_path / f"c/{index}/a.wav")
    (tmp_path / "c/5/a.wav").write_bytes(b"RIFF nothing of the kind")
    with pytest.raises(AudioDecodeError, match=r"c/5/a\.wav"):
        read_clips(tmp_path / "c", RATE)


def pool_of(count: int) -> ClipPool:
    clip = Clip(np.zeros(RATE, dtype=np.float32))
    return ClipPool({f"s{index:02d}": [clip] for index in range(count)}, {"s00": "x"}, RATE)


@given(st.integers(2, 40), st.integers(2, 40))
def test_a_split_parts_the_speakers(count: int, every: int) -> None:
    pool = pool_of(count)
    if every > count:
        with pytest.raises(ConfigError, match=f"every={every} of {count} speakers"):
            pool.split(every)
        return
    train, held = pool.split(every)
    assert sorted([*train.voices, *held.voices]) == list(pool.voices)
    assert len(held.voices) == count // every
    assert train.corpora == {name: pool.corpora.get(name, "") for name in train.voices}
    assert (held.rate, train.seconds + held.seconds) == (RATE, pool.seconds)


@pytest.mark.parametrize("every", [1, 0, 2.5])
def test_a_split_that_leaves_no_one_is_refused(every: Any) -> None:
    with pytest.raises(ConfigError, match="every="):
        pool_of(4).split(every)


def test_the_pool_of_many_speakers_is_read(shared: Path, tmp_path: Path) -> None:
    """A few of its lines; all take a minute."""
    held = [json.loads(line) for line in (shared / "speech_pool/manifest.jsonl").read_text().splitlines()[::100]]
    for line in held:
        line["audio"] = str(shared / "speech_pool" / line["audio"])
    pool = read_clips(manifest(tmp_path, *held))
    assert len(pool.voices) == len(held) == 5
    assert {name: len(clips) for name, clips in pool.voices.items()} == {
        line["speaker"]: len(line["utterances"]) for line in held
    }
    assert pool.seconds == pytest.approx(sum(b - a for line in held for a, b in line["utterances"]), rel=0.02)
