"""What is named on the command line, as recordings: files, folders, globs, manifests, lists, `-` for standard input."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from speakerdiar.audio.finding import audio_below
from speakerdiar.errors import AudioNotFoundError, ConfigError
from speakerdiar.formats import RECORDING_LISTS, load_recordings
from speakerdiar.recording import Recording, as_recordings, with_unique_ids


def recordings_of(names: Iterable[str], channel: str = "mix") -> list[Recording]:
    """Return the recordings that the names stand for, with unique ids.

    Args:
        names: files; folders (searched for audio, with all that lies below); globs; manifests (.json, .jsonl); lists of
            paths (.lst, .txt); Kaldi's wav.scp; `-` for audio on standard input.
        channel: "mix", an index from 0 on, or "each" for every channel on its own.

    Raises:
        AudioNotFoundError: a folder or glob holds no audio.
        ConfigError: the channel is neither an index nor one of the words.
    """
    found = [recording for name in names for recording in _named(name)]
    return with_unique_ids(with_channel(found, channel))


def with_channel(recordings: list[Recording], channel: str) -> list[Recording]:
    """Set which channel of each recording is looked at; "each" makes one recording a channel."""
    if channel == "mix":
        return recordings
    if channel == "each":
        from speakerdiar.audio import each_channel

        return [part for recording in recordings for part in each_channel(recording)]
    if not channel.isdecimal():
        raise ConfigError(f"--channel {channel!r}: give mix, each, or the number of a channel from 0 on.")
    return [replace(recording, channel=int(channel)) for recording in recordings]


def _named(name: str) -> Iterator[Recording]:
    path = Path(name)
    suffix = path.suffix.lower()
    if name == "-":
        yield Recording("stdin", sys.stdin.buffer)
    elif path.is_dir():
        yield from as_recordings(audio_below(path))
    elif suffix in RECORDING_LISTS:
        yield from load_recordings(path)
    elif not path.exists() and glob.has_magic(name):
        yield from as_recordings(_matching(name))
    else:
        yield from as_recordings(name)


def _matching(pattern: str) -> list[str]:
    paths = sorted(path for path in glob.glob(pattern, recursive=True) if Path(path).is_file())
    if not paths:
        raise AudioNotFoundError(f"{pattern}: no file matches.")
    return paths
