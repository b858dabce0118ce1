"""The settings that bound a weight file."""

from __future__ import annotations

import pytest

from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.errors import ConfigError, WeightsError


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None])
def test_limits_are_whole_numbers_above_0(value: object) -> None:
    with pytest.raises(ConfigError, match=r"max_members=.*: give a whole number above 0"):
        ArchiveLimits(max_members=value)  # type: ignore[arg-type]  # what is refused


def test_a_limit_itself_is_allowed_and_the_message_names_the_setting() -> None:
    limits = ArchiveLimits(max_bytes=10)
    limits.check("max_bytes", 10, "x")
    with pytest.raises(WeightsError, match=r"x: 11 is beyond max_bytes=10: .*ArchiveLimits\(max_bytes=\.\.\.\)"):
        limits.check("max_bytes", 11, "x")
