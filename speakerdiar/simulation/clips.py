"""Speech of single speakers, read from folders and lists into memory, to make conversations of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from speakerdiar.annotation import Segment
from speakerdiar.audio import load
from speakerdiar.audio.finding import audio_below
from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError, FormatError, InputError
from speakerdiar.recording import Recording
from speakerdiar.simulation.clip_lists import Stretch, stretches_of
from speakerdiar.simulation.conversation import Clip

SpeechFinder: TypeAlias = Callable[[NDArray[np.float32]], Iterable[Segment]]
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

# Decoding waits for the disk at times, and leaves Python's lock alone in between.
THREADS_PER_CORE = 2


@dataclass(frozen=True, eq=False)
class ClipPool:
    """Clips of many speakers.

    Attributes:
        voices: clips by speaker.
        corpora: where each speaker is from; "" where it isn't known.
        rate: samples a second, of all clips.
    """

    voices: Mapping[str, Sequence[Clip]]
    corpora: Mapping[str, str] = field(default_factory=dict)
    rate: int = 16000

    @property
    def seconds(self) -> float:
        """Length of all clips together."""
        return sum(len(clip.samples) for clips in self.voices.values() for clip in clips) / self.rate

    def split(self, every: int) -> tuple[ClipPool, ClipPool]:
        """Return a pool to train with and one that is held out: each `every`-th speaker, by sorted name.

        Raises:
            ConfigError: one of the two would be empty.
        """
        if not is_count(every, least=2) or every > len(self.voices):
            raise ConfigError(
                f"every={every!r} of {len(self.voices)} speakers: give 2 or more, and no more than those."
            )
        held = set(sorted(self.voices)[every - 1 :: every])
        return self._of(set(self.voices) - held), self._of(held)

    def _of(self, names: set[str]) -> ClipPool:
        voices = {name: clips for name, clips in self.voices.items() if name in names}
        return ClipPool(voices, {name: self.corpora.get(name, "") for name in voices}, self.rate)


def read_clips(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    rate: int = 16000,
    *,
    speech: SpeechFinder | None = None,
) -> ClipPool:
    """Read the clips of all speakers that sources hold, mono at `rate`. Each file is decoded once.

    Args:
        sources: folders of audio (the folder right below names the speaker; a file without one is a speaker of its
            own), folders with a `manifest.jsonl`, Kaldi folders (`wav.scp`, `utt2spk`), manifests (.json, .jsonl); see
            `speakerdiar.simulation.clip_lists`.
        rate: samples a second.
        speech: from the samples of a clip to the stretches of speech in them, in seconds; a clip without any is left
            out. Without it a clip is speech throughout.

    Returns:
        The pool. Speakers of one name and different corpora become `corpus/name`.

    Raises:
        InputError: nothing to read, or a source that isn't of these kinds.
        FormatError: with path and line: a list that breaks its format or names no speaker, or a stretch past the end.
        AudioError: a file that can't be read.
    """
    places = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    stretches = [stretch for place in places for stretch in stretches_of(place)]
    if not stretches:
        raise InputError("No clips to read: name a folder, or a list, of speech.")
    names = _names(stretches)
    voices: dict[str, list[Clip]] = {}
    for stretch, samples in zip(stretches, _cut(stretches, rate), strict=True):
        spoken = () if speech is None else tuple(speech(samples))
        if speech is None or spoken:
            voices.setdefault(names[stretch.corpus, stretch.speaker], []).append(Clip(samples, spoken))
    if not voices:
        raise InputError(f"{', '.join(map(str, places))}: no speech was found in any clip: name other clips.")
    corpora = {name: corpus for (corpus, _), name in names.items() if name in voices}
    return ClipPool(voices, corpora, rate)


def read_noises(
    folders: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], rate: int = 16000
) -> list[NDArray[np.float32]]:
    """Read all audio in folders and below them, mono at `rate`; a file stands for itself.

    Raises:
        AudioError: a file that can't be read, or a folder without audio.
    """
    places = [folders] if isinstance(folders, str | os.PathLike) else list(folders)
    paths = [path for place in places for path in ([str(place)] if Path(place).is_file() else audio_below(place))]
    return list(_in_threads(lambda path: load(path, rate), paths))


def _names(stretches: Sequence[Stretch]) -> dict[tuple[str, str], str]:
    """By corpus and speaker, the name in the pool: the speaker's own, unless another corpus has it too."""
    known = dict.fromkeys((stretch.corpus, stretch.speaker) for stretch in stretches)
    corpora: dict[str, list[str]] = {}
    for corpus, speaker in known:
        corpora.setdefault(speaker, []).append(corpus)
    return {key: key[1] if len(corpora[key[1]]) == 1 else "/".join(filter(None, key)) for key in known}


def _cut(stretches: Sequence[Stretch], rate: int) -> list[NDArray[np.float32]]:
    """Return the samples of each stretch, in order."""
    files: dict[tuple[str, object], list[int]] = {}
    for index, stretch in enumerate(stretches):
        if not Path(stretch.audio).is_file():
            raise FormatError(f"{stretch.audio}: there is no such file.", path=stretch.path, line=stretch.line)
        files.setdefault((stretch.audio, stretch.channel), []).append(index)

    def pieces(indices: Sequence[int]) -> list[NDArray[np.float32]]:
        first = stretches[indices[0]]
        whole = load(Recording(first.audio, first.audio, channel=first.channel), rate)
        return [stretches[index].cut(whole, rate) for index in indices]

    found: dict[int, NDArray[np.float32]] = {}
    for indices, cut in zip(files.values(), _in_threads(pieces, files.values()), strict=True):
        found |= zip(indices, cut, strict=True)
    return [found[index] for index in range(len(stretches))]


def _in_threads(work: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Iterator[ResultT]:
    """Yield the results in the order of the items; the first that fails ends it."""
    threads = ThreadPoolExecutor(THREADS_PER_CORE * (os.cpu_count() or 1))
    try:
        yield from threads.map(work, items)
    finally:
        threads.shutdown(cancel_futures=True)
