"""The template gives the speakers of any diarizer the names of enrolled voices."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fakes import RATE, TONES, ToneDiarizer, tones
from fakes_roles import FakeEmbedder
from fakes_streaming import ToneStreamer
from numpy.typing import NDArray
from torch.utils.data import DataLoader, TensorDataset

from speakerdiar.annotation import Diarization, Segment, Turn
from speakerdiar.config import DiarizeConfig
from speakerdiar.errors import ConfigError
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.mixins.naming import Naming, same_embedder, speaker_vectors, spoken_alone
from speakerdiar.recording import Recording
from speakerdiar.voiceprint import Voiceprints

TURNS = [(0.5, 2.0, 1), (2.0, 3.5, 0), (3.5, 5.0, 2)]
SAMPLES = tones(TURNS, 6.0)
NAMED = [(0.5, 2.0, "Ben"), (2.0, 3.5, "Ana"), (3.5, 5.0, "SPEAKER_00")]


class CountingEmbedder(FakeEmbedder):
    """Counts what it embeds."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: list[int] = []

    def _embed_features(self, samples: NDArray[np.float32]) -> Any:
        self.lengths.append(len(samples))
        return super()._embed_features(samples)


@dataclass
class Voices:
    """Enrolled voices that are tones."""

    pitches: dict[str, float] = field(default_factory=lambda: {"Ana": TONES[0], "Ben": TONES[1], "Duncan": TONES[3]})
    threshold: float = 0.6
    embedder: EmbeddingMixin = field(default_factory=CountingEmbedder)

    def voiceprints(self) -> Voiceprints:
        time = np.arange(RATE) / RATE
        waves = {name: 0.3 * np.sin(2 * np.pi * pitch * time) for name, pitch in self.pitches.items()}
        return Voiceprints.of({name: self.embedder.embed(wave.astype(np.float32))[0] for name, wave in waves.items()})


class EmbeddingDiarizer(ToneDiarizer):
    """Has an embedder of its own, and results with its vectors."""

    def __init__(self, embedder: EmbeddingMixin) -> None:
        super().__init__()
        self.embedder = embedder

    def _diarize_output_processing(self, outputs: Any, uniq_ids: list[str], diarcfg: DiarizeConfig) -> Any:
        assert diarcfg._internal is not None
        results = super()._diarize_output_processing(outputs, uniq_ids, diarcfg)
        recordings = diarcfg._internal.recordings
        return [
            replace(result, embeddings=speaker_vectors(result, recordings[result.recording_id], self.embedder))
            for result in results
        ]


class LoaderDiarizer(ToneDiarizer):
    """Reads whatever a loader of its user yields."""

    def _diarize_output_processing(self, outputs: Any, uniq_ids: list[str], diarcfg: DiarizeConfig) -> Any:
        return [Diarization(id, 6.0, (Turn(0.5, 2.0, "tone1"),)) for id in uniq_ids]


class PlainDiarizer(ToneDiarizer):
    """Gives no Diarizations."""

    def _diarize_output_processing(self, outputs: Any, uniq_ids: list[str], diarcfg: DiarizeConfig) -> Any:
        return [[] for _ in uniq_ids]


