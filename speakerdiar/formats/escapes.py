"""Names inside formats that split lines on white space.

White space is written as the percent-encoded bytes of its UTF-8 form, and so is a `%` that would itself read as such
an escape. All else stays as it is, so ordinary ids look the same in every toolkit.

>>> as_field("team call 100%")
'team%20call%20100%'
>>> plain(as_field("50%20 or more"))
'50%20 or more'
"""

from __future__ import annotations

import re

from speakerdiar.errors import FormatError

# A byte-order mark isn't white space, but readers drop it at the start of a file.
_SPACE = r"[\s\ufeff]"
_LOOKS_ESCAPED = r"%(?=[0-9A-Fa-f]{2})"
# `;;` would open a comment where the id comes first on its line.
_FIELD = re.compile(rf"{_SPACE}|{_LOOKS_ESCAPED}|^;(?=;)")
_LINE = re.compile(rf"(?! ){_SPACE}|^ | $|{_LOOKS_ESCAPED}")
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


def as_field(name: str) -> str:
    """Return `name` without any white space.

    Raises:
        FormatError: the name is empty, so that it would be no field at all.
    """
    if not name:
        raise FormatError("An empty id can't be written in this format: give the recording an id.")
    return _FIELD.sub(_encoded, name)


def as_line(name: str) -> str:
    """Return `name` on one line: inner spaces stay, tabs and line breaks are encoded."""
    return _LINE.sub(_encoded, name)


def plain(text: str) -> str:
    """Return the name that `as_field` or `as_line` wrote. Bytes that are no UTF-8 stay as they are."""
    return _ESCAPES.sub(_decoded, text) if "%" in text else text


def _encoded(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


def _decoded(found: re.Match[str]) -> str:
    try:
        return bytes.fromhex(found[0].replace("%", "")).decode()
    except UnicodeDecodeError:
        return found[0]
