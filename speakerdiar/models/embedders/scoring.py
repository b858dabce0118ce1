"""How vectors of an embedder are compared, as a folder of our own format states it under `scoring`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.errors import WeightsError

SCORING = "scoring"
"""Key of `config.yaml`."""
THRESHOLDS = ("voice_threshold", "slot_threshold", "linking_threshold")


@dataclass(frozen=True, eq=False, kw_only=True)
class Scoring:
    """What `EmbeddingMixin` says of vectors under the same names; None where it isn't known.

    Attributes:
        centre: mean of vectors of length 1 over many people, (dimension,).
        voice_threshold: cosine, from the centre on, from which two vectors are one person's.
        slot_threshold: distance up to which vectors of local speakers are one person's.
        linking_threshold: cosine for averages of a person's parts.
    """

    centre: NDArray[np.float32] | None = None
    voice_threshold: float | None = None
    slot_threshold: float | None = None
    linking_threshold: float | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any], dimension: int, file: Path) -> Scoring:
        """Read it off a model's config, in which it may be missing.

        Args:
            config: of the model.
            dimension: size of the vectors.
            file: where the config comes from, for messages.

        Raises:
            WeightsError: unknown keys, or values that can't be.
        """
        given = config.get(SCORING) or {}
        known = ("centre", *THRESHOLDS)
        unknown = sorted(set(given) - set(known)) if isinstance(given, Mapping) else [repr(given)]
        if unknown:
            raise WeightsError(f"{file}: {SCORING} has {', '.join(unknown)}: it may have {', '.join(known)}.")
        for name in THRESHOLDS:
            if name in given and not _is_number(given[name]):
                raise WeightsError(f"{file}: {SCORING}.{name} is {given[name]!r}: write a number.")
        centre = given.get("centre")
        if centre is not None:
            if not isinstance(centre, list) or len(centre) != dimension or not all(map(_is_number, centre)):
                raise WeightsError(f"{file}: {SCORING}.centre isn't a list of {dimension} numbers: write one.")
            centre = np.array(centre, dtype=np.float32)
            centre.flags.writeable = False
        return cls(centre=centre, **{name: float(given[name]) for name in THRESHOLDS if name in given})

    def plain(self) -> dict[str, Any]:
        """Return it as plain values, without what isn't known."""
        found: dict[str, Any] = {} if self.centre is None else {"centre": [round(float(x), 5) for x in self.centre]}
        values = {name: getattr(self, name) for name in THRESHOLDS}
        return found | {name: round(value, 4) for name, value in values.items() if value is not None}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
