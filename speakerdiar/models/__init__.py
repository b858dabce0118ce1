"""MODELS: the one table of what `load_model` can load.

The command line, the documentation and the conformance tests read this table. Classes stand in it by name, so that
importing it costs nothing; there is no registration elsewhere.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from speakerdiar.errors import UnknownModelError, UnknownOptionError, closest

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
_SORTFORMER = "speakerdiar.models.diarizers.sortformer:SortformerDiarizer"
_STREAMING_SORTFORMER = "speakerdiar.models.diarizers.streaming_sortformer:StreamingSortformerDiarizer"

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
    "nvidia/diar_sortformer_4spk-v1": ModelInfo(
        home=_SORTFORMER,
        about="Sortformer, offline: up to 4 speakers, overlap included, recordings of some minutes",
        licence="CC-BY-NC-4.0 (not for commercial use)",
        paper="Park et al. 2024, arXiv:2409.06656",
        needs="speakerdiar[hub]",
        packages=("huggingface_hub",),
        hub="nvidia/diar_sortformer_4spk-v1",
        files=("*.nemo",),
    ),
    "nvidia/diar_streaming_sortformer_4spk-v2": ModelInfo(
        home=_STREAMING_SORTFORMER,
        about="Sortformer, live or from files of any length: up to 4 speakers, overlap included",
        licence="CC-BY-4.0",
        paper="Medennikov et al. 2025, arXiv:2507.18446",
        needs="speakerdiar[hub]",
        packages=("huggingface_hub",),
        hub="nvidia/diar_streaming_sortformer_4spk-v2",
        files=("*.nemo",),
    ),
    "nvidia/diar_streaming_sortformer_4spk-v2.1": ModelInfo(
        home=_STREAMING_SORTFORMER,
        about="as v2, trained on more meetings",
        licence="NVIDIA Open Model License",
        paper="Medennikov et al. 2025, arXiv:2507.18446",
        needs="speakerdiar[hub]",
        packages=("huggingface_hub",),
        hub="nvidia/diar_streaming_sortformer_4spk-v2.1",
        files=("*.nemo",),
    ),
    "nvidia/Nemotron-3-Diarization": ModelInfo(
        home="speakerdiar.models.diarizers.nemotron:NemotronDiarizer",
        about="live or from files of any length: up to 8 speakers, overlap included",
        licence="OpenMDW-1.1",
        needs="speakerdiar[hub,nemotron]",
        packages=("huggingface_hub", "transformers"),
        hub="nvidia/Nemotron-3-Diarization",
        files=("*.json", "*.safetensors"),
    ),
}


def load_model(name: str | os.PathLike[str] = DEFAULT_MODEL, **options: Any) -> SpkDiarizationMixin:
    """Make a diarizer.

    Args:
        name: a row of MODELS (`embedded` by default, whose weights are installed with the package); the path of a
            `.nemo` file or of a model's folder; or any `owner/name` on the Hugging Face Hub.
        options: arguments of the model's class, put on top of the row's own; for weights `precision`, `device`,
            `compile`; for the Hub `token` and `revision`.

    Raises:
        UnknownModelError: there is no such row, file or folder; the message lists the rows.
        UnknownOptionError: the model's class has no such argument.
        WeightsError: weights that can't be had or read, or that belong to a model nothing here knows.
        MissingExtraError: a package or weights aren't installed; the message is the pip line that brings them.
    """
    info = MODELS.get(str(name))
    if info is None:
        return _load_weights(os.fspath(name), options)
    if info.hub:
        from speakerdiar.models.opening import open_model

        about = {"revision": info.revision or None, "licence": info.licence, "files": info.files}
        return open_model(info.hub, **{**about, **info.options, **options})
    module, _, name_of_class = info.home.partition(":")
    cls = getattr(importlib.import_module(module), name_of_class)
    known = inspect.signature(cls).parameters
    for option in options:
        if option not in known:
            raise UnknownOptionError(option, known, name_of_class)
    model: SpkDiarizationMixin = cls(**{**info.options, **options})
    return model


def _load_weights(name: str, options: Mapping[str, Any]) -> SpkDiarizationMixin:
    """Load what isn't a row: a path, or a repository on the Hub."""
    near = closest(name, MODELS)
    looks_like_weights = os.path.exists(name) or "/" in name or name.endswith(".nemo")
    if not looks_like_weights:
        raise UnknownModelError(
            f"There is no model {name!r}.{near} Models: {', '.join(MODELS)}; or give the path of a .nemo file or of a "
            "model's folder, or owner/name on the Hub."
        )
    from speakerdiar.models.opening import open_model

    return open_model(name, **options)
