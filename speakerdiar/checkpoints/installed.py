"""Weight files that other installed packages carry. The packages themselves are never imported."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import torch

from speakerdiar.checkpoints.digests import sha256_of
from speakerdiar.errors import MissingExtraError, WeightsError


def installed_file(distribution: str, path: str, *, extra: str, purpose: str, install: str) -> Path:
    """Find a file by its path inside an installed distribution.

    Raises:
        MissingExtraError: the distribution isn't installed; `purpose` says who asks, `install` is the pip line.
        WeightsError: it is installed, but without the file.
    """
    try:
        found = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingExtraError(distribution, extra, purpose, install=install) from error
    file = Path(str(found.locate_file(path)))
    if not file.is_file():
        raise WeightsError(f"{distribution} {found.version} has no file {path!r} ({file}): install it anew.")
    return file


def check_sha256(file: Path, expected: str, remedy: str) -> None:
    """Raise WeightsError, with the remedy, unless the file's SHA-256 is the expected one."""
    found = sha256_of(file)
    if found != expected:
        raise WeightsError(f"{file} isn't the published file (SHA-256 {found}, not {expected}): {remedy}.")


def load_weights(network: torch.nn.Module, weights: dict[str, torch.Tensor], file: Path) -> None:
    """Put weights into a network; every name and shape must fit. They take on the network's own precision.

    A network on the `meta` device, which has no numbers of its own, takes the tensors themselves instead of copies.

    Raises:
        WeightsError: names all weights that are missing, unknown, or of another shape.
    """
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in weights.items()}
    faults = [f"{name} {shape} is missing" for name, shape in wanted.items() if name not in given]
    faults += [f"{name} {shape} is unknown" for name, shape in given.items() if name not in wanted]
    both = [name for name in wanted if name in given and wanted[name] != given[name]]
    faults += [f"{name} is {given[name]}, not {wanted[name]}" for name in both]
    if faults:
        raise WeightsError(f"{file} doesn't fit {type(network).__name__}: {'; '.join(faults)}.")
    own = network.state_dict()
    given_as = {name: value.to(own[name].dtype) for name, value in weights.items()}
    network.load_state_dict(given_as, assign=any(value.is_meta for value in own.values()))
