"""The search of NME-SC: how many neighbours each embedding keeps, and how many speakers that shows.

Park, Han, Kumar and Narayanan, "Auto-tuning spectral clustering for speaker diarization using normalized maximum
eigengap", IEEE Signal Processing Letters 27 (2019), arXiv:2003.02405. Where the paper leaves details open, they are
NeMo's (`offline_clustering.NMESC`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.affinity import Affinity, nearest_columns, neighbour_graph
from speakerdiar.clustering.graph import Graph

EPSILON = 1e-10
LEAST_NEIGHBOURS = 2


def cosine_scores(vectors: NDArray[Any], epsilon: float = 3.5e-4) -> Affinity:
    """Return the cosine similarity (N, N) of every two rows of (N, D), its diagonal set to 1; float32."""
    vectors = vectors.astype(np.float32)
    vectors = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + np.float32(epsilon))
    scores: Affinity = vectors @ vectors.T
    np.fill_diagonal(scores, 1)
    return scores


def min_max_scaled(scores: Affinity) -> Affinity:
    """Stretch scores in place so that the least is 0 and the greatest 1; all equal ones become 0."""
    least, greatest = scores.min(), scores.max()
    scores -= least
    if greatest > least:
        scores /= greatest - least
    return scores


@dataclass(frozen=True)
class Candidate:
    """What one number of neighbours shows."""

    neighbours: int
    """p: the neighbours that each embedding keeps, itself included."""
    ratio: float
    """g_p = (p / N) / (largest gap / largest eigenvalue): small where few links show a clear gap (eq. 9)."""
    speakers: int
    """The position of the largest gap."""


@dataclass(frozen=True)
class NmeSearch:
    """Options of the search. NeMo's are `max_num_speakers`, `max_rp_threshold`, `sparse_search_volume`, and so on."""

    max_speakers: int
    """Gaps up to this one make the ratio."""
    count_up_to: int | None = None
    """Gaps up to this one make the count, which is then lowered to `max_speakers`; the same by default. A limit below
    the true number leaves only meaningless gaps in reach, and the largest of these is often the first."""
    max_share: float = 0.15
    volume: int | None = 30
    size: int | None = 512
    fixed_share: float | None = None
    majority: bool = False

    def run(self, affinity: Affinity) -> tuple[int, int]:
        """Return the number of speakers and of neighbours for an affinity matrix (N, N)."""
        step = 1 if self.size is None else max(1, len(affinity) // self.size)
        small = affinity[::step, ::step]
        candidates = self.candidates(small)
        nearest = nearest_columns(small, candidates[-1].neighbours)
        best = min(candidates, key=lambda candidate: candidate.ratio)
        if Graph(neighbour_graph(nearest, best.neighbours)).parts > 1:
            best = _first_connected(candidates, nearest)
        speakers = _most_common([c.speakers for c in candidates]) if self.majority else best.speakers
        return speakers, step * best.neighbours

    def candidates(self, affinity: Affinity) -> list[Candidate]:
        """Return what each number of neighbours that is tried shows, in rising order."""
        tried = self.neighbour_counts(len(affinity))
        nearest = nearest_columns(affinity, max(tried))
        return [self._examine(nearest, neighbours) for neighbours in tried]

    def neighbour_counts(self, size: int) -> list[int]:
        """Return the numbers of neighbours to try among `size` embeddings."""
        share = self.max_share if self.fixed_share is None else self.fixed_share
        # float32, as in NeMo: 100 * 0.29 must round down as it does there.
        most = max(LEAST_NEIGHBOURS, int(np.floor(np.float32(size * share))))
        if self.fixed_share is not None:
            return [most]
        if self.volume is None:
            return list(range(1, most + 1))
        steps = max(2, min(most, self.volume))
        return [int(value) for value in np.linspace(1, most, steps, dtype=np.float32)]

    def _examine(self, nearest: NDArray[np.int32], neighbours: int) -> Candidate:
        graph = Graph(neighbour_graph(nearest, neighbours))
        if graph.parts > self.max_speakers:
            # More parts than speakers: all gaps in reach are zero, and say nothing.
            return Candidate(neighbours, float("inf"), self.max_speakers)
        gaps = np.diff(graph.smallest_eigenvalues((self.count_up_to or self.max_speakers) + 1))
        gap = gaps[: self.max_speakers].max() / (graph.largest_eigenvalue + EPSILON)
        speakers = min(int(gaps.argmax()) + 1, self.max_speakers)
        return Candidate(neighbours, float(neighbours / len(nearest) / (gap + EPSILON)), speakers)


def _first_connected(candidates: list[Candidate], nearest: NDArray[np.int32]) -> Candidate:
    """Return the candidate after the first one whose graph hangs together; the last where none does."""
    before = 1
    for candidate in candidates:
        if Graph(neighbour_graph(nearest, before)).parts == 1:
            return candidate
        before = candidate.neighbours
    return candidates[-1]


def _most_common(values: list[int]) -> int:
    counts = np.bincount(values)
    return int(counts.argmax())
