"""Clustering of slots: the local speakers of overlapping windows become speakers of the whole recording.

A segmentation model tells a few speakers apart within each window and names them by slot: 0, 1, 2. Slot 0 of one
window is nobody in particular in the next. `SlotClusterer.cluster` is the template that finds out who is who, from one
embedding for each slot: it picks the embeddings worth clustering, asks the hook `_find` for speakers, and gives every
slot that talks one of them. With `exact=True` it decides like pyannote.audio 4, faults included.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.assignment import (
    assigned_clusters,
    distinct_clusters,
    kept_alive,
    similarities,
    usable_slots,
    without_gaps,
)
from speakerdiar.clustering.base import ANY_COUNT, Labels
from speakerdiar.clustering.centroids import cluster_centroids
from speakerdiar.clustering.vbx import VbxResult
from speakerdiar.config import SpeakerCount
from speakerdiar.errors import ConfigError, SpeakerCountError
from speakerdiar.ranges import Range

Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, kw_only=True)
class Speakers:
    """What a clusterer found among N embeddings."""

    labels: Labels
    """(N,) speaker of each embedding, 0..K-1; none without an embedding, but for pyannote's way."""
    centroids: Matrix
    """(K, D) mean embedding of each."""
    distinct: bool = True
    """Whether the slots of a window may be kept apart: not where a forced number made the speakers."""
    scored: bool = True
    """Whether slots are compared with the centroids at all; pyannote doesn't where there is one speaker anyway."""
    first_labels: Labels | None = None
    """(N,) clusters that the fit started from."""
    features: Matrix | None = None
    """(N, d) what was fitted."""
    fit: VbxResult | None = None
    """What the fit left; its speakers are numbered as the first clusters."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SlotClusters:
    """Which speaker of the recording each slot of each window is, and how it came about."""

    labels: Labels
    """(W, S) speaker 0..K-1 of each slot; -1 for nobody."""
    centroids: Matrix
    """(K, D) mean embedding of each speaker; NaN where no slot has an embedding."""
    soft: Matrix
    """(W, S, K) 2 - cosine distance of each slot's embedding to each centroid, 0..2; NaN where there is none."""
    train: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    """(N, 2) window and slot of the embeddings that were clustered."""
    train_labels: Labels = field(default_factory=lambda: np.zeros(0, np.int64))
    """(N,) the speakers that clustering gave them, before assignment; -1 for speakers that assignment left empty."""
    found: Speakers | None = None
    """What the clusterer found, with its own numbers of speakers; None where it wasn't asked."""


