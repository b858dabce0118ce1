"""Looks at data before a training: what there is, and all that is wrong with it, by file and line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.audio import probe
from speakerdiar.errors import AudioError, FormatError, InputError
from speakerdiar.formats import files, load_recordings, rttm
from speakerdiar.recording import Recording
from speakerdiar.simulation.clip_lists import stretches_of
from speakerdiar.training.config import DataConfig
from speakerdiar.training.recordings import length_of, reference_turns

PAST_END = 0.1
"""Seconds that a turn may go past the end of the audio: annotations are often rounded."""


@dataclass(frozen=True)
class DataRow:
    """What one setting names.

    Attributes:
        name: of the setting.
        recordings: how many; of clips, files.
        hours: of audio; of clips, of speech.
        speakers: different names.
        each: fewest and most speakers of a recording; None for clips.
        speech: share of time in which anyone speaks; None for clips.
        overlap: share of that in which several do.
    """

    name: str
    recordings: int
    hours: float
    speakers: int
    each: tuple[int, int] | None = None
    speech: float | None = None
    overlap: float = 0.0


@dataclass(frozen=True)
class DataReport:
    """What there is to learn from, and what is wrong with it, a line each."""

    rows: tuple[DataRow, ...]
    faults: tuple[str, ...]


def check_data(data: DataConfig) -> DataReport:
    """Return what the settings name, and all faults: files that are missing or can't be read, turns past the end.

    Audio isn't decoded: what its headers say is taken for true.
    """
    faults: list[str] = []
    rows = []
    for name, manifests in (("data.train", data.train), ("data.validation", data.validation)):
        if manifests:
            rows.append(_recorded(name, manifests, faults))
    if data.clips:
        rows.append(_clips(data.clips, faults))
    faults += [f"data.noise: {folder}: there is no such folder." for folder in data.noise if not os.path.isdir(folder)]
    return DataReport(tuple(rows), tuple(faults))


def _recorded(name: str, manifests: Sequence[str], faults: list[str]) -> DataRow:
    found: list[Diarization] = []
    for manifest in manifests:
        try:
            recordings = load_recordings(manifest)
        except InputError as error:
            faults.append(str(error))
            continue
        for recording, line in zip(recordings, _lines(manifest, len(recordings)), strict=True):
            try:
                found.append(_referenced(recording, faults))
            except InputError as error:
                faults.append(str(FormatError(str(error), path=manifest, line=line)))
    seconds = sum(one.duration for one in found)
    speech = sum(part.duration for one in found for part in one.speech)
    overlap = sum(part.duration for one in found for part in one.overlap)
    counts = [len(one.speakers) for one in found] or [0]
    return DataRow(
        name=name,
        recordings=len(found),
        hours=seconds / 3600,
        speakers=len({speaker for one in found for speaker in one.speakers}),
        each=(min(counts), max(counts)),
        speech=speech / max(seconds, 1e-9),
        overlap=overlap / max(speech, 1e-9),
    )


def _lines(manifest: str, count: int) -> list[int | None]:
    """Return on which line each recording of a manifest stands; None for lists of other kinds."""
    if Path(manifest).suffix.lower() not in (".json", ".jsonl"):
        return [None] * count
    text = files.read_text(manifest)
    return [number for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _referenced(recording: Recording, faults: list[str]) -> Diarization:
    """Return the turns of the part of a recording that is looked at, and add what is wrong with its RTTM.

    Raises:
        InputError: the audio or the RTTM is missing or can't be read, or nobody speaks in it.
    """
    seconds, end = length_of(recording), probe(recording).duration or 0.0
    turns = reference_turns(recording)
    faults += _past_end(recording, end)
    first, last = recording.offset, recording.offset + seconds
    spans = ((max(turn.start, first), min(turn.end, last), turn.speaker) for turn in turns)
    cut = tuple(Turn(*span) for span in spans if span[1] > span[0])
    if not cut:
        raise InputError(
            f"{recording.rttm_filepath}: nobody speaks in {recording.id!r}: mend the RTTM or drop the line."
        )
    return Diarization(recording.id, seconds, cut, offset=first)


def _past_end(recording: Recording, end: float) -> Iterator[str]:
    """Yield a fault for each turn of an RTTM past the end of the audio."""
    path = recording.rttm_filepath or ""
    text = files.read_text(path)
    alone = len({one.recording_id for one in rttm.loads(text, path=path)}) == 1
    for line, content in files.numbered_lines(text, comment=";;"):
        for one in rttm.loads(content, path=path):
            if one.duration > end + PAST_END and (alone or one.recording_id == recording.id):
                message = f"a turn ends at {one.duration:.2f} s, and {recording.path} at {end:.2f} s: cut it."
                yield str(FormatError(message, path=path, line=line))


def _clips(sources: Sequence[str], faults: list[str]) -> DataRow:
    """Return what clips there are, and add what is wrong with them."""
    lengths: dict[str, float] = {}
    speakers: set[tuple[str, str]] = set()
    seconds = 0.0
    for source in sources:
        try:
            for stretch in stretches_of(source):
                if stretch.audio not in lengths:
                    lengths[stretch.audio] = _length(stretch.audio, stretch.path, stretch.line, faults)
                end = lengths[stretch.audio]
                if end and stretch.start >= end:
                    message = f"a stretch from {stretch.start:g} s on is empty: {stretch.audio} has {end:.2f} s."
                    faults.append(str(FormatError(message, path=stretch.path, line=stretch.line)))
                seconds += max(0.0, min(end, end if stretch.end is None else stretch.end) - stretch.start)
                speakers.add((stretch.corpus, stretch.speaker))
        except InputError as error:
            faults.append(str(error))
    return DataRow("data.clips", len(lengths), seconds / 3600, len(speakers))


def _length(audio: str, path: str | None, line: int | None, faults: list[str]) -> float:
    try:
        return probe(audio).duration or 0.0
    except AudioError as error:
        faults.append(str(FormatError(str(error), path=path, line=line)))
        return 0.0
