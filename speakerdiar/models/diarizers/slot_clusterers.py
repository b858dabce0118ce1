"""Makes the clusterer of a diarizer that clusters local speakers."""

from __future__ import annotations

from speakerdiar.clustering import ClustererMixin
from speakerdiar.clustering.plda import Plda
from speakerdiar.clustering.slot_ahc import AhcSlots
from speakerdiar.clustering.slot_any import AnySlots
from speakerdiar.clustering.slot_vbx import VbxSlots
from speakerdiar.clustering.slots import SlotClusterer
from speakerdiar.errors import ConfigError
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.models.weights import weights_path


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
