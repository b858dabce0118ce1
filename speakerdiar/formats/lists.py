"""Plain lists: one audio path a line; blank lines and lines that begin with `#` are passed over.

Relative paths are looked for as given, then from the list's folder on. Ids are the files' names, made unique.
"""

from __future__ import annotations

import os

from speakerdiar.formats import files
from speakerdiar.recording import Recording, id_of_path, with_unique_ids


def loads(text: str, *, path: str | os.PathLike[str] | None = None) -> list[Recording]:
    """Return one Recording for each path."""
    found = [files.beside(content, path) for _, content in files.numbered_lines(text, comment="#")]
    return with_unique_ids(Recording(id_of_path(audio), audio) for audio in found)


def load(path: str | os.PathLike[str]) -> list[Recording]:
    """Read a list: see `loads`."""
    return loads(files.read_text(path), path=path)
