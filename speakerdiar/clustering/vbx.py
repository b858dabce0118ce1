"""VBx: a hidden Markov model over embeddings whose states are speakers, fitted by variational Bayes.

Landini, Profant, Diez, Burget: "Bayesian HMM clustering of x-vector sequences (VBx) in speaker diarization", Computer
Speech & Language 71, 2022 (arXiv:2012.14952). Numbers in brackets are equations of that paper.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering.affinity import unit_rows
from speakerdiar.clustering.ahc import AhcClusterer
from speakerdiar.clustering.base import ClustererMixin, Labels
from speakerdiar.clustering.centroids import cluster_centroids, nearest_centroid
from speakerdiar.clustering.counts import in_order_of_appearance
from speakerdiar.clustering.known_voices import claimed
from speakerdiar.clustering.linkage import labels_of, linkage, merged_within
from speakerdiar.clustering.micro import micro_clusters
from speakerdiar.clustering.plda import Plda, train_plda
from speakerdiar.config import SpeakerCount, is_count
from speakerdiar.errors import ConfigError
from speakerdiar.ranges import Range

Matrix = NDArray[np.float64]

SMOOTHING = 7.0
"""How much more likely, as a logarithm, an embedding's first speaker is than each other one."""
LEAST_PRIOR = 1e-7
"""Speakers less likely than this are given up."""
TOLERANCE = 1e-3
"""Iterations stop where they gain less than this for each embedding."""
OWN_SHRINKAGE = 10.0
"""For a PLDA of one recording: too few speakers and too tight clusters to tell directions apart within speakers, so its
covariance is all but a multiple of the identity."""
MOST_FIRST = 100
"""The fit starts from this many clusters at most."""
FEW = 3
"""Where the least size is a share, it is this many embeddings at least, but no more than a tenth of them."""


@dataclass(frozen=True, eq=False)
class VbxResult:
    """Who speaks, as the fit left it."""

    responsibilities: Matrix
    """(T, K): probability that each speaker speaks at each place; rows sum to 1. Zero for speakers given up."""
    priors: Matrix
    """(K,): how likely each speaker is to take a turn; zero for speakers given up."""
    elbos: tuple[float, ...]
    """Evidence lower bound after each iteration."""


@dataclass(frozen=True, eq=False)
class Enrolment:
    """What is known of speakers before a fit: as if these features of theirs had been heard elsewhere.

    They add to the sums of (16) and (17) as features whose speaker is certain. That is to say, a speaker's mean is
    expected where these features leave it, in place of mean 0 and variance 1.
    """

    counts: Matrix
    """(K,): how many features; 0 for speakers of whom nothing is known."""
    sums: Matrix
    """(K, d): the sum of the features, each times the root of phi (18)."""

    def among(self, speakers: NDArray[np.bool_]) -> Enrolment:
        """Return what is known of some of the speakers (K,)."""
        return Enrolment(self.counts[speakers], self.sums[speakers])

    def gain(self, inverse: Matrix, alpha: Matrix, phi: Matrix, ratio: float) -> float:
        """Return the part of (25) that speakers' means add, over fb: less, the further they are from what is expected.

        Args:
            inverse: (K, d), variances of the means (17).
            alpha: (K, d), the means (16).
            phi: (d,), as in `vbx`.
            ratio: fa over fb.
        """
        spread = 1 / (1 + ratio * self.counts[:, None] * phi)
        mean = ratio * spread * self.sums
        return float((np.log(inverse / spread) - (inverse + (alpha - mean) ** 2) / spread + 1).sum() / 2)


def smoothed(labels: NDArray[Any], smoothing: float = SMOOTHING) -> Matrix:
    """Return responsibilities (T, K) to start from: labels 0..K-1, each e^smoothing as likely as any other."""
    clusters = int(labels.max()) + 1
    rest = 1 / (math.exp(smoothing) + clusters - 1)
    responsibilities = np.full((len(labels), clusters), rest)
    responsibilities[np.arange(len(labels)), labels] = rest * math.exp(smoothing)
    return responsibilities