@dataclass(frozen=True, kw_only=True)
class SlotClusterer(ABC):
    """Finds the speakers of a recording among the slots of its windows. Keeps nothing between calls."""

    constrained: bool = True
    """Whether the slots of a window are different speakers, as far as there are enough."""
    min_active_ratio: float = 0.2
    """Only slots that talk alone in at least this share of their window's frames are clustered; the others are
    compared with the outcome. Where too few do, those count that talk alone at all, then all that talk."""

    silent_slots_compete: ClassVar[bool] = True
    """pyannote's way: whether slots that don't talk take a cluster away from those that do."""
    TUNABLE: ClassVar[Mapping[str, Range]] = {}
    """Fields that may be tuned, and where they may lie."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_active_ratio <= 1:
            raise ConfigError(f"min_active_ratio={self.min_active_ratio!r}: give a share, 0 to 1.")

    def cluster(
        self,
        embeddings: NDArray[Any],
        alone: NDArray[Any],
        spoken: NDArray[Any],
        frames: int,
        count: SpeakerCount = ANY_COUNT,
        *,
        exact: bool = False,
    ) -> SlotClusters:
        """Return the speaker of each slot.

        Args:
            embeddings: (W, S, D), any float type, in memory or mapped from disk; NaN where a slot has none.
            alone: (W, S) frames in which a slot is the only one that talks.
            spoken: (W, S) frames in which it talks.
            frames: frames of a window.
            count: how many speakers there may be. Met by the labels wherever somebody talks.
            exact: decide like pyannote.audio 4.0.7, which meets `count` only as far as its method does, leaves slots
                without a speaker where there are more slots than speakers, and needs memory that grows with the
                square of the length.

        Returns:
            Labels in order of first appearance, each taken by a slot; with `exact`, in pyannote's order.

        Raises:
            ConfigError: arrays whose shapes don't fit.
            SpeakerCountError: more speakers are asked for than slots that talk have embeddings.
        """
        check_shapes(embeddings, alone, spoken)
        active = np.asarray(spoken) > 0
        if not active.any():
            return nobody(embeddings)
        usable = usable_slots(embeddings) & active
        enough = usable & (np.asarray(alone) >= self.min_active_ratio * frames)
        if exact:
            return self._as_pyannote(embeddings, active, np.argwhere(enough), count)
        tiers = (enough, usable & (np.asarray(alone) > 0), usable)
        train = np.argwhere(next((tier for tier in tiers if tier.sum() >= count.least), usable))
        if len(train) < count.least and count.least > 1:
            raise SpeakerCountError(
                f"{count.least} speakers were asked for, but only {len(train)} of {int(active.sum())} local speakers "
                f"have an embedding: ask for at most {max(1, len(train))}, or hand in a longer recording."
            )
        if len(train) == 0:
            return one_speaker(embeddings, active, train)
        found = self._find(rows(embeddings, train), count)
        return self._assign(embeddings, active, train, found, count)

    @abstractmethod
    def _find(self, embeddings: NDArray[Any], count: SpeakerCount) -> Speakers:
        """Return the speakers among N >= 1 embeddings (N, D), float32 or float64: as many as `count` allows.

        N is at least `count.least`, and every speaker must have an embedding.
        """

    @abstractmethod
    def _find_like_pyannote(self, embeddings: NDArray[Any], count: SpeakerCount) -> Speakers:
        """Return what pyannote's clustering finds among N >= 2 embeddings (N, D)."""

    def _assign(
        self, embeddings: NDArray[Any], active: Mask, train: NDArray[np.int64], found: Speakers, count: SpeakerCount
    ) -> SlotClusters:
        soft = similarities(embeddings, found.centroids)
        shares = np.bincount(found.labels, minlength=len(found.centroids)) / len(found.labels)
        distinct = self.constrained and found.distinct
        labels = assigned_clusters(without_gaps(soft, shares), active, distinct=distinct)
        labels = kept_alive(labels, train, found.labels, count.least)
        talking = labels[active]
        order = np.unique(talking)[np.argsort(np.unique(talking, return_index=True)[1])]
        names = np.full(len(found.centroids), -1)
        names[order] = np.arange(len(order))
        labels[active] = names[talking]
        return SlotClusters(
            labels=labels,
            centroids=found.centroids[order],
            soft=soft if (order == np.arange(soft.shape[2])[: len(order)]).all() else soft[:, :, order],
            train=train,
            train_labels=names[found.labels],
            found=found,
        )

    def _as_pyannote(
        self, embeddings: NDArray[Any], active: Mask, train: NDArray[np.int64], count: SpeakerCount
    ) -> SlotClusters:
        vectors = rows(embeddings, train)
        if len(train) < 2:
            return one_speaker(embeddings, active, train)
        found = self._find_like_pyannote(vectors, count)
        if not found.scored:
            return one_speaker(embeddings, active, train)
        soft = similarities(embeddings, found.centroids)
        if self.constrained and found.distinct:
            if not self.silent_slots_compete:
                soft[~active] = soft.min() - 1
            labels = distinct_clusters(np.where(np.isnan(soft), np.nanmin(soft), soft), np.ones_like(active))
        else:
            labels = soft.argmax(axis=2)
        return SlotClusters(
            labels=np.where(active, labels, -1),
            centroids=found.centroids,
            soft=soft,
            train=train,
            train_labels=found.labels,
            found=found,
        )


def check_shapes(embeddings: NDArray[Any], alone: NDArray[Any], spoken: NDArray[Any]) -> None:
    """Raise ConfigError where the arrays of `SlotClusterer.cluster` don't fit together."""
    slots = embeddings.shape[:2]
    if embeddings.ndim != 3 or embeddings.dtype.kind != "f" or np.shape(alone) != slots or np.shape(spoken) != slots:
        raise ConfigError(
            f"embeddings {embeddings.dtype} {embeddings.shape}, alone {np.shape(alone)} and spoken "
            f"{np.shape(spoken)}: give floats (windows, slots, dimensions) and two arrays (windows, slots)."
        )


def rows(embeddings: NDArray[Any], train: NDArray[np.int64]) -> NDArray[Any]:
    """Return the embeddings of windows and slots (N, 2) as (N, D), of at least single precision."""
    vectors = np.asarray(embeddings[train[:, 0], train[:, 1]])
    return vectors.astype(np.float32) if vectors.dtype == np.float16 else vectors


def nobody(embeddings: NDArray[Any]) -> SlotClusters:
    """Return the clusters of a recording in which no slot talks."""
    windows, slots, size = embeddings.shape
    return SlotClusters(
        labels=np.full((windows, slots), -1), centroids=np.zeros((0, size)), soft=np.zeros((windows, slots, 0))
    )


def one_speaker(embeddings: NDArray[Any], active: Mask, train: NDArray[np.int64]) -> SlotClusters:
    """Return clusters in which everyone who talks is the same, without a look at the embeddings.

    The centroid is the mean of those in `train`; NaN where that is empty.
    """
    vectors = rows(embeddings, train).astype(np.float64)
    centroid = vectors.mean(axis=0) if len(vectors) else np.full(embeddings.shape[2], np.nan)
    return SlotClusters(
        labels=np.where(active, 0, -1),
        centroids=centroid[None],
        soft=np.ones((*active.shape, 1)),
        train=train,
        train_labels=np.zeros(len(train), np.int64),
    )


def of_labels(embeddings: NDArray[Any], labels: NDArray[Any], **more: Any) -> Speakers:
    """Return speakers by the labels (N,) of embeddings (N, D), each label's centroid the mean of its embeddings."""
    labels = np.asarray(labels, np.int64)
    return Speakers(labels=labels, centroids=cluster_centroids(embeddings, labels)[0], **more)
