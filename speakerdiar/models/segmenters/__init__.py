"""Models that find speech in audio, and the table of their names.

Their promises stand in `speakerdiar.mixins.segmentation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speakerdiar.mixins.segmentation import SegmentationMixin

SEGMENTERS: Mapping[str, str] = {
    "silero": "speakerdiar.models.segmenters.silero:SileroVad",
    "energy": "speakerdiar.models.segmenters.energy:EnergyVad",
}


def make_segmenter(segmenter: str | SegmentationMixin, **options: Any) -> SegmentationMixin:
    """Make a segmenter by its name in SEGMENTERS, or pass an instance through.

    Raises:
        UnknownModelError: there is no segmenter of that name; the message has the closest.
        ConfigError: options beside an instance, or something that is no segmenter.
        UnknownOptionError: the segmenter has no such option.
    """
    from speakerdiar.mixins.segmentation import SegmentationMixin
    from speakerdiar.models.by_name import make_by_name

    # mypy wants no abstract class for type[T]; here it only serves isinstance.
    return make_by_name(segmenter, SEGMENTERS, SegmentationMixin, "segmenter", options)  # type: ignore[type-abstract]
