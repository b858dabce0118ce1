"""NME-SC: spectral clustering that tunes itself to each recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speakerdiar.clustering.affinity import Affinity, nearest_columns, neighbour_graph
from speakerdiar.clustering.base import ANY_COUNT, ClustererMixin, check_count, checked_embeddings
from speakerdiar.clustering.centroids import cluster_centroids
from speakerdiar.clustering.counts import in_order_of_appearance, meet_count
from speakerdiar.clustering.draws import Draws
from speakerdiar.clustering.graph import Graph
from speakerdiar.clustering.nme import NmeSearch, cosine_scores, min_max_scaled
from speakerdiar.clustering.scales import fused_affinity
from speakerdiar.clustering.spectral import group_nodes
from speakerdiar.config import SpeakerCount, is_count
from speakerdiar.errors import ConfigError
from speakerdiar.ranges import Range

ANCHORS, ANCHOR_MEMBERS, ANCHOR_NOISE, ANCHOR_TRIALS = 3, 10, 50.0, 5
"""Invented speakers, their embeddings each, the spread of these, and how often they are invented anew."""

CHUNK_VOLUME = 10
"""Bound of `sparse_search_volume` for the chunks of a long recording."""


@dataclass(frozen=True, kw_only=True)
class NmescClusterer(ClustererMixin):
    """Spectral clustering whose neighbour count and speaker count follow from the normalized maximum eigengap.

    The options keep NeMo's names and, up to the last one (10000 there), its defaults. Differences: the speaker count
    asked for is always met (NeMo's count for short recordings ignores the maximum, and a maximum below the number of
    separate groups gives one speaker there), and no global random state is touched.

    Source: Park et al., arXiv:2003.02405; long recordings as in NeMo's `LongFormSpeakerClustering`.
    """

    TUNABLE: ClassVar[Mapping[str, Range]] = {"max_rp_threshold": Range(0.03, 0.4, log=True)}

    max_num_speakers: int = 8
    """Most speakers to look for where the call names no maximum."""
    max_rp_threshold: float = 0.15
    """Most neighbours that an embedding keeps, as a share of all embeddings."""
    sparse_search_volume: int | None = 30
    """Numbers of neighbours that are tried; None tries each."""
    nme_mat_size: int | None = 512
    """The search looks at every n-th embedding, so that about this many are left; None looks at all."""
    fixed_thres: float | None = None
    """Neighbours as a share of all embeddings, in place of the search."""
    maj_vote_spk_count: bool = False
    """Take the speaker count that most numbers of neighbours show."""
    enhanced_count_thres: int = 40
    """Up to this many embeddings, speakers are counted next to invented ones (anchors); 0 switches it off."""
    min_samples_for_nmesc: int = 6
    """Up to this many embeddings, nothing is left out of the affinity matrix."""
    kmeans_random_trials: int = 1
    """Starts of k-means; the one with the least scatter counts."""
    chunk_cluster_count: int = 50
    """In long recordings, clusters that stand for each chunk."""
    embeddings_per_chunk: int = 6000
    """Above this many embeddings, a recording is clustered in chunks of this size first, then the chunks' clusters."""

    def __post_init__(self) -> None:
        for name in ("max_num_speakers", "kmeans_random_trials", "chunk_cluster_count", "embeddings_per_chunk"):
            _check_count(name, getattr(self, name), 1)
        for name in ("sparse_search_volume", "nme_mat_size"):
            if getattr(self, name) is not None:
                _check_count(name, getattr(self, name), 2)
        for name in ("enhanced_count_thres", "min_samples_for_nmesc"):
            _check_count(name, getattr(self, name), 0)
        for name in ("max_rp_threshold", "fixed_thres"):
            value = getattr(self, name)
            if not (name == "fixed_thres" and value is None) and not 0 < value <= 1:
                raise ConfigError(f"{name}={value!r}: give a share of the embeddings, above 0 and at most 1.")
        if self.chunk_cluster_count >= self.embeddings_per_chunk:
            raise ConfigError(
                f"chunk_cluster_count={self.chunk_cluster_count} must be below "
                f"embeddings_per_chunk={self.embeddings_per_chunk}: lower the one or raise the other."
            )
        if self.chunk_cluster_count <= self.max_num_speakers:
            raise ConfigError(
                f"chunk_cluster_count={self.chunk_cluster_count} must be above "
                f"max_num_speakers={self.max_num_speakers}: raise the one or lower the other."
            )

    def fit_predict_scales(
        self,
        scales: Sequence[ArrayLike],
        times: Sequence[ArrayLike],
        weights: Sequence[float] | None = None,
        count: SpeakerCount = ANY_COUNT,
    ) -> NDArray[np.int64]:
        """Cluster embeddings of windows of several lengths, the shortest last; return one label for each of those.

        Args:
            scales: a matrix (N_s, D) for each window length.
            times: starts and ends in seconds (N_s, 2) for each.
            weights: how much each counts; equal ones by default.
            count: how many speakers there may be.

        Raises:
            ConfigError: scales, times and weights don't fit together.
            SpeakerCountError: more speakers are asked for than there are embeddings of the last scale.
        """
        embeddings = [checked_embeddings(scale) for scale in scales]
        affinity = fused_affinity(embeddings, [np.asarray(spans) for spans in times], weights)
        base = embeddings[-1]
        check_count(len(base), count)
        if len(base) == 1 or count.most == 1:
            return np.zeros(len(base), np.int64)
        return in_order_of_appearance(meet_count(base, self._of_affinity(affinity, base, count), count))

    def _cluster(self, embeddings: NDArray[Any], count: SpeakerCount) -> NDArray[np.int64]:
        if len(embeddings) > self.embeddings_per_chunk:
            means, part_of = self._condense(embeddings)
            if count.least <= len(means):
                return self._of_affinity(min_max_scaled(cosine_scores(means)), None, count)[part_of]
        return self._of_affinity(min_max_scaled(cosine_scores(embeddings)), embeddings, count)

    def _of_affinity(
        self, affinity: Affinity, embeddings: NDArray[Any] | None, count: SpeakerCount
    ) -> NDArray[np.int64]:
        """Cluster an affinity matrix (N, N); the embeddings, where given, count the speakers of short recordings."""
        if count.exact == len(affinity):
            return np.arange(len(affinity))
        most = min(max(self.max_num_speakers, count.least) if count.most is None else count.most, len(affinity))
        search = self._search(most)
        speakers, neighbours = search.run(affinity)
        if count.exact is None and embeddings is not None and len(affinity) <= self._short_limit:
            speakers = speakers_beside_anchors(embeddings, replace(search, volume=10, size=300))
        speakers = min(count.clip(speakers), len(affinity))
        if len(affinity) <= self.min_samples_for_nmesc:
            return group_nodes(_complete_graph(affinity), affinity, speakers, trials=self.kmeans_random_trials)
        graph = Graph(neighbour_graph(nearest_columns(affinity, neighbours), neighbours))
        return group_nodes(graph, affinity, speakers, trials=self.kmeans_random_trials)

    @property
    def _short_limit(self) -> int:
        return max(self.enhanced_count_thres, self.min_samples_for_nmesc) if self.enhanced_count_thres else 0

    def _search(self, most: int) -> NmeSearch:
        return NmeSearch(
            most,
            count_up_to=max(most, self.max_num_speakers),
            max_share=self.max_rp_threshold,
            volume=self.sparse_search_volume,
            size=self.nme_mat_size,
            fixed_share=self.fixed_thres,
            majority=self.maj_vote_spk_count,
        )

    def _condense(self, embeddings: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Cluster chunks too finely; return the clusters' means (M, D) and the cluster of each embedding (N,)."""
        chunks = -(-len(embeddings) // self.embeddings_per_chunk)
        # Here the search only has to find a number of neighbours that holds chunks together.
        coarse = replace(self, sparse_search_volume=min(self.sparse_search_volume or CHUNK_VOLUME, CHUNK_VOLUME))
        means, part_of = [], []
        found = 0
        for chunk in np.array_split(embeddings, chunks):
            clusters = SpeakerCount.of(min(self.chunk_cluster_count, len(chunk)))
            labels = in_order_of_appearance(coarse._of_affinity(min_max_scaled(cosine_scores(chunk)), None, clusters))
            means.append(cluster_centroids(chunk, labels)[0])
            part_of.append(found + labels)
            found += len(means[-1])
        return np.concatenate(means), np.concatenate(part_of)


def speakers_beside_anchors(embeddings: NDArray[Any], search: NmeSearch) -> int:
    """Count the speakers of few embeddings (N, D) by adding invented speakers, which make the eigengap stable.

    NeMo's `getEnhancedSpeakerCount`: the most frequent of five counts, less the invented speakers.
    """
    search = replace(
        search, max_speakers=len(embeddings), count_up_to=None, max_share=0.15, fixed_share=None, majority=False
    )
    counts = []
    for seed in range(ANCHOR_TRIALS):
        augmented = np.concatenate([_anchors(embeddings, seed), embeddings.astype(np.float32)])
        counts.append(search.run(min_max_scaled(cosine_scores(augmented)))[0])
    return max(1, int(np.bincount(counts).argmax()) - ANCHORS)


def _anchors(embeddings: NDArray[Any], seed: int) -> NDArray[np.float32]:
    """Return the embeddings (30, D) of invented speakers, spread along the axes as the true ones are."""
    draws = Draws(seed)
    size = embeddings.shape[1]
    spread = embeddings.astype(np.float32).std(axis=0, ddof=1)
    anchors = []
    for _ in range(ANCHORS):
        mean = draws.normal(size)
        noise = draws.normal(ANCHOR_MEMBERS, size)
        noise /= np.abs(noise).max(axis=1, keepdims=True)
        anchors.append(mean + np.float32(ANCHOR_NOISE) * spread * noise)
    return np.concatenate(anchors)


def _complete_graph(affinity: Affinity) -> Graph:
    import scipy.sparse

    return Graph(scipy.sparse.csr_array(affinity.astype(np.float64)))


def _check_count(name: str, value: object, least: int) -> None:
    if not is_count(value, least=least):
        raise ConfigError(f"{name}={value!r}: give a whole number, {least} or more.")
