"""Makes the clusterers of diarizers: of the vectors of local speakers, and of those of windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from speakerdiar.clustering import ClustererMixin, make_clusterer
from speakerdiar.clustering.plda import Plda
from speakerdiar.clustering.slot_ahc import AhcSlots
from speakerdiar.clustering.slot_any import AnySlots
from speakerdiar.clustering.slot_vbx import VbxSlots
from speakerdiar.clustering.slots import SlotClusterer
from speakerdiar.errors import ConfigError
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.models.weights import weights_path

AHC_OPTIONS: Mapping[str, Any] = {"threshold": 0.38, "min_cluster_size": 0.02}
"""Options of AHC on windows with embeddings like GE2E's."""


def make_window_clusterer(clusterer: str | ClustererMixin | None, embedder: EmbeddingMixin) -> ClustererMixin:
    """Return a clusterer of the vectors of windows, with what is known of the embedder's.

    Args:
        clusterer: an instance, which comes back as it is, or a name in CLUSTERERS; by default `vbx` where a PLDA for
            the embedder comes with the package, else `ahc`.
        embedder: makes the vectors.

    Raises:
        ConfigError, UnknownModelError: there is no such clusterer, or it lacks what it needs.
    """
    if clusterer is None:
        clusterer = "vbx" if embedder.plda_name else "ahc"
    if clusterer == "vbx" and embedder.plda_name:
        return make_clusterer("vbx", plda=weights_path(embedder.plda_name))
    return make_clusterer(clusterer, **AHC_OPTIONS if clusterer == "ahc" else {})


def make_slot_clusterer(
    clusterer: SlotClusterer | ClustererMixin | str | None, embedder: EmbeddingMixin
) -> SlotClusterer:
    """Return a clusterer of local speakers.

    Args:
        clusterer: an instance, which comes back as it is; a `ClustererMixin`, which is put to this use; `ahc` (the
            default) or `vbx`.
        embedder: makes the vectors.

    Raises:
        ConfigError: something else, or `vbx` for an embedder without a PLDA.
    """
    if isinstance(clusterer, SlotClusterer):
        return clusterer
    if isinstance(clusterer, ClustererMixin):
        return AnySlots(clusterer)
    if clusterer not in ("ahc", "vbx", None):
        raise ConfigError(f"clusterer={clusterer!r}: give ahc, vbx, a SlotClusterer or a ClustererMixin.")
    if clusterer != "vbx":
        return AhcSlots() if embedder.slot_threshold is None else AhcSlots(threshold=embedder.slot_threshold)
    if not embedder.plda_name:
        raise ConfigError(
            f"clusterer='vbx' needs a PLDA, and none for {type(embedder).__name__} comes with the package: give "
            "VbxSlots(plda=Plda.load(...)), or ahc."
        )
    return VbxSlots(Plda.load(weights_path(embedder.plda_name)))
