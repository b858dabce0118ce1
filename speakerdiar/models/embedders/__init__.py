"""Models that turn windows of audio into vectors, and the table of their names.

Their promises stand in `speakerdiar.mixins.embedding`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speakerdiar.mixins.embedding import EmbeddingMixin

EMBEDDERS: Mapping[str, str] = {
    "ge2e": "speakerdiar.models.embedders.ge2e:Ge2eEmbedder",
}


def make_embedder(embedder: str | os.PathLike[str] | EmbeddingMixin, **options: Any) -> EmbeddingMixin:
    """Make an embedder by its name in EMBEDDERS or from weights, or pass an instance through.

    Weights are a file (`.onnx`, `.nemo`, `.safetensors`, `.bin`, `.ckpt`, `.pt`, `.pb`), a folder with one, or
    `owner/name` on the Hub; see `speakerdiar.models.opening_parts`.

    Raises:
        WeightsError: weights that can't be read, or that are no embedder's.
        UnknownModelError: there is no embedder of that name; the message has the closest.
        ConfigError: options beside an instance, or something that is no embedder.
        UnknownOptionError: the embedder has no such option.
    """
    from speakerdiar.mixins.embedding import EmbeddingMixin
    from speakerdiar.models.by_name import make_by_name
    from speakerdiar.models.opening_parts import is_weights, open_part

    if isinstance(embedder, EmbeddingMixin) or embedder in EMBEDDERS or not is_weights(embedder):
        # mypy wants no abstract class for type[T]; here it only serves isinstance.
        return make_by_name(embedder, EMBEDDERS, EmbeddingMixin, "embedder", options)  # type: ignore[type-abstract]
    made: EmbeddingMixin = open_part(embedder, "embedder", EmbeddingMixin, **options)
    return made