def vbx(
    features: Matrix,
    phi: Matrix,
    responsibilities: Matrix,
    *,
    fa: float,
    fb: float,
    loop_probability: float,
    max_iterations: int = 40,
    tolerance: float = 1e-4,
    priors: Matrix | None = None,
    floor: float = 0.0,
    enrolled: Enrolment | None = None,
) -> VbxResult:
    """Fit the model to features in order of time, starting from responsibilities.

    Args:
        features: (T, d), with covariance 1 within speakers (`Plda.project`).
        phi: (d,) variance between speakers.
        responsibilities: (T, K) to start from; see `smoothed`.
        fa: weight of the features; below 1, as neighbours aren't independent.
        fb: weight of the prior of speakers' means; the greater, the fewer speakers.
        loop_probability: chance to stay with a speaker, 0 or more and below 1. 0 leaves the order of time aside, as
            pyannote.audio 4 does.
        max_iterations: the most iterations.
        tolerance: stop where the evidence lower bound gains less.
        priors: (K,) to start from; None for equal ones.
        floor: added to the priors in each iteration. Where there is one, no speaker is ever given up: with 1e-8, these
            are pyannote.audio's iterations.
        enrolled: what is known of the speakers beforehand.
    """
    speakers = np.arange(responsibilities.shape[1])
    gamma = responsibilities
    pi = np.full(len(speakers), 1 / len(speakers)) if priors is None else priors
    rho = features * np.sqrt(phi)  # (18)
    enrolled = enrolled or Enrolment(np.zeros(len(speakers)), np.zeros((len(speakers), features.shape[1])))
    constant = -0.5 * ((features**2).sum(axis=1) + features.shape[1] * math.log(2 * math.pi))
    elbos: list[float] = []
    for _ in range(max_iterations):
        inverse = 1 / (1 + fa / fb * (gamma.sum(axis=0) + enrolled.counts)[:, None] * phi)  # (17)
        alpha = fa / fb * inverse * (gamma.T @ rho + enrolled.sums)  # (16)
        scores = rho @ alpha.T  # (23), in place: with many speakers of a long recording, this is what takes memory
        scores -= 0.5 * (inverse + alpha**2) @ phi
        scores += constant[:, None]
        scores *= fa
        evidence, gamma, pi = forward_backward(scores, pi + floor, loop_probability)  # (24) for pi
        elbos.append(evidence + fb * enrolled.gain(inverse, alpha, phi, fa / fb))  # (25)
        alive = (pi >= LEAST_PRIOR) | (floor > 0)
        if not alive.all():
            speakers, gamma, pi = speakers[alive], gamma[:, alive], pi[alive] / pi[alive].sum()
            enrolled = enrolled.among(alive)
        if len(elbos) > 1 and elbos[-1] - elbos[-2] < tolerance:
            break
    result = np.zeros(responsibilities.shape), np.zeros(responsibilities.shape[1])
    result[0][:, speakers], result[1][speakers] = gamma, pi
    return VbxResult(*result, tuple(elbos))


def forward_backward(scores: Matrix, pi: Matrix, loop_probability: float) -> tuple[float, Matrix, Matrix]:
    """Return the log evidence, the responsibilities (T, K) and the new priors (K,) of one pass through time.

    From any speaker, the chain stays with a chance of `loop_probability` and otherwise draws the next speaker, maybe
    the same, from the priors. So a step takes K operations, not K². Rows are kept at sum 1 instead of as logarithms.

    Args:
        scores: (T, K) log likelihoods.
        pi: (K,) priors, all above 0.
        loop_probability: below 1.
    """
    highest = scores.max(axis=1)
    likely = scores - highest[:, None]
    np.exp(likely, out=likely)
    if loop_probability == 0:
        gamma = np.multiply(likely, pi, out=likely)
        scale = gamma.sum(axis=1)
        gamma /= scale[:, None]
        return float((np.log(scale) + highest).sum()), gamma, gamma.mean(axis=0)
    jumps = (1 - loop_probability) * pi * likely
    stays = loop_probability * likely
    forward, scale = _forward(stays, jumps, pi * likely[0])
    stays[1:] /= scale[1:, None]
    jumps[1:] /= scale[1:, None]
    backward = _backward(stays, jumps)
    gamma = forward * backward
    gamma /= gamma.sum(axis=1, keepdims=True)
    # Expected turns that begin with each speaker (24).
    begins = gamma[0] + (jumps[1:] * backward[1:]).sum(axis=0)
    return float((np.log(scale) + highest).sum()), gamma, begins / begins.sum()


