"""Where clips of single speakers are: folders of audio, Kaldi folders and manifests, as stretches of files.

    folder of audio         the folder right below names the speaker (LibriSpeech, VCTK); a file without one is a
                            speaker of its own
    folder, manifest.jsonl  as the manifest
    Kaldi folder            wav.scp, utt2spk and, where it is there, segments
    manifest                .json or .jsonl, one JSON object a line:

    {"audio": "a/1.opus", "speaker": "1", "corpus": "a", "utterances": [[0.0, 1.5], [1.75, 4.0]]}
    {"audio_filepath": "b.wav", "offset": 1.0, "duration": 2.5, "label": "2"}

The corpus of a folder is its name; that of a manifest's line is its `corpus`, or else the manifest's name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.audio.finding import audio_below
from speakerdiar.errors import FormatError, InputError, closest
from speakerdiar.formats import files, json_doc, kaldi, manifest
from speakerdiar.recording import Channel, Recording

MANIFEST = "manifest.jsonl"


@dataclass(frozen=True)
class Stretch:
    """Speech of one speaker: a stretch of a file.

    Attributes:
        audio: path of the file.
        speaker: who speaks.
        corpus: what the file is part of.
        start: seconds from the start of the file.
        end: seconds, None for the end of the file.
        channel: index of the channel, or "mix" for the mean of all.
        path: the list that names it, where one does.
        line: line of that list, where it is known.
    """

    audio: str
    speaker: str
    corpus: str
    start: float = 0.0
    end: float | None = None
    channel: Channel = "mix"
    path: str | None = None
    line: int | None = None

    def cut(self, samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
        """Return the stretch of the file's samples; what would lie past the end is left out.

        Raises:
            FormatError: nothing is left.
        """
        first, last = round(self.start * rate), len(samples) if self.end is None else round(self.end * rate)
        if first >= min(last, len(samples)):
            seconds = len(samples) / rate
            message = f"a stretch from {self.start:g} s on is empty: {self.audio} has {seconds:.2f} s; mend the list."
            raise FormatError(message, path=self.path, line=self.line)
        # A copy, so that what isn't speech can be let go of.
        return samples if first == 0 and last >= len(samples) else samples[first:last].copy()


def stretches_of(source: str | os.PathLike[str]) -> Iterator[Stretch]:
    """Yield the speech that a source names, in order.

    Raises:
        InputError: no such source, or none of the kinds above.
        FormatError: a list that breaks its format or lacks a speaker.
        AudioNotFoundError: a folder without audio.
    """
    place = Path(source)
    if place.is_dir() and (place / MANIFEST).is_file():
        yield from _in_manifest(place / MANIFEST, place.resolve().name)
    elif place.is_dir() and (place / "wav.scp").is_file():
        yield from _in_kaldi(place)
    elif place.is_dir():
        yield from _in_folder(place)
    elif place.suffix.lower() in (".json", ".jsonl") and place.is_file():
        yield from _in_manifest(place, place.stem)
    else:
        kind = "isn't of a kind that holds clips" if place.exists() else "there is no such file or folder"
        raise InputError(f"{place}: {kind}: name a folder of audio, a Kaldi folder or a manifest (.json, .jsonl).")


def _in_folder(folder: Path) -> Iterator[Stretch]:
    for path in audio_below(folder):
        first, *below = Path(path).relative_to(folder).parts
        yield Stretch(path, first if below else Path(first).stem, folder.resolve().name)


def _in_kaldi(folder: Path) -> Iterator[Stretch]:
    place = folder / "utt2spk"
    speakers = _speakers(files.read_text(place), place)
    for recording in kaldi.load(folder):
        if recording.id not in speakers:
            near = closest(recording.id, speakers)
            raise FormatError(f"utterance {recording.id!r} has no speaker: add a line for it.{near}", path=place)
        yield _stretch(recording, speakers[recording.id], folder.resolve().name, folder / "wav.scp")


def _speakers(text: str, path: Path) -> dict[str, str]:
    """Return the speaker of each utterance of an `utt2spk`."""
    found: dict[str, str] = {}
    for line, content in files.numbered_lines(text, comment="#"):
        fields = content.split()
        if len(fields) != 2:
            message = f"{len(fields)} fields: a line has 2 (utterance, speaker)."
            raise FormatError(message, path=path, line=line)
        if fields[0] in found:
            raise FormatError(f"{fields[0]!r} stands here twice.", path=path, line=line)
        found[fields[0]] = fields[1]
    return found


def _in_manifest(path: Path, corpus: str) -> Iterator[Stretch]:
    text = files.read_text(path)
    recordings = manifest.loads(text, path=path)
    lines = ((n, line) for n, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1) if line.strip())
    for recording, (number, content) in zip(recordings, lines, strict=True):
        entry = json_doc.parse(content, path=path, line=number)
        speaker, own = _speaker(entry, path, number), str(entry.get("corpus") or corpus)
        whole = _stretch(recording, speaker, own, path, number)
        if "utterances" not in entry:
            yield whole
            continue
        for start, end in _utterances(entry["utterances"], path, number):
            yield replace(whole, start=whole.start + start, end=whole.start + end)


def _stretch(recording: Recording, speaker: str, corpus: str, path: Path, line: int | None = None) -> Stretch:
    end = None if recording.duration is None else recording.offset + recording.duration
    return Stretch(str(recording.path), speaker, corpus, recording.offset, end, recording.channel, str(path), line)


def _speaker(entry: Mapping[str, Any], path: Path, line: int) -> str:
    speaker = entry.get("speaker", entry.get("label"))
    if not isinstance(speaker, str | int) or isinstance(speaker, bool) or speaker in ("", "infer"):
        message = f"says not who speaks (speaker or label is {speaker!r:.40}): give each line a speaker."
        raise FormatError(message, path=path, line=line)
    return str(speaker)


def _utterances(held: Any, path: Path, line: int) -> list[tuple[float, float]]:
    """Return where the utterances of a file are, as (start, end) in seconds."""
    try:
        spans = [(float(start), float(end)) for start, end in held]
    except (TypeError, ValueError) as error:
        message = f"utterances={held!r:.40}: give pairs of start and end in seconds."
        raise FormatError(message, path=path, line=line) from error
    for start, end in spans:
        if not 0 <= start < end < float("inf"):
            raise FormatError(f"utterance [{start:g}, {end:g}] doesn't end after its start.", path=path, line=line)
    return spans
