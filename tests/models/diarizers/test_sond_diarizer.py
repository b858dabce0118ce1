"""SOND as a whole, with a small network that knows nothing, and with one that says what it is told to."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fakes_roles import FakeEmbedder
from sond_files import (
    BANDS,
    CONVERSATION,
    SHAPE,
    SIZE,
    people,
    sond_folder,
    sond_network,
    sond_yaml,
    sv_folder,
    tiny_embedder,
    tiny_sond,
)

from speakerdiar import load_model
from speakerdiar.annotation import Diarization
from speakerdiar.audio import load
from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.cli.weights_info import describe
from speakerdiar.config import DiarizeConfig
from speakerdiar.errors import ConfigError, InputError, SpeakerCountError, UnknownOptionError, WeightsError
from speakerdiar.mixins import audio_dataloader
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.models.diarizers.sond import SondDiarizer
from speakerdiar.models.diarizers.sond_options import SondConfig
from speakerdiar.models.diarizers.sond_windows import SondPlan
from speakerdiar.models.embedders.sond import SondEmbedder
from speakerdiar.nn.kaldi_fbank import KaldiFbank
from speakerdiar.nn.sond_shape import ALIMEETING, SondShape
from speakerdiar.postprocessing.power_set_encoding import PowerSetEncoding
from speakerdiar.postprocessing.smoothed_activity import smoothed_turns
from speakerdiar.postprocessing.window_votes import WindowVotes
from speakerdiar.recording import as_recordings
from speakerdiar.voiceprint import Voiceprints

RATE = 16000
SPOKEN = {
    "spk1": [(0.0, 8.88), (10.72, 11.92), (12.64, 15.2)],
    "spk2": [(8.8, 9.76)],
    "spk3": [(9.6, 10.96), (15.12, 15.68)],
    "spk4": [(11.12, 12.72)],
}
"""FunASR's documented result of a meeting of 16 s."""
DRAWN = np.random.default_rng(0).standard_normal((4, 256)).astype(np.float32)


