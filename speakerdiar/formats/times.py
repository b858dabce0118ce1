"""Seconds as decimal text, and back without rounding surprises.

Text formats hold times to the microsecond: finer than one sample of any audio, and short enough to read. What lies on
that grid comes back as the same float, also as start plus duration, since sums are made in decimals.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

from speakerdiar.errors import FormatError

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


def micros(seconds: float) -> int:
    """Return the whole microseconds nearest to `seconds`."""
    return round(seconds * 1e6)


def millis(seconds: float) -> int:
    """Return the whole milliseconds nearest to `seconds`."""
    return round(seconds * 1e3)


def decimals(microseconds: int, least: int = 3) -> str:
    """Return microseconds as seconds in decimals: at least `least` digits behind the point, at most six.

    >>> decimals(1_500_000), decimals(-20)
    ('1.500', '-0.00002')
    """
    whole, part = divmod(abs(microseconds), 10**6)
    digits = f"{part:06d}".rstrip("0").ljust(least, "0")
    return f"{'-' if microseconds < 0 else ''}{whole}.{digits}"


def number(text: str) -> Decimal | None:
    """Return the finite number that `text` is, or None. No `nan`, no `inf`, no `1_000`."""
    if not _NUMBER.fullmatch(text):
        return None
    value = Decimal(text)
    return value if math.isfinite(float(value)) else None


def seconds(text: str, name: str, *, signed: bool = False, path: object = None, line: int | None = None) -> Decimal:
    """Return the time that `text` is.

    Raises:
        FormatError: it isn't a finite number, or lies below 0 and isn't `signed`.
    """
    value = number(text)
    if value is None:
        raise FormatError(f"{name} {text!r} isn't a number of seconds.", path=path, line=line)
    if value < 0 and not signed:
        raise FormatError(f"{name} {text} lies before 0: times count from the start.", path=path, line=line)
    return value


def not_before_zero(start: float, format_name: str) -> None:
    """Raise FormatError for a turn that a format without negative times can't hold."""
    if start < 0:
        raise FormatError(f"A turn starts at {start} s, and {format_name} has no times before 0: shift or crop first.")
