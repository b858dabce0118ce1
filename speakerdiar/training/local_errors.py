"""Errors of local segmentation, window by window, local speakers paired with those of the reference for the best."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import permutations

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LocalErrors:
    """Frames of speakers; see `of`.

    Attributes:
        total: in which a speaker of the reference talks, each speaker counted.
        missed: of these, those without anyone.
        false: in which someone is heard too many.
        confused: in which another one is heard.
        alone: frames in which one speaker talks.
        doubled: of these, those in which two or more are heard.
        overlapped: frames in which two or more talk.
        found: of these, those in which two or more are heard.
    """

    total: int = 0
    missed: int = 0
    false: int = 0
    confused: int = 0
    alone: int = 0
    doubled: int = 0
    overlapped: int = 0
    found: int = 0

    @classmethod
    def of(cls, heard: NDArray[np.bool_], labels: NDArray[np.bool_]) -> LocalErrors:
        """Compare what is heard in windows, (B, F, S), with labels, (B, F, S)."""
        at_once, wanted = heard.sum(axis=2), labels.sum(axis=2)
        least = np.minimum(at_once, wanted)
        right = np.stack([(heard[:, :, list(order)] & labels).sum(axis=(1, 2)) for order in _orders(heard.shape[2])])
        doubled = at_once > 1
        return cls(
            total=int(wanted.sum()),
            missed=int((wanted - least).sum()),
            false=int((at_once - least).sum()),
            confused=int(least.sum() - right.max(axis=0).sum()),
            alone=int((wanted == 1).sum()),
            doubled=int((doubled & (wanted == 1)).sum()),
            overlapped=int((wanted > 1).sum()),
            found=int((doubled & (wanted > 1)).sum()),
        )

    @classmethod
    def sum(cls, parts: Iterable[LocalErrors]) -> LocalErrors:
        """Add errors of several batches."""
        listed = list(parts)
        return cls(**{field.name: sum(getattr(part, field.name) for part in listed) for field in fields(cls)})

    def rates(self) -> dict[str, float]:
        """Return the diarization error rate and its parts, and how far overlap is to be believed."""
        total = max(1, self.total)
        return {
            "der": (self.missed + self.false + self.confused) / total,
            "miss": self.missed / total,
            "false_alarm": self.false / total,
            "confusion": self.confused / total,
            "overlap_recall": self.found / max(1, self.overlapped),
            "doubled": self.doubled / max(1, self.alone),
        }


def _orders(speakers: int) -> list[tuple[int, ...]]:
    return list(permutations(range(speakers)))
