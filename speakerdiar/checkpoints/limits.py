"""How much of a weight file is accepted. A few bytes can promise any size, so limits come before reading."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from speakerdiar.errors import ConfigError, WeightsError


@dataclass(frozen=True)
class ArchiveLimits:
    """What a weight file may hold. A file beyond a limit raises WeightsError, which names the setting.

    Raises:
        ConfigError: a limit that isn't a whole number above 0.
    """

    max_config_bytes: int = 2**20
    """Most bytes of the config. Those of published models have a few thousand."""
    max_weights_bytes: int = 4 * 2**30
    """Most bytes of the weights."""
    max_members: int = 10_000
    """Most members of an archive, those that are passed over counted too."""
    max_bytes: int = 8 * 2**30
    """Most bytes of an archive's members together, once they are unpacked."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
                raise ConfigError(f"ArchiveLimits {field.name}={value!r}: give a whole number above 0.")

    def check(self, setting: str, amount: int, what: str) -> None:
        """Raise WeightsError where an amount is beyond the setting of this name; `what` says of what it is."""
        limit = getattr(self, setting)
        if amount > limit:
            raise WeightsError(
                f"{what}: {amount:,} is beyond {setting}={limit:,}: if you trust the file, raise the limit with "
                f"ArchiveLimits({setting}=...)."
            )
