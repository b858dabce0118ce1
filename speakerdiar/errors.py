"""Every exception that speakerdiar raises.

    SpeakerdiarError
    ├── ConfigError (ValueError)             an option has a value that can't be used
    │   ├── UnknownOptionError (TypeError)   an option that doesn't exist; names the closest one
    │   ├── MisplacedArgumentError (TypeError)  an argument by position that must go by keyword
    │   └── SpeakerCountError                a speaker count that can't be met
    ├── InputError (ValueError)              what was handed in isn't usable audio or text
    │   ├── AudioError                       audio that can't be read
    │   │   ├── AudioNotFoundError (FileNotFoundError)
    │   │   ├── AudioDecodeError             not audio, cut short, or broken inside
    │   │   └── AudioLimitError              beyond a limit; the message names the setting
    │   └── FormatError                      a file (RTTM, UEM, JSON, a store, ...) that breaks its format
    ├── ModelError (RuntimeError)            a model that can't be had or doesn't keep its promises
    │   ├── UnknownModelError (LookupError)  no model of that name; lists the known ones
    │   └── WeightsError                     weights that are missing, altered or don't fit
    └── MissingExtraError (ImportError)      an optional package is absent; prints the pip line

Every message names the value that was refused and what to do instead. The built-in classes in brackets are second
bases, so that `except ValueError` catches what a caller expects it to catch.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SpeakerdiarError(Exception):
    """Base of all errors raised on purpose by this library."""


class ConfigError(SpeakerdiarError, ValueError):
    """An option has a value that can't be used."""


class UnknownOptionError(ConfigError, TypeError):
    """An option that doesn't exist, with the closest one that does."""

    def __init__(self, name: str, known: Iterable[str], where: str = "DiarizeConfig") -> None:
        self.name = name
        options = sorted(known)
        super().__init__(f"{where} has no option {name!r}.{closest(name, options)} Options: {', '.join(options)}.")


class MisplacedArgumentError(ConfigError, TypeError):
    """An argument by position that must go by keyword; the message says by which."""


class SpeakerCountError(ConfigError):
    """A speaker count that can't be met, and why."""


class InputError(SpeakerdiarError, ValueError):
    """What was handed in isn't usable audio or text."""


class AudioError(InputError):
    """Audio that can't be read."""


class AudioNotFoundError(AudioError, FileNotFoundError):
    """There is no audio at this path."""


class AudioDecodeError(AudioError):
    """Not audio, cut short, or broken inside."""


class AudioLimitError(AudioError):
    """Audio beyond a limit. The message names the setting that moves the limit."""


class FormatError(InputError):
    """A file, of text or a store of voices, that breaks its format.

    Attributes:
        path: the file, or None for text that came from elsewhere.
        line: number of the line, from 1, or None where no single line is at fault.
    """

    def __init__(self, message: str, *, path: object = None, line: int | None = None) -> None:
        self.path = path
        self.line = line
        at_line = "" if line is None else f"line {line}" if path is None else f":{line}"
        where = f"{'' if path is None else path}{at_line}"
        super().__init__(f"{where}: {message}" if where else message)


class ModelError(SpeakerdiarError, RuntimeError):
    """A model that can't be had or doesn't keep its promises."""


class UnknownModelError(ModelError, LookupError):
    """No model of that name; the message lists the known ones."""


class WeightsError(ModelError):
    """Weights that are missing, altered, or don't fit the model."""


class MissingExtraError(SpeakerdiarError, ImportError):
    """An optional package is absent. The message is the pip line that brings it.

    The line installs the extra, unless `install` says another one.
    """

    def __init__(self, package: str, extra: str, purpose: str, *, install: str = "") -> None:
        self.extra = extra
        line = install or f'pip install "speakerdiar[{extra}]"'
        super().__init__(f"{purpose} needs {package}: {line}")


def closest(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the nearest known name, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
