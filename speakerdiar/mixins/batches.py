"""Batches of audio: how recordings reach a model's forward, and how their ids travel along."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence, Sized
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch.utils.data import (
    DataLoader,
    Dataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from speakerdiar.audio import load
from speakerdiar.errors import ConfigError, InputError, ModelError
from speakerdiar.formats import manifest
from speakerdiar.recording import Recording, as_recordings


class AudioBatch(tuple[torch.Tensor, torch.Tensor]):
    """The pair (waveforms, lengths), which knows the recordings that it was made from.

    waveforms: float32, (batch, samples), zero behind each recording's end; lengths: int64, (batch,), in samples.
    """

    recordings: tuple[Recording, ...] = ()

    @classmethod
    def of(cls, waveforms: torch.Tensor, lengths: torch.Tensor, recordings: Iterable[Recording]) -> AudioBatch:
        """Make a batch."""
        batch = cls((waveforms, lengths))
        batch.recordings = tuple(recordings)
        return batch


class AudioDataset(Dataset[tuple[torch.Tensor, Recording]]):
    """Recordings, decoded to mono at one rate when asked for."""

    def __init__(self, recordings: Sequence[Recording], sample_rate: int) -> None:
        self.recordings = list(recordings)
        self.sample_rate = sample_rate

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, Recording]:
        recording = self.recordings[index]
        samples = torch.from_numpy(load(recording, self.sample_rate))
        return samples, replace(recording, duration=len(samples) / self.sample_rate or None)


def audio_dataloader(config: Mapping[str, Any]) -> DataLoader[Any]:
    """Make a loader of `AudioBatch`es from what `_setup_diarize_dataloader` is given.

    Args:
        config: `recordings`, `paths2audio_files` or `manifest_filepath` say what to read; `sample_rate`, `batch_size`
            and `num_workers` how.
    """
    recordings = config_recordings(config)
    return DataLoader(
        AudioDataset(recordings, int(config.get("sample_rate") or 16000)),
        batch_size=int(config.get("batch_size", 1)),
        num_workers=int(config.get("num_workers") or 0),
        collate_fn=collate,
    )


def config_recordings(config: Mapping[str, Any]) -> list[Recording]:
    """Return the recordings that a loader's config names."""
    if config.get("recordings"):
        return list(config["recordings"])
    if config.get("manifest_filepath"):
        return manifest.load(config["manifest_filepath"])
    if config.get("paths2audio_files"):
        return as_recordings(config["paths2audio_files"])
    raise ConfigError(f"None of recordings, paths2audio_files, manifest_filepath is in the config: {sorted(config)}.")


def collate(items: Sequence[tuple[torch.Tensor, Recording]]) -> AudioBatch:
    """Pad waveforms of several lengths with zeros to one batch."""
    waveforms = torch.nn.utils.rnn.pad_sequence([samples for samples, _ in items], batch_first=True)
    lengths = torch.tensor([len(samples) for samples, _ in items], dtype=torch.int64)
    return AudioBatch.of(waveforms, lengths, (recording for _, recording in items))


def waveforms_of(batch: Any) -> list[NDArray[Any]]:
    """Return the samples (n,) of each row of a batch (waveforms (B, T), lengths (B,)), without the padding.

    Raises:
        InputError: a batch of another shape.
    """
    pair = isinstance(batch, list | tuple) and len(batch) == 2 and all(isinstance(part, torch.Tensor) for part in batch)
    if not pair or batch[0].ndim != 2 or batch[1].shape != batch[0].shape[:1]:
        raise InputError(f"A batch of the loader is {batch!r:.60}: yield (waveforms (B, T), lengths (B,)).")
    waveforms, lengths = (part.detach().cpu() for part in batch)
    samples = (waveforms.float() if waveforms.is_floating_point() else waveforms).numpy()
    return [row[: int(length)] for row, length in zip(samples, lengths, strict=True)]


