"""What the weights of a segmenter or an embedder are, and what a pyannote pipeline is made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speakerdiar.checkpoints.digests import sha256_of
from speakerdiar.errors import SpeakerdiarError, WeightsError

if TYPE_CHECKING:
    from speakerdiar.checkpoints.checkpoint import Checkpoint
    from speakerdiar.checkpoints.onnx import OnnxPort
    from speakerdiar.checkpoints.pyannote_pipeline import PipelinePlan, Reference


def describe_part(place: Path) -> dict[str, Any]:
    """Return what weights of a segmenter or an embedder are; `place` is as for `open_part`.

    Raises:
        WeightsError: nothing that can be read safely is there, or no network here has such tensors.
        MissingExtraError: an ONNX file, and onnxruntime isn't installed.
    """
    from speakerdiar.models.opening_parts import weights_file

    file = weights_file(place)
    facts = {"path": str(file), **(_of_onnx(file) if file.suffix == ".onnx" else _of_weights(file))}
    return {**facts, "sha256": _digests(file)}


def describe_tensors(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return how many tensors and numbers a checkpoint holds, and in which precision."""
    tensors = checkpoint.weights.values()
    return {
        "tensors": len(tensors),
        "values": sum(tensor.numel() for tensor in tensors),
        "precision": sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors}),
    }


def describe_pipeline(folder: Path) -> dict[str, Any]:
    """Return what a pyannote pipeline is made of; nothing is fetched.

    Raises:
        WeightsError: a config that isn't understood whole.
    """
    from speakerdiar.checkpoints.pyannote_pipeline import read_pipeline
    from speakerdiar.models.diarizers.eend_vc_pipeline import open_pipeline

    plan = read_pipeline(folder)
    named = {"segmentation": plan.segmentation, "embedding": plan.embedding, "plda": plan.plda}
    parts = {name: reference for name, reference in named.items() if reference is not None}
    facts = {"path": str(folder), "kind": "pipeline", "model": "EendVcDiarizer", **_settings(plan)}
    facts |= {name: _place_name(reference) for name, reference in parts.items()}
    away = [_place_name(reference) for reference in parts.values() if _local(reference, folder) is None]
    if away:
        return {**facts, "loads": False, "reason": f"{', '.join(away)}: not in this folder; load_model looks for it."}
    try:
        model = open_pipeline(folder)
        facts |= {
            "parameters": _parameters(model.segmenter) + _parameters(model.embedder),
            "sample_rate": model.sample_rate,
            "loads": True,
        }
    except SpeakerdiarError as error:
        facts |= {"loads": False, "reason": str(error)}
    return {**facts, "sha256": _of_parts(parts, folder)}


def _of_weights(file: Path) -> dict[str, Any]:
    import torch

    from speakerdiar.models.opening_parts import open_part, read_part

    checkpoint, home = read_part(file)
    facts = {"kind": "part", "model": home.rpartition(":")[2], **describe_tensors(checkpoint)}
    try:
        return {**facts, **_of_part(open_part(file, "segmenter or embedder", torch.nn.Module))}
    except SpeakerdiarError as error:
        return {**facts, "loads": False, "reason": str(error)}


def _of_onnx(file: Path) -> dict[str, Any]:
    from speakerdiar.checkpoints.onnx import open_onnx
    from speakerdiar.models.embedders.onnx import OnnxEmbedder
    from speakerdiar.models.segmenters.onnx import OnnxSegmenter

    model = open_onnx(file)
    facts = {
        "kind": "onnx",
        "inputs": [_port(port) for port in model.inputs],
        "outputs": [_port(port) for port in model.outputs],
        "metadata": model.metadata,
        "licence": model.metadata.get("license", ""),
    }
    reasons = []
    for kind in (OnnxSegmenter, OnnxEmbedder):
        try:
            return {**facts, "model": kind.__name__, **_of_part(kind(file))}
        except WeightsError as error:
            reasons.append(str(error))
    return {**facts, "loads": False, "reason": " ".join(reasons)}


def _port(port: OnnxPort) -> str:
    return f"{port.name} ({' x '.join('any' if size is None else str(size) for size in port.shape)})"


def _of_part(part: Any) -> dict[str, Any]:
    from speakerdiar.mixins.embedding import EmbeddingMixin
    from speakerdiar.mixins.local_segmentation import LocalSegmentationMixin

    facts: dict[str, Any] = {"kind": "segmenter"}
    if isinstance(part, EmbeddingMixin):
        facts = {"kind": "embedder", "sample_rate": part.sample_rate, "dimension": part.dimension}
    elif isinstance(part, LocalSegmentationMixin):
        grid, powerset = part.grid, part.powerset
        facts |= {
            "sample_rate": grid.rate,
            "window_seconds": grid.window / grid.rate,
            "frames": grid.frames,
            "frame_seconds": grid.frame_seconds,
            "speakers": part.speakers,
            "classes": part.speakers if powerset is None else powerset.classes,
        }
    return {**facts, "parameters": _parameters(part), "loads": True}


def _parameters(part: Any) -> int:
    import torch

    return sum(value.numel() for value in part.parameters()) if isinstance(part, torch.nn.Module) else 0


def _settings(plan: PipelinePlan) -> dict[str, Any]:
    settings = {
        **plan.clustering_params,
        "onset": plan.onset,
        "min_duration_off": plan.min_duration_off,
        "embedding_exclude_overlap": plan.embedding_exclude_overlap,
    }
    given = [f"{name}={value}" for name, value in settings.items()]
    return {"clustering": plan.clustering, "settings": given, "step": plan.segmentation_step}


def _place_name(reference: Reference) -> str:
    return "/".join(part for part in (reference.name, reference.folder) if part)


def _local(reference: Reference, folder: Path) -> Path | None:
    """Where a part lies on this machine, outside of the Hub's cache."""
    places = [folder] if not reference.name else [Path(reference.name), folder / reference.name]
    return next((place / reference.folder for place in places if (place / reference.folder).exists()), None)


def _of_parts(parts: Mapping[str, Reference], folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, reference in parts.items():
        place = _local(reference, folder)
        if place is not None:
            found |= {f"{name}/{file}": digest for file, digest in _digests(place).items()}
    return found


def _digests(place: Path) -> dict[str, str]:
    files = [place] if place.is_file() else sorted(file for file in place.iterdir() if file.is_file())
    return {file.name: sha256_of(file) for file in files}
