from __future__ import annotations

import pytest

from speakerdiar import errors
from speakerdiar.errors import FormatError, MissingExtraError, SpeakerdiarError, UnknownOptionError, closest

CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_ours_and_stands_in_the_drawing(error: type[Exception]) -> None:
    assert issubclass(error, SpeakerdiarError)
    assert error.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.ConfigError, ValueError),
        (errors.UnknownOptionError, TypeError),
        (errors.SpeakerCountError, ValueError),
        (errors.InputError, ValueError),
        (errors.AudioNotFoundError, FileNotFoundError),
        (errors.AudioDecodeError, ValueError),
        (errors.FormatError, ValueError),
        (errors.ModelError, RuntimeError),
        (errors.UnknownModelError, LookupError),
        (errors.MissingExtraError, ImportError),
    ],
)
def test_errors_are_caught_as_the_built_in_ones(error: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(error, builtin)


@pytest.mark.parametrize(
    ("path", "line", "text"),
    [("a.rttm", 3, "a.rttm:3: bad"), ("a.rttm", None, "a.rttm: bad"), (None, 3, "line 3: bad"), (None, None, "bad")],
)
def test_a_format_error_says_where(path: str | None, line: int | None, text: str) -> None:
    error = FormatError("bad", path=path, line=line)
    assert str(error) == text
    assert (error.path, error.line) == (path, line)


def test_an_unknown_option_names_the_closest_one() -> None:
    error = UnknownOptionError("batchsize", ["verbose", "batch_size"])
    assert str(error) == (
        "DiarizeConfig has no option 'batchsize'. Did you mean 'batch_size'? Options: batch_size, verbose."
    )
    assert error.name == "batchsize"


def test_a_missing_extra_prints_the_pip_line() -> None:
    error = MissingExtraError("matplotlib", "plot", "Plotting")
    assert str(error) == 'Plotting needs matplotlib: pip install "speakerdiar[plot]"'
    assert error.extra == "plot"


def test_nothing_close_gives_no_hint() -> None:
    assert closest("zzz", ["alpha", "beta"]) == ""
    assert closest("alpa", ["alpha", "beta"]) == " Did you mean 'alpha'?"