class Pipe(io.RawIOBase):
    """A stream that can be read but once."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(buffer)


def said(result: Diarization) -> list[tuple[float, float, str]]:
    return [(round(turn.start, 3), round(turn.end, 3), turn.speaker) for turn in result]


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("talk") / "three voices.wav"
    soundfile.write(path, SAMPLES, RATE, subtype="FLOAT")
    return path


def test_who_is_enrolled_gets_their_name_and_the_rest_are_numbered(wav: Path) -> None:
    [result] = ToneDiarizer().diarize(str(wav), voiceprints=Voices(), include_tensor_outputs=True)
    assert said(result) == NAMED
    assert list(result.identified) == ["Ana", "Ben"]
    assert min(result.identified.values()) > 0.9
    assert set(result.embeddings) == {"Ana", "Ben", "SPEAKER_00"}
    assert result.scores is not None
    assert {"Ana", "Ben", "SPEAKER_00"} <= set(result.scores.speakers)


def test_without_voices_nothing_changes(wav: Path) -> None:
    [result] = ToneDiarizer().diarize(str(wav))
    assert [speaker for _, _, speaker in said(result)] == ["SPEAKER_00", "SPEAKER_01", "SPEAKER_02"]
    assert (result.identified, result.embeddings) == ({}, {})


def test_every_kind_of_input_is_read_again(wav: Path) -> None:
    data = wav.read_bytes()
    open_file, read_on = io.BytesIO(data), io.BytesIO(data)
    read_on.seek(1000)
    inputs: Sequence[Any] = (wav, (SAMPLES, RATE), open_file, read_on, Pipe(data), Recording("r", str(wav)))
    for audio in inputs:
        [result] = ToneDiarizer().diarize(audio, voiceprints=Voices())
        assert said(result) == NAMED, audio


def test_parts_of_a_recording_are_embedded_where_they_are(wav: Path, tmp_path: Path) -> None:
    part = {"audio_filepath": str(wav), "offset": 1.5, "duration": 3.0, "uniq_id": "part"}
    manifest = tmp_path / "manifest.json"
    manifest.write_text('{"audio_filepath": "%s", "offset": 1.5, "duration": 3.0}\n' % wav)  # noqa: UP031
    for audio in (part, str(manifest)):
        [result] = ToneDiarizer().diarize(audio, voiceprints=Voices())
        assert said(result) == [(1.5, 2.0, "Ben"), (2.0, 3.5, "Ana"), (3.5, 4.5, "SPEAKER_00")]
    [channel] = ToneDiarizer().diarize(
        Recording("right", np.stack([np.zeros_like(SAMPLES), SAMPLES], axis=1), RATE, channel=1), voiceprints=Voices()
    )
    assert said(channel) == NAMED


def test_each_recording_of_a_batch_has_its_own_names() -> None:
    other = tones([(0.0, 2.0, 3), (2.0, 4.0, 2), (4.0, 5.0, 1)], 5.0)
    silent = np.zeros(RATE, np.float32)
    results = ToneDiarizer().diarize([SAMPLES, silent, other], sample_rate=RATE, batch_size=3, voiceprints=Voices())
    assert [[speaker for _, _, speaker in said(result)] for result in results] == [
        ["Ben", "Ana", "SPEAKER_00"],
        [],
        ["Duncan", "SPEAKER_00", "Ben"],
    ]
    assert results[1].identified == {}


def test_two_speakers_never_get_one_name() -> None:
    time = np.arange(2 * RATE) / RATE
    samples = np.concatenate([0.3 * np.sin(2 * np.pi * pitch * time) for pitch in (318, 302, 310)]).astype(np.float32)
    result = Diarization("near", 6.0, (Turn(0, 2, "a"), Turn(2, 4, "b"), Turn(4, 6, "c")))
    naming = Naming.of(Voices({"Ana": 300}), None)
    named = naming.named(result, Recording("near", samples, RATE))
    assert [turn.speaker for turn in named] == ["SPEAKER_00", "Ana", "SPEAKER_01"]
    scores = naming.voices.scores(np.stack(list(named.embeddings.values())))
    assert (scores >= naming.threshold).all()


def test_who_never_speaks_alone_stays_unknown() -> None:
    samples = tones([(0.0, 3.0, 0), (1.0, 3.0, 1), (3.0, 3.2, 1)], 4.0)
    [result] = ToneDiarizer().diarize((samples, RATE), voiceprints=Voices())
    assert result.speakers == ("Ana", "SPEAKER_00")
    assert not result.embeddings["SPEAKER_00"].any()


def test_a_models_own_vectors_are_taken_where_the_embedder_is_the_voices(wav: Path) -> None:
    for own, reads in ((CountingEmbedder(), 0), (FakeEmbedder(dimension=32), 3)):
        voices = Voices()
        naming = Naming.of(voices, EmbeddingDiarizer(own))
        assert naming.own == (reads == 0)
        counter = voices.embedder
        assert isinstance(counter, CountingEmbedder)
        counter.lengths.clear()
        [result] = EmbeddingDiarizer(own).diarize(str(wav), voiceprints=voices)
        assert said(result) == NAMED
        pieces = [length for length in counter.lengths if length == round(1.5 * RATE)]
        assert len(pieces) == reads


def test_voices_are_those_of_when_the_call_began(wav: Path) -> None:
    voices = Voices()
    results = ToneDiarizer().diarize_generator([str(wav), str(wav)], voiceprints=voices)
    first = next(results)
    voices.pitches["Cleo"] = TONES[2]
    for [result] in (first, next(results)):
        assert said(result) == NAMED
    [later] = ToneDiarizer().diarize(str(wav), voiceprints=voices)
    assert later.speakers == ("Ben", "Ana", "Cleo")


def test_where_nobody_is_enrolled_all_are_unknown(wav: Path) -> None:
    [result] = ToneDiarizer().diarize(str(wav), voiceprints=Voices({}))
    assert result.speakers == ("SPEAKER_00", "SPEAKER_01", "SPEAKER_02")
    assert result.identified == {}


def test_what_are_no_voices_is_refused_at_the_call(wav: Path) -> None:
    model = ToneDiarizer()
    for call in (model.diarize, model.diarize_generator):
        with pytest.raises(ConfigError, match=r"voiceprints={'Ana': 'ana\.wav'}: give a VoiceprintStore"):
            call(str(wav), voiceprints={"Ana": "ana.wav"})
    with pytest.raises(ConfigError, match="voiceprints=7"):
        model.check_options(voiceprints=7)


def test_recordings_that_cannot_be_read_again_are_refused() -> None:
    loader: DataLoader[Any] = DataLoader(TensorDataset(torch.from_numpy(SAMPLES)[None], torch.tensor([len(SAMPLES)])))
    [plain] = LoaderDiarizer().diarize(loader)
    assert plain.speakers == ("tone1",)
    with pytest.raises(ConfigError, match="a DataLoader's recordings can't be read again"):
        LoaderDiarizer().diarize(loader, voiceprints=Voices())


def test_results_without_speakers_cannot_be_named(wav: Path) -> None:
    with pytest.raises(ConfigError, match="this model gives list"):
        PlainDiarizer().diarize(str(wav), voiceprints=Voices())


def test_live_audio_has_no_names_yet() -> None:
    class Live:
        sample_rate, is_live = RATE, True

        def __iter__(self) -> Iterator[NDArray[np.float32]]:
            raise AssertionError("not listened to")

    for audio, options in ((Live(), {}), (SAMPLES, {"sample_rate": RATE, "latency": "0.5s"})):
        with pytest.raises(ConfigError, match="names come with whole recordings"):
            ToneStreamer().diarize_generator(audio, voiceprints=Voices(), **options)
    with pytest.raises(ConfigError, match="names come with whole recordings"):
        ToneStreamer().stream(voiceprints=Voices())


def test_embedders_are_one_where_they_make_one_vector() -> None:
    assert same_embedder(FakeEmbedder(), FakeEmbedder())
    assert not same_embedder(FakeEmbedder(), FakeEmbedder(dimension=47))
    changed = FakeEmbedder()
    changed.register_buffer("centres", torch.linspace(7.0, 12.0, 48))
    assert not same_embedder(FakeEmbedder(), changed)


def test_the_longest_stretches_alone_are_taken_up_to_a_limit() -> None:
    turns = (Turn(0, 4, "a"), Turn(3, 6, "b"), Turn(7, 9, "a"), Turn(10, 11, "b"))
    alone = spoken_alone(Diarization("x", 12.0, turns), 4.0)
    assert alone == {"a": [Segment(0, 3), Segment(7, 8)], "b": [Segment(4, 6), Segment(10, 11)]}
    assert spoken_alone(Diarization("x", 12.0, turns), 3.0)["a"] == [Segment(0, 3)]
