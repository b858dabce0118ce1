"""Recordings whose turns are known, to tune and to judge on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from speakerdiar import formats
from speakerdiar.annotation import Diarization, Segment
from speakerdiar.audio import probe
from speakerdiar.audio.finding import audio_below
from speakerdiar.errors import ConfigError, InputError, closest
from speakerdiar.formats import files, uem
from speakerdiar.recording import Recording, as_recordings

MANIFEST = "manifest.jsonl"
"""Name of the manifest of a folder that has one."""
RTTM_KEYS = ("rttm", "reference")
"""Other names under which a manifest may have the path of the turns, beside `rttm_filepath`."""
WHOLE = 0.1
"""Seconds by which a manifest's duration may miss the length of a recording that is meant whole."""


@dataclass(frozen=True)
class KnownRecording:
    """A recording, and who really speaks in it.

    Attributes:
        recording: what is heard.
        reference: the turns that are right, on the recording's clock.
        regions: what is scored; None for all that either side covers.
    """

    recording: Recording
    reference: Diarization
    regions: Sequence[Segment] | None = None


def read_known(source: str | os.PathLike[str], *, split: str = "") -> list[KnownRecording]:
    """Read recordings with their turns.

    How many speakers a manifest says there are isn't told to models, which won't know it later either.

    Args:
        source: a manifest with `rttm_filepath` (or `rttm`), and `uem_filepath` where there are regions; or a folder,
            with such a `manifest.jsonl`, or with an `.rttm` beside each file of audio.
        split: take the manifest's rows of this `split` only.

    Raises:
        ConfigError: there is no such manifest or folder, nothing is left of it, or it has no such split.
        InputError: a recording without turns, or a file that can't be read.
    """
    place = Path(source)
    if not place.exists():
        raise ConfigError(f"{place}: there is no such file or folder; give a manifest, or a folder of audio and .rttm.")
    manifest = place / MANIFEST if place.is_dir() and (place / MANIFEST).is_file() else place
    if manifest.is_dir():
        if split:
            raise ConfigError(f"split={split!r}: {place} has no {MANIFEST} to say what belongs to it; leave it out.")
        return [_known(recording, _beside(recording)) for recording in as_recordings(audio_below(manifest))]
    recordings = formats.load_recordings(manifest)
    if split:
        recordings = _of_split(recordings, split, manifest)
    if not recordings:
        raise ConfigError(f"{manifest}: no recordings: put one a line.")
    return [_known(recording, _rttm_of(recording, manifest)) for recording in recordings]


def _of_split(recordings: list[Recording], split: str, manifest: Path) -> list[Recording]:
    found = [recording for recording in recordings if recording.extra.get("split") == split]
    if not found:
        splits = sorted({str(recording.extra["split"]) for recording in recordings if "split" in recording.extra})
        there = f" It has {', '.join(splits)}." if splits else " Its rows have no `split`."
        raise ConfigError(f"split={split!r}: {manifest} has none of it.{closest(split, splits)}{there}")
    return found


def _beside(recording: Recording) -> str:
    path = Path(recording.path or "").with_suffix(".rttm")
    if not path.is_file():
        raise InputError(f"{recording.path}: no {path.name} beside it: add the turns, or take the recording away.")
    return str(path)


def _rttm_of(recording: Recording, manifest: Path) -> str:
    named = [recording.rttm_filepath, *(recording.extra.get(key) for key in RTTM_KEYS)]
    for path in named:
        if isinstance(path, str) and path:
            return files.beside(path, manifest)
    raise InputError(f"{manifest}: {recording.id} has no rttm_filepath: add the path of its turns, or drop the row.")


def _known(recording: Recording, rttm: str) -> KnownRecording:
    recording = _whole(replace(recording, num_speakers=None, rttm_filepath=rttm))
    return KnownRecording(recording, _reference(recording, rttm), _regions(recording))


def _whole(recording: Recording) -> Recording:
    """Drop a manifest's duration where it is that of the whole file, up to rounding."""
    if recording.duration is None or recording.offset:
        return recording
    length = probe(recording.path).duration
    whole = length is not None and abs(recording.duration - length) < WHOLE
    return replace(recording, duration=None) if whole else recording


def _reference(recording: Recording, rttm: str) -> Diarization:
    turns = {reference.recording_id: reference for reference in formats.load(rttm)}
    if recording.id in turns:
        return turns[recording.id]
    if len(turns) > 1:
        raise InputError(f"{rttm}: turns of {len(turns)} recordings, and none of {recording.id}: name it by uniq_id.")
    # A file without turns says that nobody speaks.
    return next(iter(turns.values()), Diarization(recording.id, 0.0))


def _regions(recording: Recording) -> list[Segment] | None:
    if recording.uem_filepath is not None:
        regions = uem.load(recording.uem_filepath)
        if recording.id not in regions:
            raise InputError(f"{recording.uem_filepath}: no regions of {recording.id}: add them.")
        return regions[recording.id]
    if recording.offset or recording.duration is not None:
        length = recording.duration or max(0.0, (probe(recording.path).duration or 0.0) - recording.offset)
        return [Segment(recording.offset, recording.offset + length)]
    return None
