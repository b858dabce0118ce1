"""What one can diarize, in one shape.

`as_recordings` turns whatever a caller hands in (paths, arrays, tensors, pairs, dicts, open files, lists of these) into
`Recording`s with unique ids. Nothing is opened or checked for existence here: that belongs to whoever reads the audio.
Manifests are read one floor up (`speakerdiar.formats.manifest`).
"""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import PurePath
from typing import Any, BinaryIO, Literal, TypeAlias

import numpy as np

from speakerdiar.config import SpeakerCount, is_count
from speakerdiar.errors import InputError

Channel: TypeAlias = int | Literal["mix"]
Source: TypeAlias = str | np.ndarray | BinaryIO

RATE_MISSING = "Sample rate is not set. Numpy audio inputs require sample_rate to be set."


@dataclass(frozen=True, eq=False)
class Recording:
    """One piece of audio to look at.

    Attributes:
        id: unique among the recordings of a call.
        source: path, samples (float, (samples,) or (samples, channels)), or an open binary file.
        sample_rate: Hz, for samples; files know their own.
        offset: where to begin, in seconds from the start of the source.
        duration: seconds to look at from there; None for all.
        channel: index of the channel, or "mix" for the mean of all.
        num_speakers: exact number of speakers, where it is known; else None.
        rttm_filepath, uem_filepath: reference turns and scored regions, where there are any.
    """

    id: str
    source: Source
    sample_rate: int | None = None
    offset: float = 0.0
    duration: float | None = None
    channel: Channel = "mix"
    num_speakers: int | None = None
    rttm_filepath: str | None = None
    uem_filepath: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.offset < float("inf"):
            raise InputError(f"{self.id}: offset={self.offset!r}: give seconds from the start, 0 or more.")
        if self.duration is not None and not 0 < self.duration < float("inf"):
            raise InputError(f"{self.id}: duration={self.duration!r}: give seconds above 0, or leave it out.")
        if self.channel != "mix" and not is_count(self.channel, least=0):
            raise InputError(f"{self.id}: channel={self.channel!r}: give an index from 0 on, or 'mix'.")
        SpeakerCount.of(self.num_speakers)

    @property
    def path(self) -> str | None:
        """The path, where the source is one."""
        return self.source if isinstance(self.source, str) else None

    @property
    def is_whole_file(self) -> bool:
        """Whether a path alone says it all."""
        return self.path is not None and self.offset == 0 and self.duration is None and self.channel == "mix"

    def manifest_entry(self) -> dict[str, Any]:
        """The recording as an entry of a NeMo manifest."""
        return {
            "audio_filepath": self.path or "",
            "offset": self.offset,
            "duration": self.duration,
            "label": "infer",
            "text": "-",
            "num_speakers": self.num_speakers,
            "rttm_filepath": self.rttm_filepath,
            "uem_filepath": self.uem_filepath,
            "uniq_id": self.id,
        }


_FIELDS = {f.name for f in fields(Recording)}
_MANIFEST_NAMES = {"audio_filepath": "source", "uniq_id": "id", "audio": "source"}
_MANIFEST_IGNORED = {"text", "label", "ctm_filepath"}


def as_recordings(audio: Any, sample_rate: int | None = None) -> list[Recording]:
    """Return one Recording for each thing handed in, in order, with unique ids.

    Args:
        audio: a path (str or os.PathLike), samples (array or tensor), a pair (samples, rate), an open binary file, a
            dict with `audio_filepath` (or `audio`) and any of offset, duration, uniq_id, channel, num_speakers,
            rttm_filepath, uem_filepath, sample_rate; a Recording; or an iterable of these.
        sample_rate: Hz, for samples without a rate of their own.

    Raises:
        InputError: nothing was handed in, samples have no rate, or a thing is of no known kind.
    """
    items = [audio] if is_one(audio) else _listed(audio)
    if not items:
        raise InputError("Input `audio` is empty: give at least one recording.")
    if sample_rate is None and any(_is_array(item) for item in items):
        raise InputError(RATE_MISSING)
    return with_unique_ids([_as_recording(item, index, sample_rate) for index, item in enumerate(items)])


def with_unique_ids(recordings: Iterable[Recording]) -> list[Recording]:
    """Make ids unique, changing only those that collide.

    Different files of one name get as much of their folders as tells them apart (`a/x`, `b/x`); whatever still collides
    is numbered (`x`, `x#2`), the first keeping its id.
    """
    listed = list(recordings)
    ids = _with_folders(listed)
    taken, seen = set(ids), set[str]()
    kept = {id for recording, id in zip(listed, ids, strict=True) if id == recording.id}
    numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: itertools.count(2))
    unique = []
    for recording, id in zip(listed, ids, strict=True):
        name = id
        if id in seen or (id != recording.id and id in kept):
            name = next(other for number in numbers[id] if (other := f"{id}#{number}") not in taken)
        seen.add(name)
        taken.add(name)
        unique.append(replace(recording, id=name))
    return unique


def id_of_path(path: str) -> str:
    """Return the id that a path gives: its name without folders and suffix."""
    return PurePath(path).stem or path


