"""Models as they are written for NeMo's mixin, and the recording that tests of the template hand to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from fakes import tone_reference, tones
from torch.utils.data import DataLoader

from speakerdiar.config import DiarizeConfig
from speakerdiar.mixins import SpkDiarizationMixin

TURNS = [(0.5, 2.0, 1), (1.5, 3.0, 0)]
SAMPLES = tones(TURNS, 4.0)


def turns(results: list[Any]) -> list[list[tuple[float, float, str]]]:
    """The turns of each result, in milliseconds."""
    return [[(round(t.start, 3), round(t.end, 3), t.speaker) for t in result] for result in results]


[EXPECTED] = turns([tone_reference(TURNS, 4.0)])


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
