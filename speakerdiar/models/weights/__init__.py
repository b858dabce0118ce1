"""Weights that this project made, each beside the script that makes it. `weights_path` finds them."""

from __future__ import annotations

from pathlib import Path

from speakerdiar.errors import WeightsError

FOLDER = Path(__file__).resolve().parent


def weights_path(name: str) -> Path:
    """Return the path of a file of weights that comes with the package. Raises WeightsError where it is missing."""
    path = FOLDER / name
    if not path.is_file():
        raise WeightsError(f"{path}: these weights come with the package: install it anew.")
    return path
