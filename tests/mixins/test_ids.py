"""The template: each recording has an id that travels with its batch, whatever the loader does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from fakes import RATE, ToneDiarizer, tones
from nemo_style import NumberDataset, Numbers
from torch.utils.data import DataLoader, Dataset, IterableDataset

from speakerdiar.config import DiarizeConfig
from speakerdiar.errors import ModelError


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


class Loading(Numbers):
    """Numbers whose loader is the test's."""

    def __init__(self, make: Callable[[Dataset[torch.Tensor]], Any]) -> None:
        super().__init__()
        self.make = make

    def _setup_diarize_dataloader(self, config: dict[str, Any]) -> Any:
        return self.make(NumberDataset(config["paths2audio_files"]))


class Stream(IterableDataset[torch.Tensor]):
    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(torch.tensor([[1.0], [2.0], [3.0]]))


@pytest.mark.parametrize(
    "make",
    [
        lambda numbers: DataLoader(numbers, batch_size=2),
        lambda numbers: DataLoader(numbers, batch_size=5),
        lambda numbers: DataLoader(numbers, batch_size=2, num_workers=2),
        lambda numbers: DataLoader(numbers, batch_sampler=[[0, 1], [2]]),
        lambda numbers: DataLoader(numbers, sampler=[0, 1, 2]),
        lambda numbers: DataLoader(numbers, batch_size=3, drop_last=True),
        lambda numbers: DataLoader(Stream(), batch_size=2),
        lambda numbers: [torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0]])],
    ],
)
@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_ids_do_not_depend_on_how_the_loader_batches(make: Any, batch_size: int) -> None:
    model = Loading(make)
    assert model.diarize(["1", "2", "3"], batch_size=batch_size) == [1.0, 2.0, 3.0]
    assert [id for ids in model.ids for id in ids] == ["1", "2", "3"]
    assert [len(ids) for ids in model.ids] == [len(batch) for batch in make(NumberDataset(["1", "2", "3"]))]


def test_rows_are_not_guessed_from_tensors_that_begin_with_time() -> None:
    class TimeFirst(Loading):
        def _diarize_forward(self, batch: Any) -> Any:
            return super()._diarize_forward(batch[1])

    def collate(rows: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(17, len(rows), 3), torch.stack(rows)

    model = TimeFirst(lambda numbers: DataLoader(numbers, batch_size=2, collate_fn=collate))
    assert model.diarize(["1", "2", "3"]) == [1.0, 2.0, 3.0]
    assert model.ids == [["1", "2"], ["3"]]


def test_ids_that_batches_carry_are_believed_in_any_order() -> None:
    class Named(Loading):
        def _diarize_forward(self, batch: Any) -> Any:
            return super()._diarize_forward(batch["x"])

    def collate(rows: list[torch.Tensor]) -> dict[str, Any]:
        return {"uniq_ids": [str(int(row)) for row in rows], "x": torch.stack(rows)}

    model = Named(lambda numbers: DataLoader(numbers, batch_size=2, sampler=[2, 0, 1], collate_fn=collate))
    assert model.diarize(["1", "2", "3"]) == [3.0, 1.0, 2.0]
    assert model.ids == [["3", "1"], ["2"]]


@pytest.mark.parametrize("order", [{"shuffle": True}, {"sampler": [2, 1, 0]}])
def test_a_loader_that_mixes_recordings_up_is_refused(order: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="order"):
        Loading(lambda numbers: DataLoader(numbers, **order)).diarize(["1", "2", "3"])
    assert Loading(lambda numbers: DataLoader(numbers, shuffle=True)).diarize(["1"]) == [1.0]


def test_a_loader_that_would_lose_recordings_is_refused() -> None:
    with pytest.raises(ModelError, match="last 1 of 3"):
        Loading(lambda numbers: DataLoader(numbers, batch_size=2, drop_last=True)).diarize(["1", "2", "3"])
    given = DataLoader(NumberDataset(["1", "2", "3"]), batch_size=2, drop_last=True)
    assert Numbers().diarize(given) == [1.0, 2.0]


def test_spaces_in_names_stay_in_ids() -> None:
    class Names(Loading):
        def _diarize_input_manifest_processing(self, *given: Any) -> dict[str, Any]:
            return {"paths2audio_files": ["1"]}

    model = Names(DataLoader)
    model.diarize("a folder/two words.wav")
    assert model.ids == [["two words"]]


def test_ids_of_one_call_are_not_those_of_the_next() -> None:
    model = Numbers()
    model.diarize(["1", "2"])
    model.diarize(DataLoader(NumberDataset(["5"])))
    assert model.ids[-1] == ["audio_0000"]
