"""The template: hooks and their order, what subclasses written for NeMo rely on, and the faults it must not have."""

from __future__ import annotations

import gc
import inspect
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fakes import RATE, ToneDiarizer, tone_reference, tones
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from speakerdiar.config import DiarizeConfig, InternalDiarizeConfig, PostProcessingParams
from speakerdiar.errors import ConfigError, InputError, ModelError, UnknownOptionError
from speakerdiar.mixins import SpkDiarizationMixin

TURNS = [(0.5, 2.0, 1), (1.5, 3.0, 0)]
SAMPLES = tones(TURNS, 4.0)
RATE_MESSAGE = r"^Sample rate is not set\. Numpy audio inputs require sample_rate to be set\.$"


class NumberDataset(torch.utils.data.Dataset[torch.Tensor]):
    def __init__(self, numbers: list[str]) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor([float(self.numbers[index])])


class Numbers(torch.nn.Module, SpkDiarizationMixin):
    """Written as models for NeMo are: "paths" are numbers, no call of the mixin's constructor, hooks with super()."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.encoder = torch.nn.Linear(1, 1)
        with torch.no_grad():
            self.encoder.weight.fill_(1.0)
            self.encoder.bias.fill_(0.0)
        self.calls: list[str] = []
        self.configs: list[dict[str, Any]] = []
        self.seen: list[DiarizeConfig] = []
        self.ids: list[list[str]] = []
        self.modes: list[tuple[bool, bool]] = []
        self.fail = ""

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if self.fail == name:
            raise OSError(name)

    def _diarize_on_begin(self, audio: Any, diarcfg: DiarizeConfig) -> None:
        super()._diarize_on_begin(audio, diarcfg)
        self.seen.append(diarcfg)
        self._note("begin")

    def _diarize_input_manifest_processing(
        self, audio_files: list[str], temp_dir: str, diarcfg: DiarizeConfig
    ) -> dict[str, Any]:
        config = super()._diarize_input_manifest_processing(audio_files, temp_dir, diarcfg)
        self._note("manifest")
        return config

    def _setup_diarize_dataloader(self, config: dict[str, Any]) -> DataLoader[Any]:
        self._note("loader")
        self.configs.append(config)
        if "manifest_filepath" in config:
            return DataLoader(NumberDataset(["7"] * 2), batch_size=config["batch_size"])
        return DataLoader(
            NumberDataset(config["paths2audio_files"]),
            batch_size=config["batch_size"],
            num_workers=config["num_workers"],
        )

    def _diarize_forward(self, batch: Any) -> Any:
        self._note("forward")
        self.modes.append((self.training, torch.is_inference_mode_enabled()))
        return self.encoder(batch)

    def _diarize_output_processing(self, outputs: Any, uniq_ids: list[str], diarcfg: Any) -> Any:
        self._note("output")
        self.ids.append(uniq_ids)
        results = [float(output.item()) for output in outputs]
        kind = getattr(diarcfg, "output_type", "list")
        shapes = {
            "list": results,
            "dict": {"output": results},
            "dicts": [{"output": result} for result in results],
            "lists": (results, [result + 1 for result in results]),
            "tuple": tuple(results),
            "object": {"n": len(results)},
            "none": None,
        }
        return shapes[kind]

    def _diarize_on_end(self, diarcfg: DiarizeConfig) -> None:
        super()._diarize_on_end(diarcfg)
        self._note("end")


@dataclass
class TypedConfig(DiarizeConfig):
    output_type: str = "list"


class Featurizer:
    dither = 1e-5
    pad_to = 16


class Preprocessor:
    def __init__(self) -> None:
        self.featurizer = Featurizer()
        self._sample_rate = 16000


class Heard(torch.nn.Module, SpkDiarizationMixin):
    """Reports what its forward was handed."""

    def __init__(self) -> None:
        super().__init__()
        self.preprocessor = Preprocessor()
        self.dithers: list[float] = []
        self.ids: list[str] = []

    def _setup_diarize_dataloader(self, config: dict[str, Any]) -> DataLoader[Any]:
        raise AssertionError("samples don't pass through the model's own loader")

    def _diarize_forward(self, batch: Any) -> Any:
        self.dithers.append(self.preprocessor.featurizer.dither)
        return batch

    def _diarize_output_processing(self, outputs: Any, uniq_ids: list[str], diarcfg: DiarizeConfig) -> list[Any]:
        waveforms, lengths = outputs
        self.ids += uniq_ids
        return [(waveforms[i], int(lengths[i]), waveforms.dtype, lengths.dtype) for i in range(len(waveforms))]


@pytest.fixture
def wav(tmp_path: Path) -> str:
    path = tmp_path / "two voices.wav"
    soundfile.write(path, SAMPLES, RATE, subtype="FLOAT")
    return str(path)


def turns(results: list[Any]) -> list[list[tuple[float, float, str]]]:
    return [[(round(t.start, 3), round(t.end, 3), t.speaker) for t in result] for result in results]


EXPECTED = [(round(t.start, 3), round(t.end, 3), t.speaker) for t in tone_reference(TURNS, 4.0)]


# --- what subclasses written for NeMo rely on


def test_runs_the_hooks_in_order() -> None:
    model = Numbers()
    assert model.diarize(["1.0", "2.0", "3.0"], batch_size=2) == [1.0, 2.0, 3.0]
    assert model.calls == ["begin", "manifest", "loader", "forward", "output", "forward", "output", "end"]


def test_generator_yields_each_batch_when_it_is_ready() -> None:
    model = Numbers()
    generator = model.diarize_generator(["1.0", "2.0", "3.0"], override_config=DiarizeConfig(batch_size=2))
    assert next(generator) == [1.0, 2.0]
    assert model.calls.count("forward") == 1
    assert list(generator) == [[3.0]]


def test_paths_reach_the_loader_with_a_manifest() -> None:
    seen: list[Any] = []

    class Reader(Numbers):
        def _setup_diarize_dataloader(self, config: dict[str, Any]) -> DataLoader[Any]:
            lines = Path(config["temp_dir"], "manifest.json").read_text().splitlines()
            seen.extend(json.loads(line) for line in lines)
            return super()._setup_diarize_dataloader(config)

    model = Reader()
    model.diarize(["1.0", Path("2.0")], batch_size=2, num_workers=1)
    config = model.configs[0]
    assert config["paths2audio_files"] == ["1.0", "2.0"]
    assert (config["batch_size"], config["num_workers"], config["session_len_sec"]) == (2, 1, -1)
    assert "manifest_filepath" not in config
    assert [entry["audio_filepath"] for entry in seen] == ["1.0", "2.0"]
    assert not os.path.exists(config["temp_dir"])


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
@pytest.mark.parametrize("listed", [False, True])
def test_a_manifest_reaches_the_loader_by_its_path(tmp_path: Path, suffix: str, listed: bool) -> None:
    path = tmp_path / f"set{suffix}"
    entries = [{"audio_filepath": "7", "offset": 0, "duration": None}, {"audio_filepath": "7"}]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    model = Numbers()
    assert model.diarize([str(path)] if listed else path, batch_size=3) == [7.0, 7.0]
    assert model.configs[0]["manifest_filepath"] == str(path)
    assert "paths2audio_files" not in model.configs[0]
    assert len(set(model.ids[0])) == 2


def test_a_list_that_begins_with_a_manifest_name_is_a_list() -> None:
    class Names(Numbers):
        def _setup_diarize_dataloader(self, config: dict[str, Any]) -> DataLoader[Any]:
            assert config["paths2audio_files"] == ["1.jsonl", "2.json"]
            return DataLoader(NumberDataset(["1", "2"]))

    assert Names().diarize(["1.jsonl", "2.json"]) == [1.0, 2.0]


def test_a_manifest_that_is_not_there_is_left_to_the_models_loader() -> None:
    assert Numbers().diarize("nowhere.jsonl") == [7.0, 7.0]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("list", [1.0, 2.0, 3.0]),
        ("dict", {"output": [1.0, 2.0, 3.0]}),
        ("dicts", [{"output": 1.0}, {"output": 2.0}, {"output": 3.0}]),
        ("lists", ([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])),
        ("tuple", ([1.0, 2.0, 3.0],)),
        ("object", [{"n": 1}, {"n": 1}, {"n": 1}]),
    ],
)
def test_every_shape_of_output_is_kept(kind: str, expected: Any) -> None:
    config = TypedConfig(output_type=kind)
    assert Numbers().diarize(["1", "2", "3"], override_config=config) == expected


def test_output_of_none_is_an_error() -> None:
    with pytest.raises(ModelError, match="returned None"):
        Numbers().diarize(["1"], override_config=TypedConfig(output_type="none"))


def test_a_config_without_internal_is_refused() -> None:
    @dataclass
    class Foreign:
        batch_size: int = 1
        output_type: str = "dict"

    model = Numbers()
    with pytest.raises(ValueError, match="_internal"):
        model.diarize([1.0, 2.0], override_config=Foreign())
    with pytest.raises(ValueError, match="_internal"):
        model.diarize_generator(["1"], override_config=Foreign())
    config = DiarizeConfig()
    config._internal = {"device": None}  # type: ignore[assignment]
    with pytest.raises(ValueError, match="_internal"):
        model.diarize(["1"], override_config=config)
    assert model.calls == []


def test_a_derived_config_keeps_its_extra_fields_and_is_not_changed() -> None:
    model = Numbers()
    config = TypedConfig(output_type="dict", num_workers=None, _internal=InternalDiarizeConfig(dtype="half"))
    before = (dict(vars(config)), dict(vars(config._internal)))  # type: ignore[arg-type]
    for _ in range(2):
        assert model.diarize(["1"], override_config=config) == {"output": [1.0]}
    assert (dict(vars(config)), dict(vars(config._internal))) == before  # type: ignore[arg-type]
    assert model.seen[0] is not config
    assert isinstance(model.seen[0], TypedConfig)
    assert model.seen[0]._internal is not None
    assert model.seen[0]._internal.dtype == "half"


def test_an_omegaconf_config_is_taken() -> None:
    config = OmegaConf.structured(TypedConfig(output_type="dict", batch_size=2))
    assert Numbers().diarize(["1", "2"], override_config=config) == {"output": [1.0, 2.0]}


def test_arguments_beside_a_config_are_not_ignored() -> None:
    model = Numbers()
    config = TypedConfig(output_type="dict", batch_size=3)
    model.diarize(["1"], override_config=config, num_speakers=2)
    assert (model.seen[-1].batch_size, model.seen[-1].num_speakers) == (3, 2)
    model.diarize(["1"], batch_size=2, override_config=config, output_type="list")
    assert (model.seen[-1].batch_size, model.seen[-1].output_type) == (2, "list")  # type: ignore[attr-defined]


def test_a_second_positional_argument_is_refused_with_the_keyword() -> None:
    model = Numbers()
    with pytest.raises(TypeError, match="batch_size=4"):
        model.diarize(["1"], 4)
    with pytest.raises(TypeError, match="sample_rate=16000"):
        model.diarize(["1"], 16000)
    assert model.calls == []


def test_the_signature_is_the_published_one() -> None:
    signature = inspect.signature(SpkDiarizationMixin.diarize).parameters
    names = [name for name, p in signature.items() if p.kind is p.KEYWORD_ONLY]
    assert names == [
        "sample_rate", "batch_size", "include_tensor_outputs", "postprocessing_yaml", "num_workers", "verbose",
        "override_config",
    ]  # fmt: skip
    defaults = DiarizeConfig()
    for name in names[:-1]:
        assert signature[name].default == getattr(defaults, name), name


def test_worker_processes_change_nothing(wav: str) -> None:
    model = ToneDiarizer()
    assert Numbers().diarize(["1", "2", "3"], num_workers=2) == [1.0, 2.0, 3.0]
    assert turns(model.diarize([wav, wav], num_workers=2)) == [EXPECTED, EXPECTED]
    assert turns(model.diarize([wav], num_workers=None)) == [EXPECTED]


# --- inputs


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


# --- ids


def test_files_of_one_name_are_two_recordings(tmp_path: Path) -> None:
    paths = []
    for index, folder in enumerate("abc"):
        (tmp_path / folder).mkdir()
        paths.append(str(tmp_path / folder / "x.wav"))
        soundfile.write(paths[-1], tones([(0, 1 + index, 0)], 4.0), RATE)
    results = ToneDiarizer().diarize([*paths, paths[0]], batch_size=3)
    assert [result.recording_id for result in results] == ["a/x", "b/x", "c/x", "a/x#2"]
    assert [result.turns[0].end for result in results] == [1.0, 2.0, 3.0, 1.0]


def test_ids_follow_the_rows_that_a_batch_has() -> None:
    class Larger(Numbers):
        def _setup_diarize_dataloader(self, config: dict[str, Any]) -> DataLoader[Any]:
            return DataLoader(NumberDataset(config["paths2audio_files"]), batch_size=2)

    model = Larger()
    model.diarize(["1", "2", "3"], batch_size=1)
    assert model.ids == [["1", "2"], ["3"]]


def test_fewer_results_than_recordings_is_an_error(wav: str) -> None:
    class Forgetful(ToneDiarizer):
        def _diarize_output_processing(self, outputs: Any, uniq_ids: list[str], diarcfg: DiarizeConfig) -> list[Any]:
            return super()._diarize_output_processing(outputs, uniq_ids, diarcfg)[1:]

    with pytest.raises(ModelError, match="1 results for 2 recordings"):
        Forgetful().diarize([wav, wav], batch_size=2)


# --- the model's state


def mixed_modes(model: ToneDiarizer) -> dict[str, bool]:
    return {name: module.training for name, module in model.named_modules()}


def test_modes_hold_around_the_forward_only() -> None:
    model = Numbers().train()
    generator = model.diarize_generator(["1", "2"])
    next(generator)
    assert model.modes == [(False, True)]
    assert model.training
    assert not torch.is_inference_mode_enabled()
    generator.close()  # type: ignore[attr-defined]
    assert model.training


def test_every_submodule_gets_its_own_mode_back(wav: str) -> None:
    model = ToneDiarizer().train()
    model.frozen.eval()
    before = mixed_modes(model)
    model.diarize(wav)
    assert mixed_modes(model) == before
    assert before["frozen"] is False


def test_results_may_be_changed_in_place() -> None:
    class InPlace(Numbers):
        def _diarize_output_processing(self, outputs: Any, uniq_ids: list[str], diarcfg: Any) -> Any:
            assert not torch.is_inference_mode_enabled()
            outputs.add_(1.0)
            return outputs.flatten().tolist()

    assert InPlace().diarize(["1"]) == [2.0]


def test_dither_and_padding_are_off_in_the_forward_and_come_back() -> None:
    model = Heard()
    generator = model.diarize_generator([SAMPLES, SAMPLES], sample_rate=RATE)
    next(generator)
    assert (model.preprocessor.featurizer.dither, model.preprocessor.featurizer.pad_to) == (1e-5, 16)
    list(generator)
    assert model.dithers == [0.0, 0.0]
    assert (model.preprocessor.featurizer.dither, model.preprocessor.featurizer.pad_to) == (1e-5, 16)


@pytest.mark.parametrize("failing", ["begin", "manifest", "loader", "forward", "output"])
def test_the_end_hook_runs_whatever_fails(failing: str) -> None:
    model = Numbers().train()
    model.fail = failing
    with pytest.raises(OSError, match=failing):
        model.diarize(["1", "2"])
    assert model.calls[-1] == "end"
    assert model.training
    assert not torch.is_inference_mode_enabled()


def test_what_the_begin_hook_switches_is_switched_back() -> None:
    class Switching(Numbers):
        def _diarize_on_begin(self, audio: Any, diarcfg: DiarizeConfig) -> None:
            super()._diarize_on_begin(audio, diarcfg)
            self.eval()

    model = Switching().train()
    model.diarize(["1"])
    assert model.training
    assert model.encoder.training


def test_a_mode_set_between_batches_is_the_callers() -> None:
    model = Numbers().eval()
    generator = model.diarize_generator(["1", "2"])
    next(generator)
    model.train()
    list(generator)
    assert model.training


def test_an_abandoned_generator_leaves_nothing_behind() -> None:
    model = Numbers().train()
    generator = model.diarize_generator(["1", "2", "3"])
    next(generator)
    temp_dir = model.configs[0]["temp_dir"]
    assert os.path.isdir(temp_dir)
    del generator
    gc.collect()
    assert model.calls[-1] == "end"
    assert model.training
    assert not os.path.exists(temp_dir)


def test_interleaved_generators_do_not_disturb_each_other(tmp_path: Path) -> None:
    model = ToneDiarizer().train()
    paths = []
    for index in range(3):
        paths.append(str(tmp_path / f"{index}.wav"))
        soundfile.write(paths[-1], tones([(0, 1 + index, index)], 4.0), RATE)
    forth, back = model.diarize_generator(paths), model.diarize_generator(paths[::-1], override_config=DiarizeConfig())
    pairs = list(zip(forth, back, strict=True))
    assert [[r.recording_id for r in a + b] for a, b in pairs] == [["0", "2"], ["1", "1"], ["2", "0"]]
    assert [a[0].turns[0].end for a, _ in pairs] == [1.0, 2.0, 3.0]
    assert model.training


def test_one_config_serves_two_models() -> None:
    config = DiarizeConfig()
    first, second = Numbers().train(), Numbers().eval()
    a, b = first.diarize_generator(["1", "2"], config), second.diarize_generator(["3", "4"], config)
    assert [next(a), next(b), *a, *b] == [[1.0], [3.0], [2.0], [4.0]]
    assert first.training
    assert not second.training


# --- options


def test_an_unknown_option_names_the_closest() -> None:
    with pytest.raises(UnknownOptionError, match="num_speakers"):
        Numbers().diarize(["1"], num_speaker=2)
    with pytest.raises(TypeError):
        Numbers().diarize_generator(["1"], batchsize=2)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"num_workers": -1},
        {"num_speakers": 0},
        {"num_speakers": 2.5},
        {"min_speakers": 3, "max_speakers": 2},
        {"num_speakers": 5, "max_speakers": 2},
        {"session_len_sec": 0},
        {"progress": 3},
        {"postprocessing_params": 3},
        {"sample_rate": -1},
    ],
)
def test_an_impossible_option_is_refused_at_the_call(options: dict[str, Any]) -> None:
    model = Numbers()
    with pytest.raises(ConfigError):
        model.diarize_generator(["1"], **options)
    assert model.calls == []


def test_post_processing_is_always_filled_in(tmp_path: Path) -> None:
    model = Numbers()
    list(model.diarize_generator(["1"], DiarizeConfig()))
    assert model.seen[-1].postprocessing_params == PostProcessingParams()
    path = tmp_path / "pp.yaml"
    path.write_text("parameters:\n  onset: 0.7\n  min_duration_on: 0.25\n")
    model.diarize(["1"], postprocessing_yaml=str(path))
    assert model.seen[-1].postprocessing_params == PostProcessingParams(onset=0.7, min_duration_on=0.25)
    model.diarize(["1"], postprocessing_params={"offset": 0.2})
    assert model.seen[-1].postprocessing_params == PostProcessingParams(offset=0.2)
    path.write_text("parameters:\n  onst: 0.7\n")
    with pytest.raises(UnknownOptionError, match="onset"):
        model.diarize(["1"], postprocessing_yaml=str(path))


def test_progress_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[int, int | None]] = []
    Numbers().diarize(["1", "2", "3"], batch_size=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 3), (3, 3)]
    assert capsys.readouterr().err == ""
    Numbers().diarize(["1", "2", "3"], verbose=True)
    assert "Diarizing: 100%" in capsys.readouterr().err


def test_a_generator_is_lazy(wav: str) -> None:
    def endless() -> Iterator[str]:
        yield wav
        yield wav

    results = ToneDiarizer().diarize_generator(endless())
    assert len(next(results)) == 1


def test_missing_audio_is_reported_when_it_is_read() -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.wav"):
        ToneDiarizer().diarize("nowhere.wav")
    with pytest.raises(InputError):
        ToneDiarizer().diarize("nowhere.jsonl")
