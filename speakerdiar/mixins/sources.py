"""What a call was handed in, in one shape, and the manifest that it is written to."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from speakerdiar.config import DiarizeConfig, is_count
from speakerdiar.formats import manifest
from speakerdiar.recording import Recording, as_recordings

_BESIDE_PATH = ("uniq_id", "num_speakers", "rttm_filepath", "uem_filepath")


@dataclass(frozen=True)
class CallSource:
    """What a call was given: the recordings (none where a loader was), and the loader or manifest itself."""

    recordings: tuple[Recording, ...] = ()
    loader: DataLoader[Any] | None = None
    manifest_filepath: str | None = None


def source_of(audio: Any, diarcfg: DiarizeConfig) -> CallSource:
    """Check what was handed in, and put it in one shape, without opening any audio."""
    if isinstance(audio, DataLoader):
        return CallSource(loader=audio)
    path = manifest_path(audio)
    if path is None:
        return CallSource(tuple(_limited(as_recordings(audio, diarcfg.sample_rate), diarcfg)))
    # A manifest that isn't there may still mean something to a model's own loader: it answers for it.
    recordings = manifest.load(path) if os.path.exists(path) else []
    return CallSource(tuple(_limited(recordings, diarcfg)), manifest_filepath=path)


def manifest_path(audio: Any) -> str | None:
    """Return the path of a manifest, where that is what was handed in; else None."""
    single = audio[0] if isinstance(audio, list | tuple) and len(audio) == 1 else audio
    if not isinstance(single, str | os.PathLike):
        return None
    path = os.fspath(single)
    return path if path.endswith((".json", ".jsonl")) else None


def rate_of(model: object) -> int | None:
    """Return the rate that a model takes, in Hz, where it says so."""
    rate = getattr(getattr(model, "preprocessor", None), "_sample_rate", None) or getattr(model, "sample_rate", None)
    return int(rate) if rate is not None and is_count(rate, least=1) else None


def _limited(recordings: Sequence[Recording], diarcfg: DiarizeConfig) -> list[Recording]:
    longest = float(diarcfg.session_len_sec)
    if longest in (-1, math.inf):
        return list(recordings)
    return [replace(r, duration=min(longest, longest if r.duration is None else r.duration)) for r in recordings]


def loader_options(diarcfg: DiarizeConfig) -> dict[str, Any]:
    """Return what a loader has to know of a call."""
    internal = diarcfg._internal
    assert internal is not None
    return {
        "batch_size": diarcfg.batch_size,
        "num_workers": diarcfg.num_workers,
        "temp_dir": internal.temp_dir,
        "session_len_sec": diarcfg.session_len_sec,
        "sample_rate": internal.target_sample_rate,
    }


def entries_with(entries: Sequence[Mapping[str, Any]], recordings: Sequence[Recording]) -> list[Mapping[str, Any]]:
    """Return the entries of paths, with what the call knows of each recording beside its path."""
    if len(entries) != len(recordings):
        return list(entries)
    told = ({name: r.manifest_entry()[name] for name in _BESIDE_PATH} for r in recordings)
    return [{**e, **{k: v for k, v in more.items() if v is not None}} for e, more in zip(entries, told, strict=True)]


def write_manifest(entries: Sequence[Mapping[str, Any]], temp_dir: str) -> str:
    """Write `temp_dir/manifest.json`, an entry a line; return its path."""
    path = Path(temp_dir) / "manifest.json"
    path.write_text("".join(json.dumps(entry, default=_plain) + "\n" for entry in entries), encoding="utf-8")
    return str(path)


def _plain(value: Any) -> Any:
    """What JSON lacks, as what it has: numpy's numbers and paths."""
    return value.item() if hasattr(value, "item") else os.fspath(value)
