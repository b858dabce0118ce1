"""The template: what may be handed in, and what reaches the model."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fakes import RATE, ToneDiarizer, tones
from nemo_style import EXPECTED, SAMPLES, Heard, NumberDataset, Numbers, turns
from torch.utils.data import DataLoader

from speakerdiar.config import DiarizeConfig

RATE_MESSAGE = r"^Sample rate is not set\. Numpy audio inputs require sample_rate to be set\.$"


def test_samples_reach_the_forward_padded_with_their_lengths() -> None:
    model = Heard()
    results = model.diarize([SAMPLES[:100], SAMPLES[:300]], sample_rate=RATE, batch_size=2)
    assert [length for _, length, _, _ in results] == [100, 300]
    assert results[0][2:] == (torch.float32, torch.int64)
    assert results[0][0].shape == (300,)
    assert not results[0][0][100:].any()
    np.testing.assert_array_equal(results[0][0][:100], SAMPLES[:100])


def test_samples_are_brought_to_the_models_rate() -> None:
    [(waveform, length, _, _)] = Heard().diarize(np.zeros(8000, dtype=np.float32), sample_rate=8000)
    assert (len(waveform), length) == (16000, 16000)


@pytest.mark.parametrize(
    "audio",
    [
        SAMPLES,
        torch.from_numpy(SAMPLES),
        [SAMPLES, SAMPLES],
        ["a.wav", SAMPLES],
        [SAMPLES, "a.wav"],
        (SAMPLES, SAMPLES, 16000, "a.wav", "b.wav"),
        [3.0, SAMPLES],
    ],
)
def test_samples_without_a_rate_are_refused(audio: Any) -> None:
    for call in (Numbers().diarize, Numbers().diarize_generator):
        with pytest.raises(ValueError, match=RATE_MESSAGE):
            call(audio)


@pytest.mark.parametrize("audio", [None, [], (), iter(()), 3.0, [3.0], b"RIFF", object()])
def test_bad_input_raises_at_the_call_and_changes_nothing(audio: Any) -> None:
    model = Numbers().train()
    with pytest.raises(ValueError, match=r"audio"):
        model.diarize_generator(audio)
    assert model.training
    assert model.calls == []


def test_every_kind_of_input_gives_the_same_turns(wav: str, tmp_path: Path) -> None:
    model = ToneDiarizer()
    manifest = tmp_path / "set.jsonl"
    manifest.write_text(json.dumps({"audio_filepath": wav}) + "\n")
    with open(wav, "rb") as opened:
        inputs: list[Any] = [
            wav, Path(wav), [wav], (SAMPLES, RATE), {"audio_filepath": wav}, opened, io.BytesIO(Path(wav).read_bytes()),
            iter([wav]), manifest, {"audio": SAMPLES, "sample_rate": RATE},
        ]  # fmt: skip
        for audio in inputs:
            assert turns(model.diarize(audio)) == [EXPECTED], audio
    for samples in (SAMPLES, torch.from_numpy(SAMPLES), np.stack([SAMPLES, SAMPLES], axis=1)):
        assert turns(model.diarize(samples, sample_rate=RATE)) == [EXPECTED]


def test_a_loader_may_be_handed_in_first() -> None:
    class Raw(Numbers):
        def _diarize_output_processing(self, outputs: Any, uniq_ids: list[str], diarcfg: Any) -> Any:
            return list(zip(uniq_ids, outputs.flatten().tolist(), strict=True))

    loader = DataLoader(NumberDataset(["1", "2", "3"]), batch_size=2)
    assert Raw().diarize(loader) == [("audio_0000", 1.0), ("audio_0001", 2.0), ("audio_0002", 3.0)]


def test_offset_and_duration_cut_the_audio_and_keep_its_clock(wav: str) -> None:
    [result] = ToneDiarizer().diarize({"audio_filepath": wav, "offset": 1.0, "duration": 1.5})
    assert turns([result]) == [[(1.0, 2.0, "SPEAKER_00"), (1.5, 2.5, "SPEAKER_01")]]
    assert (result.offset, result.duration) == (1.0, 1.5)


def test_session_len_sec_limits_what_is_looked_at(wav: str) -> None:
    assert turns(ToneDiarizer().diarize(wav, session_len_sec=1.0)) == [[(0.5, 1.0, "SPEAKER_00")]]


@pytest.mark.parametrize(
    "convert",
    [
        lambda samples: torch.from_numpy(samples).bfloat16(),
        lambda samples: torch.from_numpy(samples).half(),
        lambda samples: torch.from_numpy(samples).double().requires_grad_(),
        lambda samples: torch.from_numpy((samples * 32767).astype(np.int16)),
        lambda samples: samples.astype(np.float16),
    ],
)
def test_samples_of_every_type_give_the_same_speakers(convert: Any) -> None:
    samples = convert(SAMPLES)
    for audio in (samples, (samples, RATE), {"audio": samples}):
        assert turns(ToneDiarizer().diarize(audio, sample_rate=RATE)) == [EXPECTED]


def test_any_iterable_of_inputs_is_taken() -> None:
    assert Numbers().diarize(path for path in ("1", "2")) == [1.0, 2.0]
    assert Numbers().diarize({"1": None, "2": None}.keys()) == [1.0, 2.0]


def test_an_iterable_that_fails_does_so_at_the_call() -> None:
    def failing() -> Iterator[str]:
        yield "1"
        raise OSError("gone")

    model = Numbers()
    with pytest.raises(OSError, match="gone"):
        model.diarize_generator(failing())
    assert model.calls == []


def test_a_loader_without_batches_gives_an_empty_list() -> None:
    assert Numbers().diarize(DataLoader(NumberDataset([]))) == []


def test_what_an_entry_says_reaches_the_written_manifest(tmp_path: Path) -> None:
    class Reader(Numbers):
        def _setup_diarize_dataloader(self, config: dict[str, Any]) -> DataLoader[Any]:
            lines = Path(config["temp_dir"], "manifest.json").read_text().splitlines()
            self.entries = [json.loads(line) for line in lines]
            return super()._setup_diarize_dataloader(config)

    model = Reader()
    entry = {"audio_filepath": "1", "uniq_id": "meeting", "num_speakers": np.int64(3), "rttm_filepath": tmp_path / "r"}
    model.diarize([entry, "2"])
    [first, second] = model.entries
    assert (first["uniq_id"], first["num_speakers"], first["rttm_filepath"]) == ("meeting", 3, str(tmp_path / "r"))
    assert (second["uniq_id"], second["num_speakers"]) == ("2", None)
    assert model.ids == [["meeting"], ["2"]]


def test_the_number_of_speakers_may_come_with_a_recording(tmp_path: Path) -> None:
    path = str(tmp_path / "three.wav")
    soundfile.write(path, tones([(0, 1.5, 0), (1.5, 2.5, 1), (2.5, 3, 2)], 4.0), RATE)
    entry = {"audio_filepath": path, "num_speakers": 2}
    manifest = tmp_path / "set.json"
    manifest.write_text(json.dumps(entry) + "\n")
    model = ToneDiarizer()
    for audio in (entry, manifest):
        assert len(model.diarize(audio)[0].speakers) == 2
        assert len(model.diarize(audio, num_speakers=1)[0].speakers) == 1
        assert len(model.diarize(audio, max_speakers=3)[0].speakers) == 3


@pytest.mark.parametrize("length", [1, np.float32(1), np.int64(1)])
def test_session_len_sec_may_be_any_number(length: Any) -> None:
    assert ToneDiarizer().diarize((SAMPLES, RATE), session_len_sec=length)[0].duration == 1.0
    assert ToneDiarizer().diarize((SAMPLES, RATE), session_len_sec=float("inf"))[0].duration == 4.0


def test_a_manifests_offset_and_duration_are_honoured(wav: str, tmp_path: Path) -> None:
    manifest = tmp_path / "set.json"
    entries = [{"audio_filepath": wav, "offset": 1.0, "duration": 1.5}, {"audio_filepath": wav}]
    manifest.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    part, whole = ToneDiarizer().diarize(manifest, batch_size=2)
    assert turns([part, whole]) == [[(1.0, 2.0, "SPEAKER_00"), (1.5, 2.5, "SPEAKER_01")], EXPECTED]


def test_samples_of_another_rate_keep_their_length_with_workers_too() -> None:
    halved = tones([(0.5, 2.0, 1)], 4.0, rate=8000)
    for workers in (0, 2):
        results = ToneDiarizer().diarize([halved, halved], sample_rate=8000, num_workers=workers, batch_size=2)
        assert [result.duration for result in results] == [4.0, 4.0]
        assert [result.speakers for result in results] == [("SPEAKER_00",)] * 2


@pytest.mark.parametrize("held", [torch.nn.Linear(1, 1), torch.nn.BatchNorm1d(1, affine=False)])
def test_batches_reach_the_forward_on_the_models_device(held: torch.nn.Module) -> None:
    class Elsewhere(Heard):
        def _diarize_output_processing(self, outputs: Any, uniq_ids: list[str], diarcfg: DiarizeConfig) -> list[Any]:
            return [(outputs[0].device.type, outputs[1].device.type)]

    model = Elsewhere()
    model.held = held.to("meta")
    assert model.diarize((SAMPLES, RATE)) == [("meta", "meta")]
