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
        sha256: what these files must be at that revision, by name; plain text is the first one's.
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
    sha256: str | Mapping[str, str] = ""

    def on_hub(self, revision: str | None = None) -> dict[str, Any]:
        """What is asked of the Hub: revision (another one than the model's own, if given), files, and their hashes."""
        known = {self.files[0]: self.sha256} if isinstance(self.sha256, str) else dict(self.sha256)
        if not self.sha256 or revision is not None:
            known = {}
        return {"revision": revision or self.revision or None, "files": self.files, "sha256": known}

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
_EEND_VC = "speakerdiar.models.diarizers.eend_vc:EendVcDiarizer"
_COMMUNITY_1 = {
    "config.yaml": "5ce2bfa9a938dc132cec1172592d65173cbb8f444ea1e4133f10f9391de155be",
    "segmentation/pytorch_model.bin": "7ad24338d844fb95985486eb1a464e32d229f6d7a03c9abe60f978bacf3f816e",
    "embedding/pytorch_model.bin": "6f10ff60898a1d185fa22e1d11e0bfa8a92efec811f11bca48cb8cafebefd929",
    "plda/plda.npz": "9b77bcd840692710dd3496f62ecfeed8d8e5f002fd991b785079b244eab7d255",
    "plda/xvec_transform.npz": "325f1ce8e48f7e55e9c8aa47e05d2766b7c48c4b25b8de8dd751e7a4cc5fbe8f",
}


# Revisions and hashes are those that public projects pin, each of them stated by two at least.
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
        revision="9f17b10df44c0a4c8f3c86fbddc9ee2d6ab9ac08",
        files=("diar_sortformer_4spk-v1.nemo",),
        sha256="bc74dfd8ca314240abcdc7e2949901eeaa72947a04ce1fab893e373d81f1e689",
    ),
    "nvidia/diar_streaming_sortformer_4spk-v2": ModelInfo(
        home=_STREAMING_SORTFORMER,
        about="Sortformer, live or from files of any length: up to 4 speakers, overlap included",
        licence="CC-BY-4.0",
        paper="Medennikov et al. 2025, arXiv:2507.18446",
        needs="speakerdiar[hub]",
        packages=("huggingface_hub",),
        hub="nvidia/diar_streaming_sortformer_4spk-v2",
        revision="5240a64075176943f677d30fa2171c780229f341",
        files=("diar_streaming_sortformer_4spk-v2.nemo",),
        sha256="b371afce2c4958186469df33d939936b9746c89f38b10a69cfd2c61254e83329",
    ),
    "nvidia/diar_streaming_sortformer_4spk-v2.1": ModelInfo(
        home=_STREAMING_SORTFORMER,
        about="as v2, trained on more meetings",
        licence="NVIDIA Open Model License",
        paper="Medennikov et al. 2025, arXiv:2507.18446",
        needs="speakerdiar[hub]",
        packages=("huggingface_hub",),
        hub="nvidia/diar_streaming_sortformer_4spk-v2.1",
        revision="fafaab5faa1617a0ca52d38dd3dc4bd636800d3d",
        files=("diar_streaming_sortformer_4spk-v2.1.nemo",),
        sha256="8abd32832159c6ac1148c926b7276f35ba34582c444e559dce1f1253fea42ef8",
    ),
    "nvidia/Nemotron-3-Diarization": ModelInfo(
        home="speakerdiar.models.diarizers.nemotron:NemotronDiarizer",
        about="live or from files of any length: up to 8 speakers, overlap included",
        licence="OpenMDW-1.1",
        needs="speakerdiar[hub,nemotron]",
        packages=("huggingface_hub", "transformers"),
        hub="nvidia/Nemotron-3-Diarization",
        revision="f667ed73aee57d40cc39428eb768b4fd87a0a29e",
        files=("model.safetensors", "*.json"),
        sha256="c074d86335b3b794f8fa5edc25594558f128bdb3914d27806a3a5a2e44963cb6",
    ),
    "pyannote/speaker-diarization-community-1": ModelInfo(
        home=_EEND_VC,
        about="pyannote.audio 4's pipeline: any number of speakers, overlap included; gated, so it takes a token",
        licence="CC-BY-4.0",
        paper="Plaquet and Bredin 2023, Interspeech; Landini et al. 2022, arXiv:2012.14952",
        needs="speakerdiar[hub]",
        packages=("huggingface_hub",),
        hub="pyannote/speaker-diarization-community-1",
        revision="3533c8cf8e369892e6b79ff1bf80f7b0286a54ee",
        files=tuple(_COMMUNITY_1),
        sha256=_COMMUNITY_1,
    ),
    "pyannote-community/speaker-diarization-community-1": ModelInfo(
        home=_EEND_VC,
        about="the same from a repository that asks for no token",
        licence="CC-BY-4.0",
        paper="Plaquet and Bredin 2023, Interspeech; Landini et al. 2022, arXiv:2012.14952",
        needs="speakerdiar[hub]",
        packages=("huggingface_hub",),
        hub="pyannote-community/speaker-diarization-community-1",
        revision="8a527374977391da736e0daaef26855d949d9685",
        files=tuple(_COMMUNITY_1),
    ),
    "pyannote/speaker-diarization-3.1": ModelInfo(
        home=_EEND_VC,
        about="pyannote.audio 3.1's pipeline: any number of speakers, overlap included; gated, so it takes a token",
        licence="MIT",
        paper="Plaquet and Bredin 2023, Interspeech",
        needs="speakerdiar[hub]",
        packages=("huggingface_hub",),
        hub="pyannote/speaker-diarization-3.1",
        files=("config.yaml",),
    ),
}


def load_model(name: str | os.PathLike[str] = DEFAULT_MODEL, **options: Any) -> SpkDiarizationMixin:
    """Make a diarizer.

    Args:
        name: a row of MODELS (`embedded` by default, whose weights are installed with the package); the path of a
            `.nemo` file, of FunASR's `sond.pb`, of a model's or pipeline's folder, or of a local segmentation model
            (`.onnx`, `.bin`); or any `owner/name` on the Hugging Face Hub.
        options: arguments of the model's class, put on top of the row's own; for weights `precision`, `device`,
            `compile`; for the Hub `token` and `revision`; for local segmentation `embedder`, `clusterer`, `exact`.

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

        about = {**info.on_hub(options.pop("revision", None)), "licence": info.licence}
        return open_model(info.hub, **{**about, **info.options, **options})
    module, _, name_of_class = info.home.partition(":")
    cls = getattr(importlib.import_module(module), name_of_class)
    arguments = inspect.signature(cls).parameters
    for option in options:
        if option not in arguments:
            raise UnknownOptionError(option, arguments, name_of_class)
    model: SpkDiarizationMixin = cls(**{**info.options, **options})
    return model


def _load_weights(name: str, options: Mapping[str, Any]) -> SpkDiarizationMixin:
    """Load what isn't a row: a path, or a repository on the Hub."""
    near = closest(name, MODELS)
    looks_like_weights = (
        os.path.exists(name) or "/" in name or name.endswith((".nemo", ".onnx", ".bin", ".ckpt", ".pb"))
    )
    if not looks_like_weights:
        raise UnknownModelError(
            f"There is no model {name!r}.{near} Models: {', '.join(MODELS)}; or give the path of a .nemo file or of a "
            "model's folder, or owner/name on the Hub."
        )
    from speakerdiar.models.opening import open_model

    return open_model(name, **options)