def to_device(batch: Any, device: torch.device | None) -> Any:
    """Return the batch with its tensors on `device`; every container keeps its type."""
    if device is None:
        return batch
    if isinstance(batch, torch.Tensor):
        return batch.to(device)
    if isinstance(batch, AudioBatch):
        return AudioBatch.of(batch[0].to(device), batch[1].to(device), batch.recordings)
    if isinstance(batch, MutableMapping):
        moved = copy.copy(batch)  # keeps what a subclass needs to be made
        moved.update({key: to_device(value, device) for key, value in batch.items()})
        return moved
    if isinstance(batch, Mapping):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(value, device) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(to_device(value, device) for value in batch)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        made: Any = copy.copy(batch)
        for f in dataclasses.fields(batch):
            object.__setattr__(made, f.name, to_device(getattr(batch, f.name), device))  # a frozen one too
        return made
    return batch


def device_of(model: object) -> torch.device | None:
    """Return the device that a model's parameters or buffers lie on; None for a model without any."""
    if isinstance(model, torch.nn.Module):
        held = next(itertools.chain(model.parameters(), model.buffers()), None)
        return held.device if held is not None else None
    device = getattr(model, "device", None)
    return device if isinstance(device, torch.device) else None


class BatchIds:
    """Tells which recordings each batch of a loader holds.

    A batch that carries its recordings (or an entry `uniq_ids`) is believed. For any other, recordings are counted off
    in order by the rows that the batch really has, whatever batch size was asked for.

    Args:
        ids: of the call's recordings, in order; none where a loader was handed in.
        loader: what yields the batches.

    Raises:
        ModelError: the loader would leave recordings out (`drop_last`).
    """

    def __init__(self, ids: Sequence[str], loader: Any = None) -> None:
        self._left: Iterator[str] = iter(ids)
        self._known = bool(ids)
        self._made = 0
        one_item_each = isinstance(loader, DataLoader) and bool(ids) and _length(loader.dataset) == len(ids)
        self._batch_size = loader.batch_size if one_item_each else None
        self._in_order = not one_item_each or _is_in_order(loader)
        if self._batch_size and loader.drop_last and len(ids) % self._batch_size:
            raise ModelError(
                f"The loader drops the last {len(ids) % self._batch_size} of {len(ids)} recordings: "
                "make it with drop_last=False."
            )

    def take(self, batch: Any, batch_size: int) -> list[str]:
        """Return the unique ids of the batch's recordings.

        Raises:
            ModelError: the batch carries no ids, and the loader's order isn't that of the recordings.
        """
        if isinstance(batch, AudioBatch) and batch.recordings:
            return [recording.id for recording in batch.recordings]
        named = batch.get("uniq_ids") if isinstance(batch, Mapping) else getattr(batch, "uniq_ids", None)
        if named is not None:
            return [str(name) for name in named]
        if not self._in_order:
            raise ModelError(
                "The loader's sampler changes the order of the recordings, and its batches don't say which they hold: "
                "yield them in order, or with `uniq_ids`."
            )
        rows = self._batch_size or rows_of(batch) or batch_size
        if self._known:
            return list(itertools.islice(self._left, rows))
        first, self._made = self._made, self._made + rows
        return [f"audio_{index:04d}" for index in range(first, self._made)]


def _length(dataset: Any) -> int | None:
    return len(dataset) if isinstance(dataset, Sized) else None


def _is_in_order(loader: DataLoader[Any]) -> bool:
    """Whether a loader goes through its dataset from the first item to the last, as far as one can tell."""
    sampler = loader.sampler
    if isinstance(sampler, RandomSampler | SubsetRandomSampler | WeightedRandomSampler):
        return _length(loader.dataset) == 1
    if isinstance(sampler, SequentialSampler) or not isinstance(sampler, Sampler | Sequence):
        return True
    return list(sampler) == list(range(len(sampler)))  # type: ignore[arg-type]


def rows_of(batch: Any) -> int | None:
    """Return the number of recordings in a batch: the rows of its first tensor, or the length of a plain list."""
    if isinstance(batch, torch.Tensor):
        return len(batch) if batch.ndim else 1
    values = list(batch.values()) if isinstance(batch, Mapping) else batch
    if not isinstance(values, list | tuple):
        return None
    for value in values:
        if isinstance(value, torch.Tensor):
            return len(value) if value.ndim else 1
    return len(values) if isinstance(batch, list) else None
