"""Models that find speech in audio, and the table of their names.

Their promises stand in `speakerdiar.mixins.segmentation`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from speakerdiar.errors import ConfigError

if TYPE_CHECKING:
    from speakerdiar.mixins.local_segmentation import LocalSegmentationMixin
    from speakerdiar.mixins.segmentation import SegmentationMixin

SEGMENTERS: Mapping[str, str] = {
    "silero": "speakerdiar.models.segmenters.silero:SileroVad",
    "energy": "speakerdiar.models.segmenters.energy:EnergyVad",
}


def make_segmenter(segmenter: str | os.PathLike[str] | SegmentationMixin, **options: Any) -> SegmentationMixin:
    """Make a segmenter by its name in SEGMENTERS or from weights (a `.nemo` file), or pass an instance through.

    Raises:
        WeightsError: weights that can't be read, or that are no segmenter's.
        UnknownModelError: there is no segmenter of that name; the message has the closest.
        ConfigError: options beside an instance, or something that is no segmenter.
        UnknownOptionError: the segmenter has no such option.
    """
    from speakerdiar.mixins.segmentation import SegmentationMixin
    from speakerdiar.models.by_name import make_by_name
    from speakerdiar.models.opening_parts import is_weights, open_part

    if isinstance(segmenter, SegmentationMixin) or segmenter in SEGMENTERS or not is_weights(segmenter):
        # mypy wants no abstract class for type[T]; here it only serves isinstance.
        return make_by_name(segmenter, SEGMENTERS, SegmentationMixin, "segmenter", options)  # type: ignore[type-abstract]
    made: SegmentationMixin = open_part(segmenter, "segmenter", SegmentationMixin, **options)
    return made


def make_local_segmenter(
    segmenter: str | os.PathLike[str] | LocalSegmentationMixin, **options: Any
) -> LocalSegmentationMixin:
    """Open the weights of a model that tells local speakers apart, or pass an instance through.

    Args:
        segmenter: a file (`.onnx`, `.safetensors`, `.bin`, `.ckpt`), a folder with one, `owner/name` on the Hub, or an
            instance.
        options: of the model's class; see `speakerdiar.models.opening_parts.open_part`.

    Raises:
        WeightsError: weights that can't be read, or that are no local segmenter's.
        ConfigError: options beside an instance, or something else.
    """
    from speakerdiar.mixins.local_segmentation import LocalSegmentationMixin
    from speakerdiar.models.opening_parts import is_weights, open_part

    if isinstance(segmenter, LocalSegmentationMixin):
        if options:
            raise ConfigError(f"Options {', '.join(options)} beside a segmenter that is made already: give them to it.")
        return segmenter
    if not is_weights(segmenter):
        raise ConfigError(
            f"segmenter={segmenter!r}: give the path of a local segmentation model's weights (.onnx, .bin, .ckpt, "
            ".safetensors, or a folder), owner/name on the Hub, or a LocalSegmentationMixin."
        )
    made: LocalSegmentationMixin = open_part(segmenter, "local segmenter", LocalSegmentationMixin, **options)
    return made
