"""YAML files of options: plain values in, with what OmegaConf resolves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from speakerdiar.errors import FormatError


def load(path: Path, holding: str) -> Any:
    """Return the plain values of a YAML file that is there.

    Args:
        path: the file.
        holding: what should stand in it, for messages.

    Raises:
        FormatError: it can't be read, isn't YAML, has a key twice, or refers to nothing.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError  # type: ignore[import-untyped, unused-ignore]  # types exist only where stubs are

    try:
        return OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (YAMLError, OmegaConfBaseException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise FormatError(f"can't be read as YAML with {holding} ({reason})", path=path) from error
