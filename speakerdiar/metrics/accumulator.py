"""Adds components over recordings; the rate comes from their sum, never from a mean of rates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from speakerdiar.errors import InputError
from speakerdiar.metrics import rules as _rules
from speakerdiar.metrics.cells import Cells, cut

if TYPE_CHECKING:
    from speakerdiar.annotation import Diarization


class Components(Protocol):
    """Values of one recording that can be added."""

    def __add__(self: Parts, other: Parts, /) -> Parts: ...


Parts = TypeVar("Parts", bound=Components)


class Accumulator(ABC, Generic[Parts]):
    """Measures recordings one by one and keeps their components.

    Args:
        collar: seconds left out on each side of a reference border.
        skip_overlap: leave out where two or more reference turns run.
        convention: `pyannote`, `pyannote-greedy` or `md-eval`, see `Rules`.

    Attributes:
        files: components of each recording by id, in the order they were added.
    """

    def __init__(
        self, *, collar: float = 0.0, skip_overlap: bool = False, convention: _rules.Convention = "pyannote"
    ) -> None:
        self.rules = _rules.Rules(collar, skip_overlap, convention)
        self.files: dict[str, Parts] = {}
        self._with_uem = 0

    @staticmethod
    @abstractmethod
    def measure(cells: Cells) -> Parts:
        """Return the components of one cut recording."""

    @property
    @abstractmethod
    def total(self) -> Parts:
        """The components of all recordings, added."""

    @property
    def protocol(self) -> _rules.Protocol:
        """The rules, the regions and the number of files behind `total`."""
        return _rules.Protocol(self.rules, len(self.files), self._with_uem)

    def add(self, reference: Diarization, hypothesis: Diarization, uem: _rules.Uem | None = None) -> Parts:
        """Measure one recording, keep its components under the reference's id and return them.

        Raises:
            InputError: a recording of this id was added before.
        """
        name = reference.recording_id
        if name in self.files:
            raise InputError(f"Recording {name!r} was added before: give every recording an id of its own.")
        parts = self.measure(cut(reference, hypothesis, self.rules, uem))
        self.files[name] = parts
        self._with_uem += uem is not None
        return parts

    def _sum(self, start: Parts) -> Parts:
        for parts in self.files.values():
            start = start + parts
        return start
