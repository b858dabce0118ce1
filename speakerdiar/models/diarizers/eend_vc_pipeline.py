"""Makes an EendVcDiarizer of a pyannote.audio pipeline's folder, or of parts by their names."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from speakerdiar.checkpoints.hub import pull
from speakerdiar.checkpoints.pyannote_pipeline import PipelinePlan, Reference, local_place, read_pipeline
from speakerdiar.clustering.plda import Plda
from speakerdiar.clustering.slot_ahc import AhcSlots
from speakerdiar.clustering.slot_vbx import VbxSlots
from speakerdiar.clustering.slots import SlotClusterer
from speakerdiar.config import PostProcessingParams
from speakerdiar.errors import UnknownOptionError, WeightsError
from speakerdiar.models.diarizers.eend_vc import EendVcDiarizer
from speakerdiar.models.embedders import make_embedder
from speakerdiar.models.segmenters import make_local_segmenter

OPTIONS = ("exact", "step", "precision", "device", "token")
"""Options of `open_pipeline`."""


def open_pipeline(folder: Path, **options: Any) -> EendVcDiarizer:
    """Make the diarizer of a pipeline's folder, with the parameters that stand in its `config.yaml`.

    Args:
        folder: with `config.yaml`, and the weights that it names as `$model/...`; others come from the Hub.
        options: `exact` and `step` of `EendVcDiarizer`; `precision` and `device` of the networks; `token` for the Hub.

    Raises:
        WeightsError: another pipeline, a parameter that isn't known, weights that are missing or don't fit.
        UnknownOptionError: another option.
    """
    for name in options:
        if name not in OPTIONS:
            raise UnknownOptionError(name, OPTIONS, "EendVcDiarizer")
    plan = read_pipeline(folder)
    token = {"token": options["token"]} if options.get("token") else {}
    network = {name: options[name] for name in ("precision", "device") if options.get(name) is not None}
    segmenter = make_local_segmenter(place_of(plan.segmentation, folder, **token), **network)
    segmenter.onset = plan.onset
    segmenter.windows_at_once = max(plan.segmentation_batch_size, segmenter.windows_at_once)
    embedder = make_embedder(place_of(plan.embedding, folder, **token), **network)
    embedder.windows_at_once = max(plan.embedding_batch_size, embedder.windows_at_once)
    return EendVcDiarizer(
        segmenter,
        embedder,
        _clusterer(plan, folder, token),
        step=options.get("step") or plan.segmentation_step,
        exact=bool(options.get("exact", False)),
        exclude_overlap=plan.embedding_exclude_overlap,
        postprocessing=PostProcessingParams(min_duration_off=plan.min_duration_off, filter_speech_first=False),
    )


def open_pair(segmentation: Path, **options: Any) -> EendVcDiarizer:
    """Make the diarizer of a local segmentation model and an embedder.

    Args:
        segmentation: its file or folder.
        options: arguments of `EendVcDiarizer`, and `precision` and `device` of the segmentation network.

    Raises:
        WeightsError: weights of something else.
        UnknownOptionError: another option.
    """
    arguments = inspect.signature(EendVcDiarizer).parameters
    network = {name: options.pop(name) for name in ("precision", "device") if name in options}
    for name in options:
        if name not in arguments or name == "segmenter":
            raise UnknownOptionError(name, [*list(arguments)[1:], "precision", "device"], "EendVcDiarizer")
    return EendVcDiarizer(make_local_segmenter(segmentation, **network), **options)


def place_of(reference: Reference, folder: Path, **hub: Any) -> Path:
    """Return the file or folder that a reference leads to; repositories of the Hub are fetched.

    Raises:
        WeightsError: there is nothing.
    """
    place = local_place(reference, folder)
    if place is not None:
        return place
    if not reference.name:
        raise WeightsError(f"{folder} has no {reference.folder!r}, which its config names: get the folder anew.")
    return pull(reference.name, revision=reference.revision, **hub).folder / reference.folder


def _clusterer(plan: PipelinePlan, folder: Path, hub: dict[str, Any]) -> SlotClusterer:
    given = plan.clustering_params
    if plan.clustering == "AgglomerativeClustering":
        return AhcSlots(**given)
    if plan.plda is None:
        raise WeightsError(f"{plan.path}: VBxClustering needs a PLDA, and the config names none (plda: $model/plda).")
    plda = Plda.from_pyannote(place_of(plan.plda, folder, **hub))
    return VbxSlots(plda, threshold=given["threshold"], fa=given["Fa"], fb=given["Fb"])