class Told(torch.nn.Module):
    """Stands for the network, and says what it is told to."""

    reach = 0

    def __init__(self, active: np.ndarray, shape: SondShape = ALIMEETING) -> None:
        super().__init__()
        self.shape = shape
        classes = torch.from_numpy(PowerSetEncoding(shape.speakers, shape.at_once).classes_of(active))
        self.told = torch.nn.Parameter(torch.nn.functional.one_hot(classes, shape.classes).float() * 9)

    def frames(self, features: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.told[None, : -(-features.shape[1] // 8)].expand(len(features), -1, -1)

    def profiles(self, raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return raw, raw.any(2)

    def scores(self, frames: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return frames

    def logits(self, scores: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return scores


class Voices:
    """A store of voices that is there already."""

    def __init__(self, embedder: EmbeddingMixin, vectors: dict[str, np.ndarray]) -> None:
        self.embedder, self.threshold, self.kept = embedder, 0.5, Voiceprints.of(vectors)

    def voiceprints(self) -> Voiceprints:
        return self.kept


def told() -> SondDiarizer:
    active = np.zeros((200, 16), dtype=bool)
    for column, turns in enumerate(SPOKEN.values()):
        for start, end in turns:
            active[round(start / 0.08) : round(end / 0.08), column] = True
    return SondDiarizer(Told(active))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    return load(CONVERSATION)[: 20 * RATE]


@pytest.fixture(scope="module")
def model() -> SondDiarizer:
    return tiny_sond(None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sond_folder(tmp_path_factory.mktemp("sond") / "model")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, talk: np.ndarray) -> Path:
    """Two recordings and their profiles, as FunASR lists them."""
    place = tmp_path_factory.mktemp("lists")
    for name, samples in (("long", talk[: 6 * RATE]), ("short", talk[2 * RATE : 5 * RATE])):
        soundfile.write(place / f"{name}.wav", samples, RATE, subtype="FLOAT")
    (place / "wav.scp").write_text(f"meet-1 {place}/long.wav\nmeet-2 {place}/short.wav\n")
    rows = {"meet-1": matrix(3), "meet-2": matrix(2, seed=5)}
    (place / "profile.ark").write_text("".join(ark_text(key, value) for key, value in rows.items()))
    return place


def matrix(count: int, seed: int = 3) -> np.ndarray:
    return np.stack(list(people(count, seed).values()))


def ark_text(key: str, rows: np.ndarray) -> str:
    lines = "\n".join(" ".join(f"{value:.9g}" for value in row) for row in rows)
    return f"{key}  [\n{lines} ]\n"


def spans(result: Diarization) -> dict[str, list[tuple[float, float]]]:
    return {name: [(t.start, t.end) for t in result if t.speaker == name] for name in result.speakers}


# What becomes of the network's classes


def test_the_documented_texts() -> None:
    audio = np.random.default_rng(1).standard_normal(16 * RATE).astype(np.float32) / 10
    recording = {"audio": audio, "sample_rate": RATE, "uniq_id": "R8002_M8002-S0000_0001600"}
    [vad] = told().diarize(recording, profiles=DRAWN, out_format="vad")
    assert vad == {
        "key": "R8002_M8002-S0000_0001600",
        "value": "spk1 [(0.0, 8.88), (10.72, 11.92), (12.64, 15.2)]\nspk2 [(8.8, 9.76)]\n"
        "spk3 [(9.6, 10.96), (15.12, 15.68)]\nspk4 [(11.12, 12.72)]",
    }
    [rttm] = told().diarize(recording, profiles=DRAWN, out_format="rttm")
    assert rttm["value"].splitlines()[1].split()[:5] == ["SPEAKER", recording["uniq_id"], "1", "10.720", "1.200"]
    [old] = told().diarize(recording, profiles=DRAWN, out_format="rttm", legacy=True)
    assert old["value"].splitlines()[1] == "SPEAKER R8002_M8002 0 10.72 11.92 <NA> <NA> spk1 <NA> <NA>"
    [found] = told().diarize(recording, profiles=dict(zip("ABCD", DRAWN, strict=True)))
    assert spans(found) == dict(zip("ABCD", SPOKEN.values(), strict=True))


def test_who_never_talks_has_no_line() -> None:
    audio = np.full(16 * RATE, 0.1, dtype=np.float32)
    five = np.concatenate([DRAWN, DRAWN[:1]])
    given: dict[str, Any] = {"sample_rate": RATE, "profiles": five, "out_format": "vad"}
    [found] = told().diarize(audio, **given, dur_threshold=150)
    assert found["value"].splitlines() == [
        "spk1 [(0.0, 8.88), (12.64, 15.2)]",
        "spk2 []",
        "spk3 []",
        "spk4 [(11.12, 12.72)]",
    ]
    [two] = told().diarize(audio, **given, max_speakers=2)
    assert [line.split()[0] for line in two["value"].splitlines()] == ["spk1", "spk3"]


def test_files_in_output_dir(tmp_path: Path) -> None:
    audio = np.full(16 * RATE, 0.1, dtype=np.float32)
    given = [{"audio": audio, "sample_rate": RATE, "uniq_id": id} for id in ("one", "two")]
    for _ in range(2):  # a call begins its files anew
        results = told().diarize(given, profiles=DRAWN, output_dir=tmp_path / "out", batch_size=2)
    assert [type(result) for result in results] == [Diarization] * 2
    lines = (tmp_path / "out/result.txt").read_text().splitlines()
    assert lines[:4] == lines[4:]
    assert lines[1] == "spk2 [(8.8, 9.76)]"
    labels = [line.split() for line in (tmp_path / "out/labels.txt").read_text().splitlines()]
    assert [line[0] for line in labels] == ["one", "two"]
    assert (len(labels[0]), labels[0][1], labels[0][1 + 885]) == (1601, "1", "3")


def test_shorter_recordings_smooth_less_and_threshold_less() -> None:
    audio = np.full(16 * RATE, 0.1, dtype=np.float32)
    given: dict[str, Any] = {"sample_rate": RATE, "profiles": DRAWN}
    [found] = told().diarize(audio, **given, dur_threshold=60)
    assert spans(found)["spk3"] == [(9.6, 10.96)]
    [found] = told().diarize(audio, **given, smooth_size=161)
    assert spans(found)["spk3"] == [(9.6, 10.96)]
    [padded] = told().diarize(audio, **given, postprocessing_params={"pad_onset": 0.1, "min_duration_off": 1.0})
    assert spans(padded)["spk1"] == [(0.0, 8.88), (10.62, 15.2)]


def test_absent_speakers_are_never_named() -> None:
    audio = np.full(16 * RATE, 0.1, dtype=np.float32)
    for oov in ("nearest", "mask"):
        [found] = told().diarize(audio, sample_rate=RATE, profiles=DRAWN[:1], oov=oov, smooth_size=1, dur_threshold=0)
        assert found.speakers == ("spk1",)
    [masked] = told().diarize(audio, sample_rate=RATE, profiles=DRAWN[:1], oov="mask")
    [nearest] = told().diarize(audio, sample_rate=RATE, profiles=DRAWN[:1], oov="nearest")
    assert spans(nearest) != spans(masked)  # holes take what is around them, or silence


# The network on recordings


def by_hand(samples: np.ndarray, profiles: np.ndarray, starts: list[float], size: float, **smooth: Any) -> list[Any]:
    """SOND without the diarizer: the whole encoded at once, windows at some seconds, and their votes."""
    network, encoding = sond_network(), PowerSetEncoding(SHAPE.speakers, SHAPE.at_once)
    features = KaldiFbank(BANDS)(torch.from_numpy(samples))[None]
    if len(starts) > 1:
        features = torch.cat([features, features[:, -1:].expand(-1, -features.shape[1] % 8, -1)], dim=1)
    votes = WindowVotes(len(profiles))
    settled = []
    with torch.inference_mode():
        frames = network.frames(features, torch.tensor([features.shape[1]]))
        encoded, present = network.profiles(torch.from_numpy(profiles)[None])
        for start in starts:
            cut = frames[:, round(start / 0.08) : round((start + size) / 0.08)]
            length = torch.tensor([8 * cut.shape[1]])
            logits = network.logits(network.scores(cut, encoded, present, length), length)
            classes = np.repeat(logits[0].argmax(dim=-1).numpy(), 8)
            settled.append(votes.add(round(start * 100), encoding.decode(classes, len(profiles))))
    return smoothed_turns(np.concatenate([*settled, votes.finish()]), **smooth)


def test_a_recording_of_one_window_is_heard_whole(model: SondDiarizer, talk: np.ndarray) -> None:
    samples, given = talk[: 14 * RATE + 77], people(3)
    [found] = model.diarize(samples, sample_rate=RATE, profiles=given, smooth_size=21)
    expected = by_hand(samples, matrix(3), [0.0], 16.0, smooth_size=21)
    for name, rows in zip(given, expected, strict=True):
        assert spans(found).get(name, []) == [(start, min(end, found.duration)) for start, end in rows.tolist()]
    assert len(found) > 3
    assert set(found.embeddings) == set(found.speakers)


@pytest.mark.parametrize("encode", [0.8, 4.8, 16.0])
def test_longer_recordings_are_put_to_the_vote(talk: np.ndarray, encode: float) -> None:
    model = tiny_sond(6, plan=SondPlan(window=4.0, step=0.8, encode=encode))
    samples = talk[3 * RATE : 10 * RATE + 3000]
    [found] = model.diarize(samples, sample_rate=RATE, smooth_size=1, dur_threshold=0)
    expected = by_hand(samples, matrix(6), [0.0, 0.8, 1.6, 2.4, 3.2], 4.0, smooth_size=1, dur_threshold=0)
    for name, rows in zip(people(6), expected, strict=True):
        assert spans(found).get(name, []) == [(start, min(end, found.duration)) for start, end in rows.tolist()]
    assert len(found) > 20


def test_a_window_as_long_as_the_recording_gives_the_network_s_own_numbers(talk: np.ndarray) -> None:
    model = tiny_sond(6, plan=SondPlan(window=4.0, step=0.8))
    features = model.fbank(torch.from_numpy(talk[: 4 * RATE - 700]))[None]
    with torch.inference_mode():
        logits = model.network(features, torch.tensor([features.shape[1]]), torch.from_numpy(matrix(6))[None])
    members = torch.from_numpy(model.encoding.members).to(logits)
    [found] = model.diarize(talk[: 4 * RATE - 700], sample_rate=RATE, include_tensor_outputs=True)
    assert features.shape[1] % 8
    assert found.scores is not None
    columns = [list(people(6)).index(name) for name in found.scores.speakers]
    np.testing.assert_array_equal(found.scores.data, (logits[0].softmax(dim=-1) @ members).clamp(0, 1)[:, columns])


def test_long_recordings_take_another_precision(talk: np.ndarray) -> None:
    plan = SondPlan(window=4.0, step=0.8)
    rough = SondDiarizer(sond_network().bfloat16(), BANDS, profiles=people(3), plan=plan)
    [found] = rough.diarize(talk, sample_rate=RATE, include_tensor_outputs=True)
    [exact] = tiny_sond(3, plan=plan).diarize(talk, sample_rate=RATE, include_tensor_outputs=True)
    assert found.scores is not None
    assert exact.scores is not None
    assert found.scores.speakers == exact.scores.speakers
    assert np.abs(found.scores.data - exact.scores.data).mean() < 0.05


@pytest.mark.parametrize("at_once", [1, 3])
def test_windows_at_once_change_nothing(talk: np.ndarray, at_once: int) -> None:
    model = tiny_sond(6, plan=SondPlan(window=4.0, step=0.8))
    expected = model.diarize(talk[: 8 * RATE], sample_rate=RATE, smooth_size=9)
    model.plan = replace(model.plan, at_once=at_once)
    assert model.diarize(talk[: 8 * RATE], sample_rate=RATE, smooth_size=9) == expected
    assert len(expected[0]) > 10


def test_silent_windows_hold_nobody(talk: np.ndarray) -> None:
    model = tiny_sond(3, plan=SondPlan(window=2.0, step=2.0))
    samples = np.concatenate([talk[: 2 * RATE], np.zeros(4 * RATE, np.float32), talk[2 * RATE : 4 * RATE]])
    options: dict[str, Any] = {"smooth_size": 1, "include_tensor_outputs": True}
    [found] = model.diarize(samples, sample_rate=RATE, **options)
    assert found.turns
    assert not any(turn.end > 2.0 and turn.start < 6.0 for turn in found)
    assert found.scores is not None
    assert not found.scores.data[25:75].any()
    assert found.scores.data[:25].any()


def test_scores_and_confidence(model: SondDiarizer, talk: np.ndarray) -> None:
    options: dict[str, Any] = {"include_tensor_outputs": True, "confidence": True, "smooth_size": 9}
    [found] = model.diarize(talk[: 4 * RATE], sample_rate=RATE, profiles=people(3), **options)
    assert found.scores is not None
    assert found.confidence is not None
    assert found.scores.speakers == found.speakers
    assert (found.scores.grid.step, len(found.scores)) == (0.08, 50)
    assert ((found.scores.data >= 0) & (found.scores.data <= 1)).all()
    assert all(turn.confidence is not None and 0 < turn.confidence <= 1 for turn in found)
    [plain] = model.diarize(talk[: 4 * RATE], sample_rate=RATE, profiles=people(3), smooth_size=9)
    assert plain == found
    assert plain.scores is None


def test_counts_bound_the_profiles(model: SondDiarizer, talk: np.ndarray) -> None:
    given: dict[str, Any] = {"sample_rate": RATE, "profiles": people(3), "smooth_size": 9}
    [everyone] = model.diarize(talk, **given)
    [one] = model.diarize(talk, **given, max_speakers=1)
    most = max(everyone.durations().items(), key=lambda item: item[1])[0]
    assert len(everyone.speakers) > 1
    assert one.speakers == (most,)
    with pytest.raises(SpeakerCountError, match="4 speakers were asked for, and audio_0000 has the profiles of 3"):
        model.diarize(talk, **given, num_speakers=4)
    with pytest.raises(SpeakerCountError, match="at most 6"):
        model.diarize(talk, **given, num_speakers=7)


# What may be handed in


def test_a_list_of_a_recording_and_clips(model: SondDiarizer, talk: np.ndarray, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "ana.wav", talk[: 2 * RATE], RATE, subtype="FLOAT")
    row = [talk, tmp_path / "ana.wav", talk[5 * RATE : 8 * RATE]]
    clips = {"spk1": row[1], "spk2": row[2]}
    expected = model.diarize(talk, sample_rate=RATE, profiles=clips, smooth_size=9)
    assert model.diarize(row, sample_rate=RATE, smooth_size=9) == expected
    assert model.diarize([row, row], sample_rate=RATE, smooth_size=9)[1].turns == expected[0].turns
    assert set(expected[0].speakers) == {"spk1", "spk2"}


def test_two_lists_of_three_paths_are_no_pair_of_files(model: SondDiarizer, files: Path) -> None:
    row = [str(files / "long.wav"), str(files / "short.wav"), str(files / "long.wav")]
    [first, second] = model.diarize([row, row], smooth_size=9)
    assert first.turns == second.turns == model.diarize(row, smooth_size=9)[0].turns


def test_raw_bytes_are_16_bit_samples(model: SondDiarizer, talk: np.ndarray) -> None:
    pcm = np.rint(talk * 32767).astype("<i2")
    row = [pcm.tobytes(), pcm[: 2 * RATE].tobytes()]
    samples = pcm.astype(np.float32) / 32768
    assert model.diarize(row) == model.diarize([samples, samples[: 2 * RATE]], sample_rate=RATE)
    with pytest.raises(InputError, match="3 raw bytes"):
        model.diarize([row[0], b"abc"])


def test_recordings_with_profiles_of_their_own(model: SondDiarizer, talk: np.ndarray) -> None:
    lengths, several = (7.3, 3.0, 5.01), []
    for index, seconds in enumerate(lengths):
        samples = talk[: round(seconds * RATE)]
        given = people(index + 1, seed=index)
        several.append({"audio": samples, "sample_rate": RATE, "profiles": given, "uniq_id": f"r{index}"})
    together = model.diarize(several, batch_size=3, smooth_size=9)
    assert together == [model.diarize(one, smooth_size=9)[0] for one in several]
    assert [set(r.speakers) <= set(people(i + 1)) for i, r in enumerate(together)] == [True] * 3


def test_a_manifest_may_name_profiles(model: SondDiarizer, talk: np.ndarray, tmp_path: Path) -> None:
    for name, samples in (("talk", talk[: 6 * RATE]), ("ana", talk[: 2 * RATE])):
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE, subtype="FLOAT")
    entry = {"audio_filepath": str(tmp_path / "talk.wav"), "profiles": {"Ana": str(tmp_path / "ana.wav")}}
    (tmp_path / "manifest.json").write_text(json.dumps(entry) + "\n")
    [found] = model.diarize(str(tmp_path / "manifest.json"), smooth_size=1, dur_threshold=0)
    [expected] = model.diarize(tmp_path / "talk.wav", profiles=entry["profiles"], smooth_size=1, dur_threshold=0)
    assert found == expected


def test_a_pair_of_files(model: SondDiarizer, files: Path) -> None:
    ark = f"{files}/profile.ark"
    found = model.diarize((f"{files}/wav.scp,speech,sound", f"{ark},profile,kaldi_ark"), smooth_size=9, batch_size=2)
    assert [result.recording_id for result in found] == ["meet-1", "meet-2"]
    expected = [
        model.diarize(files / "long.wav", profiles=matrix(3), smooth_size=9)[0],
        model.diarize(files / "short.wav", profiles=matrix(2, seed=5), smooth_size=9)[0],
    ]
    assert [result.turns for result in found] == [result.turns for result in expected]
    triples = [(f"{files}/wav.scp", "speech", "sound"), (ark, "profile", "kaldi_ark")]
    assert model.diarize(triples, smooth_size=9) == found
    assert model.diarize([f"{files}/wav.scp", ark], smooth_size=9) == found
    texts = model.diarize(triples, smooth_size=9, out_format="rttm", legacy=True)
    assert [text["key"] for text in texts] == ["meet-1", "meet-2"]
    assert texts[0]["value"].startswith("SPEAKER meet 0 ")
    with pytest.raises(ConfigError, match="names the profiles: leave profiles= out"):
        model.diarize(triples, profiles=matrix(2))


def test_features_in_place_of_audio(model: SondDiarizer, files: Path, talk: np.ndarray) -> None:
    features = KaldiFbank(BANDS)(torch.from_numpy(talk[: 6 * RATE])).numpy()
    (files / "feats.ark").write_text(ark_text("meet-1", features))
    offset = (files / "feats.ark").read_bytes().index(b"  [")
    (files / "feats.scp").write_text(f"meet-1 {files}/feats.ark:{offset}\n")
    (files / "one.ark").write_text(ark_text("meet-1", matrix(3)))
    pair = [(f"{files}/feats.scp", "speech", "kaldi_ark"), (f"{files}/one.ark", "profile", "kaldi_ark")]
    [found] = model.diarize(pair, smooth_size=9)
    [heard] = model.diarize(files / "long.wav", profiles=matrix(3), smooth_size=9)
    assert (found.turns, found.duration) == (heard.turns, 6.0)
    [part] = model.diarize(pair, session_len_sec=2.0)
    assert part.duration == 2.0
    windowed = tiny_sond(None, plan=SondPlan(window=2.0, step=0.8))
    [long] = windowed.diarize(pair, smooth_size=9)
    [heard] = windowed.diarize(files / "long.wav", profiles=matrix(3), smooth_size=9)
    assert (long.turns, long.duration) == (heard.turns, 6.0)
    (files / "feats.ark").write_text(ark_text("meet-1", features[:, :5]))
    with pytest.raises(InputError, match=r"features of shape \(600, 5\): give \(frames, 16\)"):
        model.diarize(pair)


def test_nobody_to_look_for(model: SondDiarizer, talk: np.ndarray) -> None:
    for audio in (talk, [talk], [[talk]], {"audio": talk, "sample_rate": RATE}):
        with pytest.raises(InputError, match="nobody's profile is given"):
            model.diarize(audio, sample_rate=RATE)
    with pytest.raises(InputError, match="nobody's profile is given"):  # at the call, before the first result
        model.diarize_generator(talk, sample_rate=RATE)
    loader = audio_dataloader({"recordings": as_recordings(talk, RATE), "sample_rate": RATE})
    with pytest.raises(InputError, match="nobody's profile is given"):
        model.diarize(loader)
    assert model.diarize(loader, profiles=people(2))[0].duration == 20.0


def test_profiles_of_the_model_are_for_calls_without(talk: np.ndarray) -> None:
    model = tiny_sond(3)
    [own] = model.diarize(talk[: 3 * RATE], sample_rate=RATE, smooth_size=9)
    assert own
    assert own == model.diarize(talk[: 3 * RATE], sample_rate=RATE, smooth_size=9, profiles=people(3))[0]
    [other] = model.diarize(talk[: 3 * RATE], sample_rate=RATE, smooth_size=9, profiles=people(3, seed=9))
    assert other != own


def test_options(model: SondDiarizer, talk: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    for option, says in (
        ({"smooth_size": 0}, "smooth_size=0"),
        ({"dur_threshold": -1}, "dur_threshold=-1"),
        ({"dur_threshold": "10"}, "dur_threshold='10'"),
        ({"out_format": "json"}, "out_format='json': give None, 'vad' or 'rttm'"),
        ({"oov": "drop"}, "oov='drop'"),
        ({"ngpu": 2}, "ngpu=2: a recording takes one GPU: give 0 or 1"),
        ({"voiceprints": object()}, "give a VoiceprintStore"),
        ({"voiceprints": object(), "profiles": people(2)}, "give one of the two"),
    ):
        with pytest.raises(ConfigError, match=says):
            model.check_options(**option)
    with pytest.raises(UnknownOptionError, match="smooth_size"):
        model.check_options(smooth_sise=3)
    given: dict[str, Any] = {"sample_rate": RATE, "profiles": people(3)}
    expected = model.diarize(talk[: 2 * RATE], **given)
    assert expected[0]
    assert model.diarize(talk[: 2 * RATE], override_config=DiarizeConfig(sample_rate=RATE), **given) == expected
    config = SondConfig(**given)
    assert model.diarize(talk[: 2 * RATE], override_config=config) == expected
    assert config.profiles is given["profiles"]
    with caplog.at_level(logging.WARNING, "speakerdiar"):
        assert model.diarize(talk[: 2 * RATE], ngpu=0, **given) == expected
        assert not caplog.text
        model.diarize(talk[: 2 * RATE], ngpu=1, **given)
        assert ("no GPU is here" in caplog.text) == (not torch.cuda.is_available())


def test_enrolled_voices_of_its_own_embedder_are_profiles(talk: np.ndarray) -> None:
    model = tiny_sond(3)
    assert model.embedder is not None
    [expected] = model.diarize(talk[: 3 * RATE], sample_rate=RATE, smooth_size=9, profiles=people(3))
    assert expected
    own = Voices(model.embedder, people(3))
    assert model.diarize(talk[: 3 * RATE], sample_rate=RATE, smooth_size=9, voiceprints=own) == [expected]
    with pytest.raises(ConfigError, match=r"embedder=model\.embedder"):
        model.diarize(talk, sample_rate=RATE, voiceprints=Voices(FakeEmbedder(), people(3)))
    with pytest.raises(InputError, match="profiles"):
        model.diarize(talk, sample_rate=RATE, voiceprints=Voices(model.embedder, {}))


def test_another_device_is_a_call_s_own(talk: np.ndarray) -> None:
    model = tiny_sond(2)
    before = {name: value.device for name, value in model.state_dict().items()}
    network, fbank = model._placed(0)
    assert (network, fbank) == (model.network, model.fbank)
    assert {name: value.device for name, value in model.state_dict().items()} == before


def test_parts_that_dont_fit() -> None:
    with pytest.raises(ConfigError, match="gives 8 numbers, and SOND's profiles have 256"):
        SondDiarizer(Told(np.zeros((1, 16), dtype=bool)), embedder=tiny_embedder())  # type: ignore[arg-type]
    for plan, says in (
        ({"step": 0.1}, r"step=0\.1: give a multiple of 0\.08"),
        ({"step": 0.0}, r"step=0\.0"),
        ({"window": 1.6}, "leave gaps"),
        ({"share": 1.0}, r"share=1\.0"),
        ({"at_once": 0}, "at_once=0"),
        ({"encode": 0.1}, r"encode=0\.1: give a multiple of 0\.08"),
        ({"encode": float("inf")}, "encode=inf"),
    ):
        with pytest.raises(ConfigError, match=says):
            SondPlan(**plan)


# Loading and saving


@pytest.mark.parametrize("place", ["", "sond.pb"])
def test_load_model_reads_what_funasr_wrote(folder: Path, place: str, talk: np.ndarray) -> None:
    model = load_model(folder / place)
    assert isinstance(model, SondDiarizer)
    assert isinstance(model.embedder, SondEmbedder)
    row = [talk[: 4 * RATE], talk[: 2 * RATE], talk[2 * RATE : 4 * RATE]]
    assert model.diarize(row, sample_rate=RATE) == tiny_sond(None).diarize(row, sample_rate=RATE)
    assert (model.speaker_capacity, model.sample_rate, model.source) == (6, RATE, "converted from `sond.pb`")


def test_the_enrolment_model_may_lie_elsewhere(tmp_path: Path, talk: np.ndarray) -> None:
    below = sond_folder(tmp_path / "below", suffix=".pth", enrolment="sv")
    assert isinstance(load_model(below).embedder, SondEmbedder)  # type: ignore[attr-defined]
    alone = sond_folder(tmp_path / "alone", enrolment=None)
    model = load_model(alone)
    assert model.embedder is None  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="'spk1' is a clip, and no model for clips is loaded"):
        model.diarize([talk, talk], sample_rate=RATE)
    given = load_model(alone, embedder=sv_folder(tmp_path / "voices"), profiles=people(2), plan=SondPlan(step=8.0))
    assert isinstance(given, SondDiarizer)
    assert isinstance(given.embedder, SondEmbedder)
    assert given.plan.step == 8.0
    with pytest.raises(UnknownOptionError, match="embedder"):
        load_model(alone, embeder="sv.pb")


def test_weights_that_are_missing_are_named(folder: Path, tmp_path: Path) -> None:
    weights = torch.load(folder / "sond.pb", weights_only=True)
    del weights["cd_scorer.output_linear.weight"]
    torch.save(weights, tmp_path / "sond.pb")
    (tmp_path / "sond.yaml").write_text((folder / "sond.yaml").read_text())
    with pytest.raises(WeightsError, match=r"cd_scorer\.output_linear\.weight \(1, 16\) is missing"):
        load_model(tmp_path)
    with pytest.raises(WeightsError, match=r"nowhere/sond\.pb: there is no such file"):
        load_model("nowhere/sond.pb")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"cd_scorer": "conv"}, "cd_scorer='conv', and only 'san'"),
        ({"encoder_conf": {"pooling_type": "frame_gap"}}, "pooling_type='frame_gap'"),
        ({"encoder_conf": 3}, "encoder_conf is 3"),
        ({"token_list": ["0", "2", "1"]}, "its token_list isn't that of at most 2 of 6 speakers"),
        ({"cd_scorer_conf": {"attention_heads": 5}}, "cd_heads=5"),
        ({"frontend_conf": {"frame_shift": "short", "n_mels": 16}}, "no usable settings"),
    ],
)
def test_settings_that_cant_be_had(more: dict[str, Any], says: str) -> None:
    weights = sond_network().state_dict()
    with pytest.raises(WeightsError, match=says):
        SondDiarizer.from_checkpoint(Checkpoint(Path("sond.pb"), sond_yaml(**more), weights))


def test_saved_and_read_again(folder: Path, tmp_path: Path, talk: np.ndarray) -> None:
    model = load_model(folder)
    assert isinstance(model, SondDiarizer)
    model.licence = "CC BY"
    saved = model.save_pretrained(tmp_path / "own")
    again = SondDiarizer.from_pretrained(saved)
    row = [talk[: 4 * RATE], talk[: 2 * RATE], talk[2 * RATE : 4 * RATE]]
    assert again.diarize(row, sample_rate=RATE) == model.diarize(row, sample_rate=RATE)
    assert again.fbank.options == model.fbank.options
    assert (again.licence, again.source) == ("CC BY", "converted from `sond.pb`")
    assert isinstance(load_model(saved, precision="bf16"), SondDiarizer)
    tiny = SondDiarizer(sond_network(), BANDS)
    assert SondDiarizer.from_pretrained(tiny.save_pretrained(tmp_path / "bare")).embedder is None


def test_what_is_compiled_is_what_computes(folder: Path, talk: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: set[str] = set()

    def watch(self: torch.nn.Module, **options: Any) -> None:
        self.register_forward_pre_hook(lambda module, _: ran.add(f"{type(module).__name__} {options}"))

    monkeypatch.setattr(torch.nn.Module, "compile", watch)  # inductor takes minutes
    load_model(folder, compile=True, profiles=people(2)).diarize(talk[:RATE], sample_rate=RATE)
    parts = ("WindowedEncoder", "ContextScorer", "FsmnEncoder")
    assert ran == {f"{part} {{'dynamic': True}}" for part in parts}


def test_what_the_command_line_says_of_it(folder: Path, tmp_path: Path) -> None:
    facts = describe(folder)
    assert (facts["kind"], facts["model"], facts["loads"], facts["speakers"]) == ("funasr", "sond", True, 6)
    assert list(facts["sha256"]) == ["sond.pb"]
    facts = describe(sv_folder(tmp_path / "voices"))
    assert (facts["kind"], facts["model"], facts["dimension"], facts["loads"]) == (
        "embedder",
        "SondEmbedder",
        SIZE,
        True,
    )
    assert describe(tmp_path / "voices/sv.pb")["loads"]
