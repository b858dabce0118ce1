"""Clusters of a recording that are the voices of known people."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.centroids import cluster_centroids
from speakerdiar.voiceprint import from_centre, voice_scores


def claimed(
    embeddings: NDArray[Any],
    labels: NDArray[np.int64],
    known: NDArray[Any],
    centre: NDArray[Any],
    least: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Join the clusters that are near one known voice, and say whose each cluster is.

    Args:
        embeddings: (N, D).
        labels: (N,) 0..K-1.
        known: (M, D), voices from the same model; M may be 0.
        centre: (D,), taken off vectors of length 1 before they are compared.
        least: the cosine from which on a cluster's mean is near a voice.

    Returns:
        Labels (N,) 0..J-1 of J <= K clusters, and the voice of each, (J, D), with rows of zeros where it is nobody's.
    """
    if not len(known):
        return labels, np.zeros((int(labels.max()) + 1, embeddings.shape[1]))
    means, _ = cluster_centroids(from_centre(embeddings), labels)
    scores = voice_scores(means, known, centre)  # (K, M)
    whose = np.where(scores.max(axis=1) >= least, scores.argmax(axis=1), len(known) + np.arange(len(means)))
    owners, joined = np.unique(whose, return_inverse=True)
    voices = np.zeros((len(owners), embeddings.shape[1]))
    taken = owners < len(known)
    voices[taken] = known[owners[taken]]
    return joined[labels], voices
