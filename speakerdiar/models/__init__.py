"""MODELS: the one table of what `load_model` can load.

The command line, the documentation and the conformance tests read this table. Classes stand in it by name, so that
importing it costs nothing; there is no registration elsewhere.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from speakerdiar.errors import UnknownModelError, closest

if TYPE_CHECKING:
    from speakerdiar.mixins import SpkDiarizationMixin

DEFAULT_MODEL = "embedded"


@dataclass(frozen=True)
class ModelInfo:
    """A row of MODELS.

    Attributes:
        home: `module:Class` of the diarizer.
        about: what it is, in a line.
        licence: under which the weights may be used.
        paper: where the method is described.
        needs: what brings the weights or packages that the core install lacks, as a pip requirement; "" for nothing.
        packages: distributions that must be installed.
        options: arguments of the class.
        hub: `owner/name` of the repository on the Hugging Face Hub that has the weights; "" for none.
        revision: its commit, or a branch that is pinned at the first pull; "" for `main`.
        files: which of its files are fetched; by default the best form of weights on offer.
    """

    home: str
    about: str
    licence: str
    paper: str = ""
    needs: str = ""
    packages: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    hub: str = ""
    revision: str = ""
    files: tuple[str, ...] = ()

    def is_here(self) -> bool:
        """Whether all that the model needs is installed."""
        try:
            return all(importlib.metadata.distribution(name) is not None for name in self.packages)
        except importlib.metadata.PackageNotFoundError:
            return False


_EMBEDDED_LICENCE = "MIT (silero-vad), Apache-2.0 (GE2E encoder; PLDA, trained on CC BY 4.0 speech)"
_EMBEDDED_NEEDS = "--no-deps resemblyzer==0.1.4"
_CLUSTERING = "speakerdiar.models.diarizers.clustering:ClusteringDiarizer"

MODELS: Mapping[str, ModelInfo] = {
    "embedded": ModelInfo(
        home=_CLUSTERING,
        about="silero VAD, GE2E embeddings, VBx clustering; works offline",
        licence=_EMBEDDED_LICENCE,
        paper="Wan et al. 2018, arXiv:1710.10467; Landini et al. 2022, arXiv:2012.14952",
        needs=_EMBEDDED_NEEDS,
        packages=("silero-vad", "resemblyzer"),
    ),
    "embedded-nmesc": ModelInfo(
        home=_CLUSTERING,
        about="silero VAD, GE2E embeddings, spectral clustering with the eigengap tuned to the recording",
        licence=_EMBEDDED_LICENCE,
        paper="Park et al. 2019, arXiv:2003.02405",
        needs=_EMBEDDED_NEEDS,
        packages=("silero-vad", "resemblyzer"),
        options={"clusterer": "nmesc"},
    ),
}


def load_model(name: str = DEFAULT_MODEL, **options: Any) -> SpkDiarizationMixin:
    """Make a diarizer.

    Args:
        name: a row of MODELS; `embedded` by default, whose weights are installed with the package.
        options: arguments of the model's class, put on top of the row's own.

    Raises:
        UnknownModelError: there is no such row; the message lists those that exist.
        MissingExtraError: a package or weights aren't installed; the message is the pip line that brings them.
    """
    if name not in MODELS:
        raise UnknownModelError(f"There is no model {name!r}.{closest(name, MODELS)} Models: {', '.join(MODELS)}.")
    info = MODELS[name]
    module, _, cls = info.home.partition(":")
    model: SpkDiarizationMixin = getattr(importlib.import_module(module), cls)(**{**info.options, **options})
    return model
