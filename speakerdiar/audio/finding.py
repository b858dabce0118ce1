"""Finds files of audio by their suffixes."""

from __future__ import annotations

import os
from pathlib import Path

from speakerdiar.errors import AudioNotFoundError

AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aiff", ".aif", ".au", ".caf", ".w64"),
    *(".m4a", ".mp4", ".aac", ".webm", ".mka", ".mkv", ".mov"),
)


def audio_below(folder: str | os.PathLike[str]) -> list[str]:
    """Return the paths of all audio in a folder and below, sorted.

    Raises:
        AudioNotFoundError: there is none.
    """
    files = Path(folder).rglob("*")
    paths = sorted(str(path) for path in files if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
    if not paths:
        raise AudioNotFoundError(f"{folder}: no audio in this folder (looked for {' '.join(AUDIO_SUFFIXES)}).")
    return paths
