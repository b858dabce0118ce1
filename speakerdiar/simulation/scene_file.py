"""Scenes as YAML: the fields of `Scene` by name, those left out at their defaults.

seconds: 60
speakers: [2, 4]
talks:
  - {turn_hold: 0.3, turn_switch: 0.4, interruption: 0.2, backchannel: 0.1}
acoustics: {room: 0.5, reverberation: [0.2, 0.8], snr: [5, 20]}
channel: {telephone: 0.2, level: [-45, -20]}
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, TypeVar

from speakerdiar.annotation import Diarization
from speakerdiar.config import checked_options
from speakerdiar.errors import ConfigError, FormatError
from speakerdiar.formats import yaml_text
from speakerdiar.simulation.channel import Channel
from speakerdiar.simulation.conversation import Acoustics
from speakerdiar.simulation.fitted_talk import fitted, proportioned
from speakerdiar.simulation.scene import Scene
from speakerdiar.simulation.turn_taking import TurnTaking

PartT = TypeVar("PartT")

_PARTS: Mapping[str, type[Any]] = {"acoustics": Acoustics, "channel": Channel}
_WANTED = {str: "a name", int: "a whole number", float: "a number"}


def load_scene(path: str | os.PathLike[str]) -> Scene:
    """Read a scene from a YAML file.

    Raises:
        ConfigError: there is no such file, or a value can't be used.
        FormatError: the file isn't YAML of keys and values.
        UnknownOptionError: a key that doesn't exist; the message names the closest one.
    """
    place = Path(path)
    if not place.is_file():
        raise ConfigError(f"{place}: there is no such file; give the path of a YAML file of a scene.")
    values = yaml_text.load(place, "the keys of a scene")
    if not isinstance(values, Mapping):
        raise FormatError("no scene: a scene is keys and values (seconds: 30, ...).", path=place)
    return scene_of(values)


def scene_of(values: Mapping[Any, Any]) -> Scene:
    """Return the scene of plain values by name, nested as in YAML. Raises ConfigError as `load_scene` does."""
    given = dict(values)
    parts: dict[str, Any] = {
        name: _made(kind, given.pop(name), name) for name, kind in _PARTS.items() if given.get(name) is not None
    }
    if given.get("talks") is not None:
        talks = given.pop("talks")
        if not isinstance(talks, list):
            raise ConfigError(f"talks={talks!r:.40}: give a list of ways to take turns, each with its keys.")
        parts["talks"] = tuple(_made(TurnTaking, talk, "talks") for talk in talks)
    return _made(Scene, given, "scene", **parts)


def talk_like(references: Iterable[Diarization]) -> str:
    """Return how people take turns in references as YAML of a scene, with what they measure in comments.

    Raises:
        InputError: no recording has two turns one after the other.
    """
    listed = list(references)
    talk, real = fitted(listed), proportioned(TurnTaking.measured(listed))
    speech, overlap, length = (sum(values) for values in zip(*(_seconds(one) for one in listed), strict=True))
    speakers = sorted(len(one.speakers) for one in listed)
    lines = [
        f"# {len(listed)} recordings, {length / 3600:.2f} h; overlap {100 * overlap / speech:.1f} % of speech; "
        f"{speakers[0]} to {speakers[-1]} speakers, {sum(speakers) / len(speakers):.1f} on average",
        "# Behind each parameter stands what the recordings measure, and conversations made with it do, too.",
        "talks:",
    ]
    for index, field in enumerate(fields(talk)):
        value, measured = getattr(talk, field.name), getattr(real, field.name)
        lines.append(f"{'    ' if index else '  - '}{field.name}: {value:.4g}  # {measured:.4g}")
    return "\n".join(lines) + "\n"


def _seconds(reference: Diarization) -> tuple[float, float, float]:
    """Speech, overlap and length of a recording."""
    speech, overlap = (sum(part.duration for part in found) for found in (reference.speech, reference.overlap))
    return speech, overlap, reference.duration


def _made(kind: type[PartT], values: Any, name: str, **parts: Any) -> PartT:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{name}={values!r:.40}: give keys and values.")
    options = checked_options(kind, {str(key): value for key, value in values.items()})
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{key: _value(known[key], value) for key, value in options.items()}, **parts)


def _value(field: Field[Any], value: Any) -> Any:
    """Return a value as the field takes it: lists become tuples, and numbers are numbers."""
    like = field.default
    if not isinstance(like, tuple):
        if _is_like(value, like):
            return value
        raise ConfigError(f"{field.name}={value!r:.40}: give {_WANTED[type(like)]}.")
    names = isinstance(like[0], str)
    if isinstance(value, list) and (names or len(value) == len(like)) and all(_is_like(one, like[0]) for one in value):
        return tuple(value)
    raise ConfigError(f"{field.name}={value!r:.40}: give {'a list of names' if names else '[least, most]'}.")


def _is_like(value: Any, example: Any) -> bool:
    kinds = (int, float) if isinstance(example, float) else type(example)
    return isinstance(value, kinds) and not isinstance(value, bool)
