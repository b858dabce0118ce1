"""Trial lists: pairs of recordings, and whether one speaker is heard in both; three fields a line.

    1 enrol.wav test.wav            as VoxCeleb has them: 1 for one speaker, 0 for two
    enrol.wav test.wav target       as Kaldi has them: target for one speaker, nontarget for two

Blank lines and lines that begin with `#` are passed over. Relative paths are looked for as given, then from the list's
folder on. Fields are split on white space, so a path can't hold any.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from speakerdiar.errors import FormatError
from speakerdiar.formats import files

_FIRST = {"1": True, "0": False}
_LAST = {"target": True, "nontarget": False}


@dataclass(frozen=True)
class Trial:
    """Two recordings, and whether they are of one speaker.

    Attributes:
        enrol: path of the recording that a speaker is known by.
        test: path of the recording that is held against it.
        same: whether one speaker is heard in both.
    """

    enrol: str
    test: str
    same: bool


def loads(text: str, *, path: str | os.PathLike[str] | None = None) -> list[Trial]:
    """Return the trials in their order.

    Raises:
        FormatError: with path and line number: not three fields, or no label; a list without any trial.
    """
    trials = []
    for line, content in files.numbered_lines(text, comment="#"):
        enrol, test, same = _fields(content, path, line)
        trials.append(Trial(files.beside(enrol, path), files.beside(test, path), same))
    if not trials:
        raise FormatError("holds no trial: write lines of the form '1 enrol.wav test.wav'.", path=path)
    return trials


def load(path: str | os.PathLike[str]) -> list[Trial]:
    """Read a trial list: see `loads`."""
    return loads(files.read_text(path), path=path)


def _fields(content: str, path: object, line: int) -> tuple[str, str, bool]:
    fields = content.split()
    if len(fields) != 3:
        message = f"{len(fields)} fields: a trial has 3 ('1 enrol.wav test.wav' or 'enrol.wav test.wav target')."
        raise FormatError(message, path=path, line=line)
    first, second, third = fields
    if third in _LAST:
        return first, second, _LAST[third]
    if first in _FIRST:
        return second, third, _FIRST[first]
    message = f"{content!r} has no label: begin it with 1 or 0, or end it with target or nontarget."
    raise FormatError(message, path=path, line=line)
