"""Reads the `config.yaml` of a pyannote.audio pipeline: which parts it has, and its parameters.

Versions 3.1 and 4 of `SpeakerDiarization` are understood. Names of classes in the file are compared, never imported; a
parameter that isn't known is refused, not dropped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from speakerdiar.checkpoints.config_text import parse_config
from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.errors import WeightsError, closest

CONFIG = "config.yaml"
OWN_FOLDER = "$model"
"""How a reference to something inside the pipeline's own folder begins."""
NAMES = (
    "pyannote.audio.pipelines.SpeakerDiarization",
    "pyannote.audio.pipelines.speaker_diarization.SpeakerDiarization",
)
_TOP = ("version", "dependencies", "pipeline", "params", "freeze")

T = TypeVar("T")


@dataclass(frozen=True)
class Reference:
    """Where a part's weights are.

    Attributes:
        name: `owner/name` on the Hub, or a path; "" for the pipeline's own folder.
        folder: inside of it.
        revision: of a repository on the Hub.
    """

    name: str
    folder: str = ""
    revision: str | None = None


@dataclass(frozen=True)
class PipelinePlan:
    """What a pipeline is made of. The names are pyannote's own, and so are the defaults.

    Attributes:
        path: the file, for messages.
        segmentation: where the weights of the local segmentation are.
        embedding: where those of the embeddings are.
        plda: where the PLDA is; None where none is named.
        clustering: `AgglomerativeClustering` or `VBxClustering`.
        segmentation_step: share of a window from one to the next.
        segmentation_batch_size: windows of a batch.
        embedding_batch_size: vectors of a batch.
        embedding_exclude_overlap: whether vectors are computed where one speaker talks alone.
        onset: threshold of segmentations without a powerset.
        min_duration_off: gaps up to so many seconds are filled.
        clustering_params: arguments of the clustering.
    """

    path: Path
    segmentation: Reference
    embedding: Reference
    plda: Reference | None
    clustering: str
    segmentation_step: float
    segmentation_batch_size: int
    embedding_batch_size: int
    embedding_exclude_overlap: bool
    onset: float
    min_duration_off: float
    clustering_params: Mapping[str, Any]


@dataclass(frozen=True)
class _Params:
    """`pipeline.params`."""

    segmentation: Any = None
    embedding: Any = None
    plda: Any = None
    clustering: str = "VBxClustering"
    segmentation_step: float = 0.1
    segmentation_batch_size: int = 1
    embedding_batch_size: int = 1
    embedding_exclude_overlap: bool = False
    legacy: bool = False  # what pyannote returns; nothing here depends on it
    der_variant: Any = None  # for pyannote's tuning alone
    token: Any = None
    use_auth_token: Any = None
    cache_dir: Any = None


@dataclass(frozen=True)
class _Segmentation:
    """`params.segmentation`."""

    threshold: float = 0.5
    min_duration_off: float = 0.0


@dataclass(frozen=True)
class _Agglomerative:
    """`params.clustering` of AgglomerativeClustering; the values of 3.1."""

    method: str = "centroid"
    min_cluster_size: int = 12
    threshold: float = 0.7045654963945799


@dataclass(frozen=True)
class _Vbx:
    """`params.clustering` of VBxClustering; the values of community-1."""

    threshold: float = 0.6
    Fa: float = 0.07
    Fb: float = 0.8


CLUSTERINGS: Mapping[str, type] = {"AgglomerativeClustering": _Agglomerative, "VBxClustering": _Vbx}


def is_pipeline(folder: Path) -> bool:
    """Whether a folder is a pipeline's: its `config.yaml` has a `pipeline`."""
    file = folder / CONFIG
    return file.is_file() and "pipeline" in parse_config(file.read_bytes()[: 2**20], str(file))


