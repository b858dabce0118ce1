"""Windows of several lengths over one recording, fused into one affinity matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.affinity import Affinity
from speakerdiar.clustering.nme import cosine_scores, min_max_scaled
from speakerdiar.errors import ConfigError


def nearest_windows(times: NDArray[Any], base_times: NDArray[Any]) -> NDArray[np.int64]:
    """Return for each base window (N, 2) the index of the window (M, 2) whose centre is nearest; of two, the first."""
    centres, base_centres = times.mean(axis=1), base_times.mean(axis=1)
    order = np.argsort(centres, kind="stable")
    above = np.searchsorted(centres[order], base_centres, side="left").clip(max=len(order) - 1)
    below = np.searchsorted(centres[order], centres[order][np.maximum(above - 1, 0)], side="left")
    above_is_nearer = np.abs(centres[order][above] - base_centres) < np.abs(centres[order][below] - base_centres)
    return np.asarray(order[np.where(above_is_nearer, above, below)], np.int64)


def fused_affinity(
    embeddings: Sequence[NDArray[Any]], times: Sequence[NDArray[Any]], weights: Sequence[float] | None = None
) -> Affinity:
    """Return the weighted sum of the scales' affinities (N, N), seen from the windows of the last scale.

    Args:
        embeddings: (N_s, D) for each scale, the shortest windows last.
        times: (N_s, 2) for each scale, starts and ends in seconds.
        weights: one for each scale; equal ones by default.

    Raises:
        ConfigError: the three don't fit together.
    """
    weights = [1.0] * len(embeddings) if weights is None else weights
    if not embeddings or not len(embeddings) == len(times) == len(weights):
        raise ConfigError(
            f"{len(embeddings)} scales, {len(times)} lists of times, {len(weights)} weights: give as many of each."
        )
    for vectors, spans in zip(embeddings, times, strict=True):
        if spans.shape != (len(vectors), 2) or not len(vectors):
            raise ConfigError(
                f"{len(vectors)} embeddings, times of shape {spans.shape}: give a start and an end for each."
            )
    fused = np.zeros((len(times[-1]), len(times[-1])), np.float32)
    for vectors, spans, weight in zip(embeddings, times, weights, strict=True):
        chosen = nearest_windows(spans, times[-1])
        fused += np.float32(weight) * min_max_scaled(cosine_scores(vectors))[np.ix_(chosen, chosen)]
    return fused
