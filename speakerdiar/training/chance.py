"""Where the chance in examples comes from, so that no process and no worker draws what another one draws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

ExampleT = TypeVar("ExampleT")


class DrawnExamples(IterableDataset[ExampleT], ABC):
    """Examples without end, drawn by chance; a subclass writes `stream`.

    The seed decides about all of them, together with the number of the process (DDP), that of the loader's worker, and
    the step at which training begins or goes on: each of these draws other examples.

    Args:
        seed: where chance begins.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._run = (0, 0)

    def begin(self, process: int, step: int) -> None:
        """Say which process draws from now on, and from which step of a training on."""
        self._run = (process, step)

    @abstractmethod
    def stream(self, rng: np.random.Generator) -> Iterator[ExampleT]:
        """Yield examples without end; all chance comes from the generator."""

    def __iter__(self) -> Iterator[ExampleT]:
        worker = get_worker_info()
        return self.stream(np.random.default_rng([self.seed, *self._run, 0 if worker is None else worker.id]))
