"""The promise of models whose thresholds may be tuned: which, in what ranges, and the same model with others."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import Self

from speakerdiar import ranges
from speakerdiar.annotation import Diarization
from speakerdiar.config import DiarizeConfig, require
from speakerdiar.errors import ModelError, UnknownOptionError
from speakerdiar.ranges import Range


class TunableMixin:
    """Says which thresholds of a model may be tuned.

    There are two kinds: options of a call, in `TUNABLE`, and fields of the model's parts, which say so themselves
    (`TUNABLE` of their class). A threshold's name is that of the option, or of the part, with the field behind a dot:
    `postprocessing_params.onset`, `clusterer.threshold`.
    """

    TUNABLE: ClassVar[Mapping[str, Range]] = ranges.of_postprocessing()
    """Ranges of options of a call."""

    def _tunable_parts(self) -> Mapping[str, Any]:
        """Frozen dataclasses that decide after the networks, by name; their classes have a `TUNABLE` of fields."""
        return {}

    def _with_parts(self, parts: Mapping[str, Any]) -> Self:
        """Return a model of the same networks with these parts, named as in `_tunable_parts`."""
        return self

    def part_ranges(self) -> dict[str, Range]:
        """Return the ranges of the parts' thresholds."""
        return {
            f"{name}.{field}": place
            for name, part in self._tunable_parts().items()
            for field, place in part.TUNABLE.items()
        }

    def part_thresholds(self) -> dict[str, Any]:
        """Return the parts' thresholds as they are."""
        parts = self._tunable_parts()
        split = {name: name.split(".", 1) for name in self.part_ranges()}
        return {name: getattr(parts[part], field) for name, (part, field) in split.items()}

    def with_thresholds(self, values: Mapping[str, float]) -> Self:
        """Return a model of the same networks whose parts have other thresholds; those that aren't named stay.

        Raises:
            UnknownOptionError: there is no such threshold; the message has the closest.
            ConfigError: a value that can't be used.
        """
        known = self.part_ranges()
        changes: dict[str, dict[str, float]] = {}
        for name, value in values.items():
            if name not in known:
                raise UnknownOptionError(name, known, type(self).__name__)
            number = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
            require(number, name, value, "give a number")
            part, field = name.split(".", 1)
            changes.setdefault(part, {})[field] = value
        if not changes:
            return self
        parts = self._tunable_parts()
        changed = {part: dataclasses.replace(parts[part], **fields) for part, fields in changes.items()}
        return self._with_parts({**parts, **changed})

    def _diarize_speech_processing(
        self, outputs: Any, uniq_ids: list[str], diarcfg: DiarizeConfig
    ) -> list[Diarization]:
        """Return where there is speech, whoever talks: what `early` options of a call decide by themselves.

        Only asked of models that have such options. The arguments are those of `_diarize_output_processing`.

        Raises:
            ModelError: the model doesn't say it.
        """
        raise ModelError(
            f"{type(self).__name__} has options that the networks need early, and doesn't say what they decide: write "
            "_diarize_speech_processing."
        )
