"""How much audio is accepted.

A few bytes of header can promise any length, rate and channel count, so the limits are checked against what is decoded,
while it is decoded, and not only against the header.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from speakerdiar.errors import AudioLimitError, ConfigError

ENVIRONMENT_PREFIX = "SPEAKERDIAR_"

_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class AudioLimits:
    """What audio is accepted; each field can be set by an environment variable too (`SPEAKERDIAR_MAX_SECONDS`)."""

    max_bytes: int = 4 * 2**30
    """Most bytes of a file or stream. 4 GiB is the most that a plain WAV can hold: 12 hours of CD sound."""
    max_seconds: float = 24 * 3600.0
    """Most seconds read from one recording (its offset isn't counted)."""
    max_channels: int = 64
    """Most channels. Large microphone arrays have 64."""
    min_rate: int = 1_000
    """Lowest sampling rate in Hz. Speech needs 8,000; a tiny rate would blow up when it is resampled."""
    max_rate: int = 768_000
    """Highest sampling rate in Hz; that of the fastest sound cards."""
    allow_truncated: bool = True
    """Read what is there of a file that is cut short (True), or raise AudioDecodeError (False)."""
    allow_any_codec: bool = False
    """Decode the rare codecs too (ADPCM, GSM, ...), whose decoders have known memory errors. For trusted files only."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, bool) and not value > 0:
                raise ConfigError(f"AudioLimits {field.name}={value!r}: give a number above 0.")
        if self.min_rate > self.max_rate:
            raise ConfigError(f"AudioLimits min_rate={self.min_rate} is above max_rate={self.max_rate}: swap them.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> AudioLimits:
        """Make limits from `SPEAKERDIAR_MAX_BYTES`, `SPEAKERDIAR_MAX_SECONDS`, ...; what isn't set keeps its default.

        Raises:
            ConfigError: a variable that isn't a number (or yes / no, where a yes or no is due).
        """
        variables = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            name = ENVIRONMENT_PREFIX + field.name.upper()
            if name in variables:
                values[field.name] = _parse(name, variables[name], type(field.default))
        return cls(**values)

    def check_bytes(self, count: int, name: str) -> None:
        """Raise AudioLimitError where `count` bytes are too many."""
        if count > self.max_bytes:
            raise AudioLimitError(f"{name}: {count:,} bytes is beyond {_setting('max_bytes', self.max_bytes)}.")

    def check_format(self, sample_rate: int, channels: int, name: str) -> None:
        """Raise AudioLimitError for a rate or a number of channels outside the limits."""
        if channels > self.max_channels:
            raise AudioLimitError(
                f"{name}: {channels} channels is beyond {_setting('max_channels', self.max_channels)}."
            )
        if sample_rate < self.min_rate:
            raise AudioLimitError(f"{name}: {sample_rate} Hz is below {_setting('min_rate', self.min_rate)}.")
        if sample_rate > self.max_rate:
            raise AudioLimitError(f"{name}: {sample_rate} Hz is beyond {_setting('max_rate', self.max_rate)}.")

    def check_seconds(self, seconds: float, name: str) -> None:
        """Raise AudioLimitError where so many seconds are too long."""
        if seconds > self.max_seconds:
            limit = _setting("max_seconds", self.max_seconds)
            raise AudioLimitError(
                f"{name}: {seconds:.1f} s is beyond {limit}; or read a part with offset and duration."
            )


def _setting(name: str, value: float) -> str:
    return f"{name}={value:,}: raise or lower it with AudioLimits({name}=...) or {ENVIRONMENT_PREFIX}{name.upper()}"


def _parse(name: str, text: str, kind: type) -> Any:
    try:
        return _WORDS[text.strip().lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        wanted = "yes or no" if kind is bool else "a whole number" if kind is int else "a number"
        raise ConfigError(f"{name}={text!r}: give {wanted}.") from None