def read_pipeline(folder: Path, limits: ArchiveLimits | None = None) -> PipelinePlan:
    """Read a pipeline's folder.

    Raises:
        WeightsError: no `config.yaml`, another pipeline than speaker diarization, or a parameter that isn't known here;
            the message names it.
    """
    file = folder / CONFIG
    if not file.is_file():
        raise WeightsError(f"{folder} has no {CONFIG}: give the folder of a pipeline.")
    (limits or ArchiveLimits()).check("max_config_bytes", file.stat().st_size, f"{file}: bytes")
    config = parse_config(file.read_bytes(), str(file))
    _known(config, _TOP, str(file))
    pipeline = _mapping(config, "pipeline", file)
    _known(pipeline, ("name", "params"), f"{file}, pipeline")
    if pipeline.get("name") not in NAMES:
        raise WeightsError(f"{file} is of {pipeline.get('name')!r}: of pyannote's pipelines, {NAMES[0]} is read here.")
    given = _made(_Params, _mapping(pipeline, "params", file), f"{file}, pipeline.params")
    if given.clustering not in CLUSTERINGS:
        raise WeightsError(f"{file}: clustering {given.clustering!r} isn't known; known: {', '.join(CLUSTERINGS)}.")
    frozen, params = _mapping(config, "freeze", file), _mapping(config, "params", file)
    _known({**frozen, **params}, ("segmentation", "clustering"), f"{file}, params")
    merged = {part: {**_mapping(frozen, part, file), **_mapping(params, part, file)} for part in frozen | params}
    segmentation = _made(_Segmentation, merged.get("segmentation", {}), f"{file}, params.segmentation")
    clustering: Any = _made(CLUSTERINGS[given.clustering], merged.get("clustering", {}), f"{file}, params.clustering")
    return PipelinePlan(
        path=file,
        segmentation=_reference(given.segmentation, f"{file}, segmentation"),
        embedding=_reference(given.embedding, f"{file}, embedding"),
        plda=None if given.plda is None else _reference(given.plda, f"{file}, plda"),
        clustering=given.clustering,
        segmentation_step=given.segmentation_step,
        segmentation_batch_size=given.segmentation_batch_size,
        embedding_batch_size=given.embedding_batch_size,
        embedding_exclude_overlap=given.embedding_exclude_overlap,
        onset=segmentation.threshold,
        min_duration_off=segmentation.min_duration_off,
        clustering_params=dataclasses.asdict(clustering),
    )


def repositories(folder: Path) -> list[Reference]:
    """Return what a folder refers to on the Hub: nothing where it is no pipeline's, or has all of its parts.

    Raises:
        WeightsError: see `read_pipeline`.
    """
    if not is_pipeline(folder):
        return []
    plan = read_pipeline(folder)
    named = [part for part in (plan.segmentation, plan.embedding, plan.plda) if part is not None and part.name]
    return [part for part in named if local_place(part, folder) is None]


def local_place(reference: Reference, folder: Path) -> Path | None:
    """Return the file or folder on this machine that a reference leads to, or None."""
    for place in [folder] if not reference.name else [Path(reference.name), folder / reference.name]:
        if (place / reference.folder).exists():
            return place / reference.folder
    return None


def _reference(value: Any, where: str) -> Reference:
    """Read `$model/folder`, `$model/folder@revision`, `owner/name`, `owner/name@revision`, a path, or a mapping."""
    if isinstance(value, Mapping):
        _known(value, ("checkpoint", "subfolder", "revision", "token", "cache_dir"), where)
        inner = _reference(value.get("checkpoint"), where)
        folder = "/".join(part for part in (inner.folder, value.get("subfolder") or "") if part)
        return Reference(inner.name, _inside(folder, where), value.get("revision") or inner.revision)
    if not isinstance(value, str) or not value:
        raise WeightsError(f"{where}={value!r}: a pipeline names {OWN_FOLDER}/..., owner/name, or a path.")
    name, _, revision = value.partition("@")
    if name == OWN_FOLDER or name.startswith(f"{OWN_FOLDER}/"):
        return Reference("", _inside(name[len(OWN_FOLDER) + 1 :], where), revision or None)
    return Reference(name, "", revision or None)


def _inside(folder: str, where: str) -> str:
    if folder.startswith("/") or ".." in folder.split("/") or "\\" in folder:
        raise WeightsError(f"{where}: {folder!r} leads out of the pipeline's folder: name one inside.")
    return folder


def _mapping(config: Mapping[str, Any], key: str, file: Path) -> dict[str, Any]:
    value = config.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WeightsError(f"{file}: {key} is {value!r:.80}: this isn't a pipeline's config, which maps names there.")
    return value


def _known(given: Mapping[str, Any], names: Iterable[str], where: str) -> None:
    for name in given:
        if name not in names:
            raise WeightsError(
                f"{where}: {name!r} isn't a parameter that is known here, so the numbers would differ."
                f"{closest(str(name), list(names))} Known: {', '.join(names)}."
            )


def _made(kind: type[T], given: Mapping[str, Any], where: str) -> T:
    """Make the dataclass `kind` of plain values: names must be known, and numbers be numbers."""
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    _known(given, fields, where)
    for name, value in given.items():
        default = fields[name].default
        wanted = (int, float) if isinstance(default, float) else type(default)
        if default is not None and (
            not isinstance(value, wanted) or isinstance(value, bool) != isinstance(default, bool)
        ):
            raise WeightsError(
                f"{where}.{name}={value!r}: a {type(default).__name__} belongs there, such as {default}."
            )
    return kind(**given)
