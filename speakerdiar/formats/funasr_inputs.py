"""Recordings with profiles as FunASR takes them: a list of recordings and a list of profiles, joined by their keys.

    ("wav.scp,speech,sound", "profile.scp,profile,kaldi_ark")
    [("feats.scp", "speech", "kaldi_ark"), ("profile.scp", "profile", "kaldi_ark")]
    ("wav.scp", "profile.scp")

An item is a path, what the file holds, and how; a path alone is `sound` where it comes first, `kaldi_ark` where it
comes second. A `sound` that doesn't end with `.scp` is the recording itself, and its key is its name without suffix. A
profile is one row a speaker; a file that ends with `.ark` is the archive itself. Commands in lists are refused.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from speakerdiar.errors import FormatError, InputError, closest
from speakerdiar.formats import files, kaldi, kaldi_ark
from speakerdiar.recording import id_of_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

TYPES = {"speech": ("sound", "kaldi_ark"), "profile": ("kaldi_ark",)}
"""What a file may hold, and how."""

_LISTS = (".scp", ".ark")


@dataclass(frozen=True, eq=False)
class ProfiledInput:
    """A recording, and the profiles of those who may talk in it.

    Attributes:
        key: the recording's id.
        speech: path of the audio, or the place of its features (frames, values).
        profile: one row a speaker, (speakers, values), in the order of the file.
    """

    key: str
    speech: str | kaldi_ark.MatrixPlace
    profile: NDArray[np.float32]


@dataclass(frozen=True)
class _Item:
    path: str
    name: str
    type: str


def is_funasr_input(audio: object) -> TypeGuard[Sequence[Any]]:
    """Whether this is a pair in one of the forms above, rather than a list of recordings.

    Two paths are such a pair if the second ends with `.scp` or `.ark`.
    """
    if not isinstance(audio, list | tuple) or len(audio) != 2:
        return False
    if all(isinstance(item, str | os.PathLike) for item in audio):
        texts = [os.fspath(item) for item in audio]
        return any(_is_triple(text) for text in texts) or Path(texts[1]).suffix.lower() in _LISTS
    return any(isinstance(item, list | tuple) and _names_a_role(item) for item in audio)


def load(audio: Sequence[Any]) -> list[ProfiledInput]:
    """Return the recordings of a pair in one of the forms above, in the order of the file that lists the speech.

    Args:
        audio: the pair; where the names are given, the order is free.

    Raises:
        InputError: a file can't be opened; or the pair isn't one of speech and profile.
        FormatError: with path and line: a broken file, or keys of one file that the other one lacks.
        MissingExtraError: a binary archive, and kaldiio isn't installed.
    """
    items = {item.name: item for item in (_item(given, at) for at, given in enumerate(audio))}
    if len(audio) != 2 or items.keys() != TYPES.keys():
        raise InputError(f"{audio!r:.200}: give two items, one named speech and one named profile.")
    speech = _speech(items["speech"])
    profiles = _matrices(items["profile"].path)
    _check_keys(speech, profiles, items)
    return [ProfiledInput(key, one, _profile(profiles[key], key, items["profile"].path)) for key, one in speech.items()]


def _names_a_role(item: Sequence[object]) -> bool:
    """Whether this is a path, a name and a type, one of them known; a recording and two clips are three paths, too."""
    if len(item) != 3 or not isinstance(item[0], str | os.PathLike):
        return False
    name, type = item[1:]
    return all(isinstance(one, str) for one in (name, type)) and (
        name in TYPES or any(type in types for types in TYPES.values())
    )


def _is_triple(text: str) -> bool:
    """Whether this is `path,name,type`, and not the path of a file whose name holds commas."""
    return text.count(",") >= 2 and not os.path.isfile(text)


def _item(given: Any, at: int) -> _Item:
    if isinstance(given, str) and _is_triple(given):
        given = tuple(part.strip() for part in given.rsplit(",", 2))
    if isinstance(given, str | os.PathLike):
        name = list(TYPES)[min(at, 1)]
        return _Item(os.fspath(given), name, TYPES[name][0])
    if not _names_a_role(given):
        raise InputError(f"{given!r:.80}: give a path, or a path, a name and a type.")
    path, name, type = os.fspath(given[0]), given[1], given[2]
    if name not in TYPES:
        raise InputError(f"{name!r} in {given!r:.80}:{closest(name, TYPES)} Names: {', '.join(TYPES)}.")
    if type not in TYPES[name]:
        raise InputError(f"Type {type!r} of {path}: {name} comes as {' or '.join(TYPES[name])}.")
    return _Item(path, name, type)


def _speech(item: _Item) -> Mapping[str, str | kaldi_ark.MatrixPlace]:
    if item.type == "kaldi_ark":
        return kaldi_ark.load_scp(item.path)
    if not item.path.lower().endswith(".scp"):
        return {id_of_path(item.path): item.path}
    return kaldi.loads_scp(files.read_text(item.path), path=item.path)


def _matrices(path: str) -> Mapping[str, kaldi_ark.MatrixPlace | NDArray[np.float32]]:
    return kaldi_ark.load_ark(path) if Path(path).suffix.lower() == ".ark" else kaldi_ark.load_scp(path)


def _profile(found: kaldi_ark.MatrixPlace | NDArray[np.float32], key: str, path: str) -> NDArray[np.float32]:
    """Return one row a speaker; a vector is the profile of one."""
    return np.atleast_2d(found.read() if isinstance(found, kaldi_ark.MatrixPlace) else found)


def _check_keys(speech: Mapping[str, Any], profiles: Mapping[str, Any], items: Mapping[str, _Item]) -> None:
    for name, held, wanted in (("profile", profiles, speech), ("speech", speech, profiles)):
        missing = [key for key in wanted if key not in held]
        if missing:
            shown = ", ".join(repr(key) for key in missing[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            other = next(item.path for item in items.values() if item.name != name)
            message = f"no {name} for {shown}{more} of {other}: both files must hold the same keys."
            raise FormatError(message, path=items[name].path)
