"""What every live source promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, TypeVar

from speakerdiar.updates import SampleChunk

_SourceT = TypeVar("_SourceT", bound="LiveSource")


class LiveSource(ABC):
    """Audio that comes in while it is listened to: iterate over it for `SampleChunk`s.

    `model.diarize_generator(source)` takes it as it is. As a context manager it is closed at the end.

    Attributes:
        sample_rate: Hz of the samples.
        is_live: true; tells the source from a collection of recordings.
    """

    sample_rate: int
    is_live: ClassVar[bool] = True

    @abstractmethod
    def __iter__(self) -> Iterator[SampleChunk]:
        """Yield what comes in, as soon as it is there; ends with the audio, or once the source is closed."""

    @abstractmethod
    def close(self) -> None:
        """Stop listening. May be called from another thread, and more than once."""

    def __enter__(self: _SourceT) -> _SourceT:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
