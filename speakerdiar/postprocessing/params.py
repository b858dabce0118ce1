"""Post-processing parameters from the YAML files that NeMo ships.

    parameters:
      onset: 0.64
      offset: 0.74
      pad_onset: 0.06

An unknown key is an error, not a silent nothing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speakerdiar.config import PostProcessingParams, checked_options
from speakerdiar.errors import ConfigError, FormatError
from speakerdiar.formats import yaml_text

_SWITCHES = {"filter_speech_first"}


def load_params(path: str | os.PathLike[str]) -> PostProcessingParams:
    """Read post-processing parameters from a YAML file: the keys under `parameters:`, defaults for the absent ones.

    Raises:
        ConfigError: there is no such file, or a value can't be used.
        FormatError: the file isn't YAML, or has no `parameters:`.
        UnknownOptionError: a key that doesn't exist; the message names the closest one.
    """
    values = _parameters(Path(path))
    checked_options(PostProcessingParams, values)
    try:
        return PostProcessingParams.from_mapping({key: _value(key, value) for key, value in values.items()})
    except ConfigError as error:
        raise ConfigError(f"{os.fspath(path)}: {error}") from error


def _parameters(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise ConfigError(f"postprocessing_yaml={str(path)!r}: there is no such file; give the path of a YAML file.")
    document = yaml_text.load(path, "the keys under `parameters:`")
    if not isinstance(document, Mapping) or not isinstance(document.get("parameters"), Mapping):
        raise FormatError("no post-processing parameters: put the keys (onset, ...) under `parameters:`.", path=path)
    extra = [str(key) for key in document if key != "parameters"]
    if extra:
        raise FormatError(f"beside `parameters:` stands {', '.join(extra)}: put the keys under it.", path=path)
    return {str(key): value for key, value in document["parameters"].items()}


def _value(name: str, value: Any) -> float | bool:
    if name in _SWITCHES:
        if value in (0, 1):  # False and True too: NeMo writes 0.0 and 1.0
            return bool(value)
        raise ConfigError(f"{name}={value!r}: give true or false.")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{name}={value!r}: give a number.")
    return float(value)
