"""Clustering of embeddings that are still coming in, with a bounded memory of every speaker.

Every round clusters anew all that is remembered: the newest embeddings, and of each speaker some that are spread over
all the time that it was heard. A round's clusters get the names of the speakers whose decided embeddings they hold (the
assignment with the greatest overlap, as Park et al. describe for NeMo's online diarizer), and what no speaker claims is
a new one, once there is enough of it. So early mistakes don't stick to a centroid, and any clusterer of
`speakerdiar.clustering` works live.

>>> import numpy as np
>>> from speakerdiar.clustering.ahc import AhcClusterer
>>> online = OnlineClusterer(AhcClusterer())
>>> online.push(np.eye(2)[[0, 0, 0, 1, 1, 1]])
>>> online.label().labels.tolist()
[0, 0, 0, 1, 1, 1]
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speakerdiar.clustering.affinity import unit_rows
from speakerdiar.clustering.base import ANY_COUNT, ClustererMixin, Labels, checked_embeddings
from speakerdiar.clustering.centroids import cluster_centroids
from speakerdiar.clustering.resegmentation import resegment
from speakerdiar.config import SpeakerCount, is_count
from speakerdiar.errors import ConfigError

HURRY = 5
"""So many times sooner are two speakers one where a new one waits for room."""
UNKNOWN = -1
"""Speaker of an embedding that isn't decided."""


@dataclass(frozen=True)
class OnlinePlan:
    """How much an `OnlineClusterer` remembers, and how sure it wants to be. Counts are embeddings.

    Attributes:
        recent: the newest that are remembered, whoever speaks.
        each: further ones that are remembered of each speaker, spread over all the time it was heard.
        speakers: the most speakers, where the caller sets no lower bound. What comes later joins the nearest.
        opening: a cluster that no speaker claims is a new speaker if it holds so many; until then it belongs to the
            nearest one.
        claim: share of a speaker's decided embeddings that a cluster must hold for the speaker to claim it.
        patience: two speakers are one when so many new ones came into a cluster that all the time was both, and equally
            many of either, clustered alone, are one cluster too.
        settling: for each speaker of the least number that is asked for, so many must be there before it is enforced.
        change_cost: price of a change of speaker, for clusterers that don't know time (`resegment`).
    """

    recent: int = 150
    each: int = 20
    speakers: int = 12
    opening: int = 2
    claim: float = 0.34
    patience: int = 25
    settling: int = 25
    change_cost: float = 0.1

    def __post_init__(self) -> None:
        for name in ("recent", "each", "speakers", "opening", "patience", "settling"):
            if not is_count(getattr(self, name), least=1):
                raise ConfigError(f"{name}={getattr(self, name)!r}: give a whole number, 1 or more.")
        if not 0 < self.claim <= 1:
            raise ConfigError(f"claim={self.claim!r}: give a share above 0, and 1 at most.")
        if not self.change_cost >= 0:
            raise ConfigError(f"change_cost={self.change_cost!r}: give a price, 0 or more.")


@dataclass(frozen=True)
class OnlineRound:
    """What a round of clustering says.

    Attributes:
        labels: speaker of each undecided embedding, then of each passing one; those of new speakers aren't taken yet.
        likeness: cosine similarity of each to the mean of its cluster.
        relabelled: speakers found to be another one, later to earlier. `labels` has the new ones already.
    """

    labels: Labels
    likeness: NDArray[np.float64]
    relabelled: dict[int, int] = field(default_factory=dict)


