"""What a weight file holds, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A config and weights, as plain values.

    Attributes:
        path: the file or folder they were read from, for messages.
        config: plain dicts, lists, text and numbers; names of classes in it are text like any other.
        weights: dense tensors on the CPU by name, in the precision they were saved in.
    """

    path: Path
    config: dict[str, Any]
    weights: dict[str, torch.Tensor]