def _forward(stays: Matrix, jumps: Matrix, first: Matrix) -> tuple[Matrix, Matrix]:
    """Return the forward probabilities (T, K), scaled to sum 1, and the sums they had (T,)."""
    forward, scale = np.empty_like(stays), np.empty(len(stays))
    scale[0] = first.sum()
    before = np.divide(first, scale[0], out=forward[0])
    for place, (stay, jump, row) in enumerate(zip(stays[1:], jumps[1:], forward[1:], strict=True), start=1):
        np.multiply(before, stay, out=row)
        row += jump
        total = np.add.reduce(row)
        row /= total
        scale[place] = total
        before = row
    return forward, scale


def _backward(stays: Matrix, jumps: Matrix) -> Matrix:
    """Return the backward probabilities (T, K) over the same scales as the forward ones."""
    backward = np.ones_like(stays)
    after = backward[-1]
    for stay, jump, row in zip(stays[:0:-1], jumps[:0:-1], backward[-2::-1], strict=True):
        np.multiply(after, stay, out=row)
        row += jump.dot(after)
        after = row
    return backward


@dataclass(frozen=True, kw_only=True)
class VbxClusterer(ClustererMixin):
    """Fits a hidden Markov model of speakers to PLDA features, starting from many small clusters (VBx).

    Agglomerative clustering stops early; the fit then merges what one speaker explains as well as two, and smooths
    over time. It never splits: the threshold must be low enough to tell all speakers apart.
    """

    knows_time: ClassVar[bool] = True
    TUNABLE: ClassVar[Mapping[str, Range]] = {
        "threshold": Range(0.1, 0.8),
        "fa": Range(0.02, 1.0, log=True),
        "fb": Range(0.2, 20.0, log=True),
        "loop_probability": Range(0.3, 0.98),
        "min_cluster_size": Range(0.005, 0.1, log=True),
    }

    plda: Plda | str | os.PathLike[str] | None = None
    """A PLDA trained on embeddings of the same model, or the file of one. None estimates one from the first clusters
    of each recording."""
    threshold: float = 0.31
    """The first clusters, average linkage of cosine distances, lie further apart than this."""
    fa: float = 0.2
    """Weight of the features. The greater, the more speakers."""
    fb: float = 2.0
    """Weight of the prior of speakers. The greater, the fewer speakers."""
    loop_probability: float = 0.8
    """Chance that the next embedding is of the same speaker without a new draw; 0 leaves the order of time aside."""
    min_cluster_size: int | float = 0.02
    """Speakers with fewer embeddings are given up. A whole number counts embeddings, but never more than a tenth of
    them; a fraction below 1 is a share, of 3 embeddings at least."""
    max_iterations: int = 15
    """The most iterations of the fit."""
    long_from: int = 300
    """Embeddings from which on a recording is long enough for its evidence to choose among several first clusters."""
    long_thresholds: tuple[float, ...] = (0.3, 0.34, 0.38, 0.42)
    """Long recordings are fitted from the first clusters of each of these; the greatest evidence (ELBO) wins. Below
    `long_from` the evidence would prefer too few speakers."""
    known_from: float = 0.6
    """First clusters whose cosine with a known voice, from the PLDA's mean on, is this or more begin as that voice's.
    So what is one person's begins as one; below 0.6, on real recordings, others join who aren't known."""
    known_weight: float = 10.0
    """A known voice counts as so many embeddings of its speaker."""
    max_exact: int = 6000
    """Above this many embeddings, the first clusters are made of weighted micro-clusters, this many at most."""

    def __post_init__(self) -> None:
        self._ahc(self.min_cluster_size)
        for name in ("fa", "fb"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ConfigError(f"{name}={value!r}: give a weight above 0.")
        if not self.long_thresholds or not is_count(self.long_from, least=1):
            raise ConfigError(
                f"long_from={self.long_from!r}, long_thresholds={self.long_thresholds!r}: give a whole number, 1 or "
                "more, and at least one threshold."
            )
        if not 0 <= self.loop_probability < 1:
            raise ConfigError(f"loop_probability={self.loop_probability!r}: give a chance, 0 or more and below 1.")
        if not is_count(self.max_iterations, least=1):
            raise ConfigError(f"max_iterations={self.max_iterations!r}: give a whole number, 1 or more.")
        if self.plda is not None and not isinstance(self.plda, Plda):
            object.__setattr__(self, "plda", Plda.load(self.plda))

    def least_size(self, embeddings: int) -> int:
        """Return the number of embeddings below which a speaker is given up, among `embeddings` in all."""
        size = self._ahc(self.min_cluster_size).least_size(embeddings)
        return max(size, self._ahc(FEW).least_size(embeddings)) if self.min_cluster_size < 1 else size

    def _ahc(self, min_cluster_size: int | float) -> AhcClusterer:
        return AhcClusterer(threshold=self.threshold, min_cluster_size=min_cluster_size, max_exact=self.max_exact)

    def _cluster(self, embeddings: NDArray[Any], count: SpeakerCount) -> Labels:
        return self._cluster_known(embeddings, count, np.zeros((0, embeddings.shape[1])))

    def _cluster_known(self, embeddings: NDArray[Any], count: SpeakerCount, known: NDArray[Any]) -> Labels:
        least_size = self.least_size(len(embeddings))
        starts = self._first_clusters(embeddings)
        plda = self.plda if isinstance(self.plda, Plda) else train_plda(embeddings, starts[0], shrinkage=OWN_SHRINKAGE)
        features = plda.project(embeddings)
        most = max(MOST_FIRST, count.least)
        strongest = [strongest_clusters(embeddings, start, most) for start in starts]
        fits = [
            self._fit(features, plda, *claimed(embeddings, start, known, plda.means[0], self.known_from))
            for start in strongest
        ]
        found = max(fits, key=lambda fit: fit.elbos[-1])
        large = large_speakers(found, least_size)
        target = count.clip(len(large))
        if target <= len(large):
            return among(found, large[:target])
        # More are asked for than the fit tells apart: start it from just as many, and let it move borders only.
        cut = self._ahc(least_size).fit_predict(embeddings, SpeakerCount(target, target))
        found = self._fit(features, plda, cut)
        large = large_speakers(found, 1)
        return among(found, large) if len(large) == target else cut

    def _first_clusters(self, embeddings: NDArray[Any]) -> list[Labels]:
        """Return labels of the first clusters, once for each threshold that makes others."""
        vectors, micro = unit_rows(embeddings), np.arange(len(embeddings))
        means, weights = vectors, np.ones(len(vectors))
        if len(vectors) > self.max_exact:
            micro, means, weights = micro_clusters(vectors, self.max_exact, "average", "cosine")
        tree = linkage(means, weights, "average", "cosine")
        thresholds = self.long_thresholds if len(embeddings) >= self.long_from else (self.threshold,)
        cuts = {int(merges.sum()): merges for merges in (merged_within(tree, threshold) for threshold in thresholds)}
        return [in_order_of_appearance(labels_of(tree, merges)[micro]) for merges in cuts.values()]

    def _fit(self, features: Matrix, plda: Plda, labels: Labels, voices: NDArray[Any] | None = None) -> VbxResult:
        """Fit from first clusters (T,); `voices` (K, D) has the known voice of each, or a row of zeros."""
        enrolled = None
        if voices is not None and voices.any():
            counts = np.where(voices.any(axis=1), self.known_weight, 0.0)
            enrolled = Enrolment(counts, counts[:, None] * plda.project(voices) * np.sqrt(plda.phi))
        return vbx(
            features,
            plda.phi,
            smoothed(labels),
            fa=self.fa,
            fb=self.fb,
            loop_probability=self.loop_probability,
            max_iterations=self.max_iterations,
            tolerance=TOLERANCE * len(features),
            enrolled=enrolled,
        )


def strongest_clusters(embeddings: NDArray[Any], labels: Labels, most: int) -> Labels:
    """Return labels 0..K-1 of the `most` largest clusters; members of the others join the nearest of these."""
    sizes = np.bincount(labels)
    if len(sizes) <= most:
        return labels
    kept = np.argsort(-sizes, kind="stable")[:most]
    centroids, _ = cluster_centroids(embeddings, labels)
    joins = nearest_centroid(centroids, centroids[kept])
    joins[kept] = np.arange(most)
    return joins[labels]


def large_speakers(found: VbxResult, least_size: int) -> NDArray[np.int64]:
    """Return the speakers who have `least_size` embeddings or more, the likeliest first; the largest where none has."""
    sizes = np.bincount(found.responsibilities.argmax(axis=1), minlength=len(found.priors))
    large = np.flatnonzero(sizes >= min(least_size, sizes.max()))
    return large[np.argsort(-found.priors[large], kind="stable")]


def among(found: VbxResult, speakers: NDArray[np.int64]) -> Labels:
    """Return the likeliest of `speakers` at each place: (T,) indices of that array."""
    return np.asarray(found.responsibilities[:, speakers].argmax(axis=1), np.int64)