class OnlineClusterer:
    """Labels embeddings while they come in; what is decided stays, and speakers are known again after any silence.

    Time and again: `push` what has come in, `label` what is undecided, `settle` what is old enough to be decided.
    Memory is bounded by the plan: `recent + each * speakers` embeddings, and those that the caller doesn't settle.

    Args:
        clusterer: what clusters a round.
        count: how many speakers there may be. The upper bound always holds: who comes later joins the nearest. An exact
            number is no more than that, for nobody knows who has yet to speak. A lower bound is asked of the clusterer
            once there is enough to cluster.
        plan: memory and caution.
    """

    def __init__(
        self, clusterer: ClustererMixin, count: SpeakerCount = ANY_COUNT, plan: OnlinePlan | None = None
    ) -> None:
        self._clusterer = clusterer
        self._plan = plan or OnlinePlan()
        self._least = 1 if count.exact is not None else count.least
        self._most = count.most or max(self._plan.speakers, count.least)
        self._vectors = np.zeros((0, 0), np.float32)
        self._times = np.zeros(0, np.int64)  # serial numbers
        self._owners = np.zeros(0, np.int64)  # speakers decided; UNKNOWN for those that aren't
        self._decided = 0  # the first so many are
        self._pushed = 0
        self._opened: set[int] = set()
        self._next = 0
        self._absorbed: dict[int, tuple[int, int]] = {}  # speaker: by whom, and how many new ones said so
        self._seen = 0  # those pushed before the last round
        self._last = np.zeros(0, np.int64), np.zeros((0, 0), np.float32)  # labels of the last round; what passed in it

    def __len__(self) -> int:
        """Embeddings that are remembered."""
        return len(self._vectors)

    @property
    def speakers(self) -> tuple[int, ...]:
        """Speakers who are known."""
        return tuple(sorted(self._opened))

    def push(self, embeddings: ArrayLike) -> None:
        """Take the next embeddings (N, D), in order of time.

        Raises:
            ConfigError: not a matrix of finite numbers, or of another width than those before.
        """
        vectors = self._checked(embeddings)
        if not len(vectors):
            return
        if not len(self._vectors):
            self._vectors = np.zeros((0, vectors.shape[1]), np.float32)
        self._vectors = np.concatenate([self._vectors, vectors])
        self._times = np.concatenate([self._times, self._pushed + np.arange(len(vectors))])
        self._owners = np.concatenate([self._owners, np.full(len(vectors), UNKNOWN)])
        self._pushed += len(vectors)

    def label(self, passing: ArrayLike = (), *, last: bool = False) -> OnlineRound:
        """Cluster what is remembered; return the speakers of what is undecided.

        Args:
            passing: (M, D) embeddings that are labelled with the others, as the newest, and then forgotten.
            last: nothing follows: two speakers who are one cluster now are one.

        Raises:
            ConfigError: see `push`.
        """
        fleeting = self._checked(passing)
        parts = [part for part in (self._vectors, fleeting) if len(part)]
        if not parts:
            return OnlineRound(np.zeros(0, np.int64), np.zeros(0))
        vectors = np.concatenate(parts)
        clusters = self._clusters(vectors)
        owners = np.concatenate([self._owners, np.full(len(fleeting), UNKNOWN)])
        claims = self._claims(clusters, owners)
        audible = self._vectors.any(axis=1)  # silence is nobody
        sizes = np.bincount(clusters[: len(self._vectors)][audible], minlength=int(clusters.max()) + 1)
        fresh = [cluster for cluster in np.flatnonzero(sizes >= self._plan.opening).tolist() if cluster not in claims]
        crowded = len(fresh) > self._most - len(self._opened)  # who is two makes room for who is new
        patience = self._plan.patience // (HURRY if fresh and crowded else 1)
        patience = 1 if last else patience
        relabelled = self._merged(clusters, owners, claims, patience)
        found = self._round(vectors, clusters, claims, relabelled, sizes)
        self._last = found.labels, fleeting
        return found

    def settle(self, labels: ArrayLike, opened: Iterable[int] = ()) -> None:
        """Decide the first undecided embeddings: these are their speakers from now on.

        Args:
            labels: (n,) speakers of the first n; UNKNOWN for one that shall speak for nobody.
            opened: speakers who are taken, of new ones in a round's labels, in the order of their appearance.
        """
        decided = np.asarray(labels, np.int64).reshape(-1)
        if self._decided + len(decided) > len(self._vectors):
            undecided = len(self._vectors) - self._decided
            raise ConfigError(f"{len(decided)} labels to settle: only {undecided} embeddings are undecided.")
        taken = {int(label) for label in opened} | {int(label) for label in decided if label != UNKNOWN}
        if len(self._opened | taken) > self._most:
            raise ConfigError(f"speakers {sorted(taken)} were decided: give the labels of the last round.")
        for speaker in sorted(taken - self._opened):
            self._open(speaker)
        leaning = self._owners[self._decided : self._decided + len(decided)]
        leaning[leaning == UNKNOWN] = decided[leaning == UNKNOWN]
        self._decided += len(decided)
        self._forget()

    def _open(self, speaker: int) -> None:
        """Take a new speaker: what has its label shall find it again, and where only passing ones have, the first."""
        labels, fleeting = self._last
        undecided = len(labels) - len(fleeting)
        own = np.flatnonzero(labels == speaker)
        if len(own) and own[0] < undecided:
            self._owners[self._decided + own[own < undecided]] = speaker
        elif len(own):
            at, vector = self._decided, fleeting[own[0] - undecided]
            self._vectors = np.insert(np.reshape(self._vectors, (-1, len(vector))), at, vector, axis=0)
            self._times = np.insert(self._times, at, self._pushed)
            self._owners = np.insert(self._owners, at, speaker)
            self._decided += 1
        self._opened.add(speaker)
        self._next = max(self._next, speaker + 1)

    def _checked(self, embeddings: ArrayLike) -> NDArray[np.float32]:
        vectors = checked_embeddings(embeddings).astype(np.float32)
        width = self._vectors.shape[1]
        if len(vectors) and len(self._vectors) and vectors.shape[1] != width:
            raise ConfigError(f"embeddings of shape {vectors.shape}: those before had {width} dimensions.")
        return vectors

    def _clusters(self, vectors: NDArray[np.float32]) -> Labels:
        """Return the cluster 0..K-1 of each embedding."""
        enough = len(vectors) >= self._least * self._plan.settling
        # Without the upper bound: who is forced into one cluster isn't one speaker for that.
        labels = self._clusterer.fit_predict(vectors, SpeakerCount(self._least if enough else 1))
        if self._clusterer.knows_time:
            return labels
        costs = np.full(len(labels), self._plan.change_cost)
        return resegment(vectors, labels, costs)

    def _claims(self, clusters: Labels, owners: Labels) -> dict[int, int]:
        """Return which speaker each cluster belongs to; clusters of nobody are missing."""
        from scipy.optimize import linear_sum_assignment

        speakers = np.array(self.speakers, np.int64)
        overlap = self._overlap(clusters, owners, speakers)
        known = np.maximum(overlap.sum(axis=1, keepdims=True), 1)
        rows, columns = linear_sum_assignment(-overlap)
        pairs = [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if overlap[row, column] > 0]
        claims = [(row, column) for row, column in pairs if overlap[row, column] >= self._plan.claim * known[row]]
        if not claims:
            claims = sorted(pairs, key=lambda pair: overlap[pair])[-1:]
        return {column: int(speakers[row]) for row, column in claims}

    @staticmethod
    def _overlap(clusters: Labels, owners: Labels, speakers: Labels) -> NDArray[np.float64]:
        """Count the decided embeddings of each speaker in each cluster: (speakers, clusters)."""
        overlap = np.zeros((len(speakers), int(clusters.max()) + 1))
        decided = owners != UNKNOWN
        np.add.at(overlap, (np.searchsorted(speakers, owners[decided]), clusters[decided]), 1)
        return overlap

    def _merged(self, clusters: Labels, owners: Labels, claims: dict[int, int], patience: int) -> dict[int, int]:
        """Make one of two speakers who have been one cluster for long; return who became whom."""
        speakers = np.array(self.speakers, np.int64)
        overlap = self._overlap(clusters, owners, speakers)
        claiming = set(claims.values())
        news = np.bincount(clusters[: len(self._times)][self._times >= self._seen], minlength=overlap.shape[1])
        self._seen = self._pushed
        absorbed = {}
        for speaker, row in zip(speakers.tolist(), overlap, strict=True):
            home = int(row.argmax())
            if speaker not in claiming and 2 * row[home] > row.sum() and home in claims:
                by, before = self._absorbed.get(speaker, (claims[home], 0))
                absorbed[speaker] = claims[home], int(news[home]) + (before if by == claims[home] else 0)
        self._absorbed = absorbed
        ripe = [s for s, (by, evidence) in absorbed.items() if evidence >= patience and self._are_one(s, by)]
        relabelled: dict[int, int] = {}
        for speaker in ripe:
            pair = speaker, absorbed.pop(speaker)[0]
            earlier, later = (min(relabelled.get(one, one) for one in pair), max(relabelled.get(o, o) for o in pair))
            relabelled = {old: earlier if new == later else new for old, new in relabelled.items()} | {later: earlier}
        self._rename(relabelled, claims)
        return relabelled

    def _are_one(self, speaker: int, other: int) -> bool:
        """Whether two speakers are one cluster where neither outnumbers the other, as a long monologue would."""
        rows = [np.flatnonzero(self._owners == who) for who in (speaker, other)]
        count = min(len(own) for own in rows)
        spread = [own[np.linspace(0, len(own) - 1, count).astype(np.int64)] for own in rows]
        both = np.sort(np.concatenate(spread))
        labels = self._clusterer.fit_predict(self._vectors[both])
        homes = {int(np.bincount(labels[np.isin(both, own)]).argmax()) for own in spread}
        return len(homes) == 1

    def _rename(self, relabelled: dict[int, int], claims: dict[int, int]) -> None:
        for later, earlier in relabelled.items():
            self._owners[self._owners == later] = earlier
            self._opened.discard(later)
            for cluster, speaker in claims.items():
                claims[cluster] = earlier if speaker == later else speaker
        self._absorbed = {
            speaker: (relabelled.get(by, by), evidence)
            for speaker, (by, evidence) in self._absorbed.items()
            if speaker not in relabelled
        }

    def _round(
        self,
        vectors: NDArray[np.float32],
        clusters: Labels,
        claims: dict[int, int],
        relabelled: dict[int, int],
        sizes: Labels,
    ) -> OnlineRound:
        """Return the speakers of what is undecided; clusters of nobody are new speakers, or join the nearest."""
        names = np.full(int(clusters.max()) + 1, UNKNOWN)
        for cluster, speaker in claims.items():
            names[cluster] = speaker
        room = self._most - len(self._opened)
        fresh = self._next
        for cluster in np.flatnonzero(names == UNKNOWN).tolist():  # in order of first appearance
            first = not self._opened and fresh == self._next
            if room > 0 and (first or sizes[cluster] >= self._plan.opening):
                names[cluster], fresh, room = fresh, fresh + 1, room - 1
        centroids = unit_rows(cluster_centroids(unit_rows(vectors), clusters)[0])
        named = np.flatnonzero(names != UNKNOWN)
        alike = unit_rows(vectors[self._decided :])
        width = min(alike.shape[1], centroids.shape[1])  # silence has a direction of its own
        likeness = alike[:, :width] @ centroids[:, :width].T
        own = clusters[self._decided :]
        nearest = named[likeness[:, named].argmax(axis=1)]
        own = np.where(names[own] == UNKNOWN, nearest, own)
        return OnlineRound(names[own], likeness[np.arange(len(own)), own], relabelled)

    def _forget(self) -> None:
        """Drop decided embeddings behind the newest, but for some of each speaker."""
        old = min(self._decided, max(0, len(self._vectors) - self._plan.recent))
        keep = np.ones(len(self._vectors), dtype=bool)
        keep[:old] = self._owners[:old] != UNKNOWN
        for speaker in self._opened:
            rows = np.flatnonzero(keep[:old] & (self._owners[:old] == speaker))
            keep[_crowded(self._times[rows], rows, len(rows) - self._plan.each)] = False
        if keep.all():
            return
        self._decided -= int((~keep[: self._decided]).sum())
        self._vectors, self._times, self._owners = self._vectors[keep], self._times[keep], self._owners[keep]


def _crowded(times: Labels, rows: Labels, surplus: int) -> list[int]:
    """Return the rows, `surplus` of them, that lie closest behind another in time: what is left is spread evenly."""
    left: list[Any] = list(zip(times.tolist(), rows.tolist(), strict=True))
    dropped = []
    for _ in range(surplus):
        gaps = [left[at + 1][0] - left[at - 1][0] for at in range(1, len(left) - 1)]
        at = 1 + int(np.argmin(gaps)) if gaps else len(left) - 1
        dropped.append(left.pop(at)[1])
    return dropped