def is_one(audio: Any) -> bool:
    """Whether this is a single recording, and not several; raise InputError for None."""
    if audio is None:
        raise InputError("Input `audio` is empty: it is None. Give a path, samples, or a list of these.")
    single = isinstance(audio, str | os.PathLike | Mapping | Recording) or _is_array(audio) or _is_file(audio)
    return single or _is_pair(audio)


def _listed(audio: Any) -> list[Any]:
    if not isinstance(audio, Iterable) or isinstance(audio, bytes | bytearray):
        raise InputError(
            f"Can't take {type(audio).__name__} as audio: give a path, samples with sample_rate, (samples, rate), "
            "a dict with audio_filepath, an open binary file, or a list of these."
        )
    return list(audio)


def _as_recording(item: Any, index: int, sample_rate: int | None) -> Recording:
    name = f"audio_{index:04d}"
    if isinstance(item, Recording):
        return item
    if isinstance(item, str | os.PathLike):
        path = os.fspath(item)
        return Recording(id_of_path(path), path)
    if isinstance(item, Mapping):
        return _from_mapping(item, name, sample_rate)
    if _is_pair(item):
        return _from_samples(item[0], name, item[1])
    if _is_array(item):
        return _from_samples(item, name, sample_rate)
    if _is_file(item):
        stream_name = getattr(item, "name", None)
        return Recording(id_of_path(stream_name) if isinstance(stream_name, str) else name, item)
    raise InputError(
        f"Item {index} of `audio` is {type(item).__name__} ({item!r:.60}): give a path, samples, (samples, rate), "
        "a dict with audio_filepath, or an open binary file."
    )


def _from_samples(samples: Any, name: str, sample_rate: int | None) -> Recording:
    if sample_rate is None:
        raise InputError(RATE_MISSING)
    if not is_count(sample_rate, least=1):
        raise InputError(f"sample_rate={sample_rate!r}: give a rate in Hz, e.g. 16000.")
    return Recording(name, as_array(samples), int(sample_rate))


def _from_mapping(item: Mapping[str, Any], name: str, sample_rate: int | None) -> Recording:
    given = {key: value for key, value in item.items() if value is not None}
    values = {key: value for key, value in given.items() if key not in _MANIFEST_NAMES}
    # A manifest's own words win: its `source` may say where the audio is from.
    values |= {_MANIFEST_NAMES[key]: value for key, value in given.items() if key in _MANIFEST_NAMES}
    source = values.pop("source", None)
    if source is None:
        raise InputError(f"{dict(item)!r:.80}: an entry needs audio_filepath (a path) or audio (samples, a file).")
    rate = values.pop("sample_rate", sample_rate)
    base = _as_recording(source, 0, rate)
    base = base if "id" in values or base.path is not None else replace(base, id=name)
    known = {key: value for key, value in values.items() if key in _FIELDS}
    extra = {key: value for key, value in values.items() if key not in _FIELDS and key not in _MANIFEST_IGNORED}
    if "id" in known:
        known["id"] = str(known["id"])
    try:
        for key in {"offset", "duration"} & known.keys():
            known[key] = float(known[key])
        return replace(base, **known, extra=extra)
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, InputError) else InputError(f"{base.id}: {error}") from error


def _is_array(item: Any) -> bool:
    """Whether this is a numpy array or something that becomes one, such as a torch tensor (torch isn't imported)."""
    return isinstance(item, np.ndarray) or (hasattr(item, "__array__") and hasattr(item, "shape"))


def _is_file(item: Any) -> bool:
    return hasattr(item, "read") and not isinstance(item, type)


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and _is_array(item[0]) and not _is_array(item[1])


def as_array(samples: Any) -> np.ndarray:
    """Return samples, such as a torch tensor's, as an array; raise InputError unless it has one or two dimensions."""
    held = samples.detach().cpu() if hasattr(samples, "detach") else samples
    try:
        array = np.asarray(held)
    except TypeError:  # a torch type that numpy lacks, such as bfloat16
        array = np.asarray(held.float())
    if array.ndim not in (1, 2):
        raise InputError(f"Samples have shape {array.shape}: give (samples,) or (samples, channels).")
    return array


def _with_folders(recordings: list[Recording]) -> list[str]:
    """The ids, those that files of several folders share lengthened by folders. An id of the caller's choice stays."""
    ids = [r.id for r in recordings]
    alike: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
    for index, recording in enumerate(recordings):
        if recording.path is not None and recording.id == id_of_path(recording.path):
            alike.setdefault(recording.id, []).append((index, _parts(recording.path)))
    for files in alike.values():
        different = len({parts for _, parts in files})
        depth = next(d for d in itertools.count(1) if len({parts[-d:] for _, parts in files}) == different)
        for index, parts in files:
            ids[index] = "/".join(parts[-depth:])
    return ids


def _parts(path: str) -> tuple[str, ...]:
    """The folders of a path and its name without suffix; no root and no `..`, since ids become names of files."""
    folders = (part.strip("/\\") for part in PurePath(path).parts[:-1])
    return (*(folder for folder in folders if folder not in ("", "..")), id_of_path(path))
