"""ClusteringDiarizer: find speech, embed windows of it, group the windows by voice."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from speakerdiar import ranges
from speakerdiar.annotation import Diarization, Turn
from speakerdiar.audio import read_blocks
from speakerdiar.clustering import ClustererMixin
from speakerdiar.clustering.affinity import directions
from speakerdiar.clustering.centroids import cluster_centroids
from speakerdiar.clustering.resegmentation import resegment
from speakerdiar.config import DiarizeConfig, PostProcessingParams, SpeakerCount
from speakerdiar.errors import ConfigError, SpeakerCountError
from speakerdiar.frames import FrameScores, activity
from speakerdiar.mixins.blockwise import BlockwiseDiarizationMixin, Heard, Job
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.mixins.results import finished, speaker_count
from speakerdiar.mixins.segmentation import SegmentationMixin
from speakerdiar.models.diarizers.live_clustering import BLOCK_SECONDS, Followed, LiveClusteringMixin, LiveParts
from speakerdiar.models.diarizers.slot_clusterers import make_window_clusterer
from speakerdiar.models.diarizers.windows import WindowPlan, Windows
from speakerdiar.models.embedders import make_embedder
from speakerdiar.models.segmenters import make_segmenter
from speakerdiar.postprocessing.binarize import binarize
from speakerdiar.ranges import Range

MARGIN_SECONDS = 0.1
"""Audio kept around windows, which their features may reach into."""


@dataclass(frozen=True)
class ChangeCost:
    """Price of a change of speaker, in cosine similarity; see `speakerdiar.clustering.resegment`.

    Attributes:
        inside: a stretch of speech.
        between: two stretches.
    """

    TUNABLE: ClassVar[Mapping[str, Range]] = {"inside": Range(0.0, 0.5), "between": Range(0.0, 0.5)}

    inside: float
    between: float


@dataclass(frozen=True, kw_only=True)
class _Heard(Heard):
    """What the networks make of a recording: where there is speech, and a vector for each window of it."""

    speech: FrameScores
    windows: Windows
    embeddings: NDArray[np.float32]


class ClusteringDiarizer(LiveClusteringMixin, BlockwiseDiarizationMixin):
    """Speech, windows, embeddings, clusters, turns: one speaker at a time, any number of speakers, live too.

    The audio is read block by block, once to find speech and once to embed it, so that memory grows by little more than
    the embeddings, about 10 MB an hour. Post-processing parameters (`postprocessing_params`) are those of the speech
    scores. With an upper and a lower bound the number of speakers is met exactly, or `SpeakerCountError` says why not.

    Live, and with `latency` (a preset, or seconds such as `1.04s`), speakers are decided on the way, out of a bounded
    memory; see `speakerdiar.models.diarizers.live_clustering`.

    Args:
        segmenter: finds speech: a name in SEGMENTERS (`silero`, `energy`) or an instance.
        embedder: turns windows into vectors: a name in EMBEDDERS (`ge2e`) or an instance.
        clusterer: groups vectors: a name in CLUSTERERS (`vbx`, `ahc`, `spectral`, `nmesc`) or an instance; by default
            `vbx` where a PLDA for the embedder comes with the package, else `ahc`.
        windows: how windows are laid over speech.
        change_cost: price of a change of speaker inside a stretch of speech, and of one between stretches, in cosine
            similarity, when labels are looked at once more in the order of time (`speakerdiar.clustering.resegment`).
            Left alone are labels of clusterers that know time themselves (`vbx`).

    Raises:
        ConfigError: an option has a value that can't be used.
        MissingExtraError: weights aren't installed.
    """

    DEFAULT_POSTPROCESSING: ClassVar[PostProcessingParams] = PostProcessingParams(
        onset=0.3, offset=0.15, pad_onset=0.15, pad_offset=0.1, min_duration_on=0.35, min_duration_off=0.25
    )
    TUNABLE: ClassVar[Mapping[str, Range]] = ranges.of_postprocessing(early=True)

    def __init__(
        self,
        segmenter: str | SegmentationMixin = "silero",
        embedder: str | EmbeddingMixin = "ge2e",
        clusterer: str | ClustererMixin | None = None,
        *,
        windows: WindowPlan | None = None,
        change_cost: tuple[float, float] = (0.1, 0.05),
    ) -> None:
        self.segmenter = make_segmenter(segmenter)
        self.embedder = make_embedder(embedder)
        self.clusterer = make_window_clusterer(clusterer, self.embedder)
        self.windows = windows or WindowPlan(shortest=self.embedder.min_seconds)
        self.change_cost = change_cost
        if self.segmenter.sample_rate != self.embedder.sample_rate:
            raise ConfigError(
                f"The segmenter takes {self.segmenter.sample_rate} Hz and the embedder {self.embedder.sample_rate} Hz: "
                "choose two of one rate."
            )
        self.sample_rate = self.embedder.sample_rate

    def _live_parts(self, diarcfg: DiarizeConfig) -> LiveParts:
        return LiveParts(
            self.segmenter,
            self.embedder,
            self.windows,
            self.clusterer,
            self.change_cost[0],
            diarcfg.postprocessing_params or self.DEFAULT_POSTPROCESSING,
        )

    def _hear(self, jobs: Sequence[Job]) -> list[_Heard | Followed]:
        return [self._hear_one(job) if job.diarcfg.latency is None else self._follow(job) for job in jobs]

    def _hear_one(self, job: Job) -> _Heard:
        speech, seconds = self._find_speech(job)
        regions = _regions(speech, seconds, job.diarcfg)
        windows = self._enough_windows(regions, speaker_count(job.recording, job.diarcfg))
        recording = replace(job.recording, duration=seconds or None)
        return _Heard(recording=recording, speech=speech, windows=windows, embeddings=self._embed(job, windows))

    def _find_speech(self, job: Job) -> tuple[FrameScores, float]:
        """Return the speech scores of a recording, and its length in seconds."""
        samples = 0

        def counted() -> Iterator[NDArray[np.float32]]:
            nonlocal samples
            for block in read_blocks(job.recording, self.sample_rate, BLOCK_SECONDS):
                samples += len(block)
                yield block
                job.tell("speech", None, samples / self.sample_rate, job.recording.duration)

        speech = self.segmenter.segment_blocks(counted())
        seconds = samples / self.sample_rate
        job.tell("speech", speech, seconds, seconds)
        return speech, seconds

    def _enough_windows(self, regions: NDArray[np.float64], count: SpeakerCount) -> Windows:
        """Lay windows, denser and shorter ones where there is less speech than it takes for so many speakers."""
        plan = self.windows
        windows = plan.lay(regions)
        while 0 < len(windows) < count.least and plan.hop > 0.01:
            plan = plan.halved()
            windows = plan.lay(regions)
        if 0 < len(windows) < count.least:
            speech = float(np.diff(regions).sum())
            raise SpeakerCountError(
                f"{count.least} speakers were asked for, and {speech:.2f} s of speech were found: too little for so "
                f"many. Ask for at most {len(windows)}."
            )
        return windows

    def _embed(self, job: Job, windows: Windows) -> NDArray[np.float32]:
        """Embed the windows, reading the audio a second time, block by block."""
        rate, hop = self.sample_rate, self.embedder.hop_samples
        # Starts and lengths are rounded, not ends: windows of one length in seconds must stay of one length.
        lengths = np.rint(np.diff(windows.spans) * rate / hop).astype(np.int64) * hop
        starts = np.rint(windows.spans[:, :1] * rate / hop).astype(np.int64) * hop
        spans = np.concatenate([starts, starts + lengths], axis=1)
        vectors = np.zeros((len(spans), self.embedder.dimension), dtype=np.float32)
        order = np.argsort(spans[:, 1], kind="stable")
        blocks = read_blocks(job.recording, rate, BLOCK_SECONDS)
        for samples, first, chosen in _pieces(blocks, spans[order], hop, round(MARGIN_SECONDS * rate / hop) * hop):
            rows = order[chosen]
            vectors[rows] = self.embedder.embed_spans(samples, spans[rows] - first)
            job.tell("embeddings", None, chosen.stop, len(spans))
        job.tell("embeddings", vectors, len(spans), len(spans))
        return vectors

    def _decide(self, heard: _Heard | Followed, diarcfg: DiarizeConfig) -> Diarization:
        if isinstance(heard, Followed):
            return finished(heard.recording, heard.turns, diarcfg)
        if not len(heard.windows):
            return finished(heard.recording, (), diarcfg, scores=_scores((), heard.speech, 0))
        count = speaker_count(heard.recording, diarcfg)
        labels = self.clusterer.fit_predict(heard.embeddings, count, known=self._known(diarcfg))
        if not self.clusterer.knows_time:
            labels = resegment(heard.embeddings, labels, heard.windows.change_cost(*self.change_cost))
        centroids = directions(cluster_centroids(heard.embeddings, labels)[0]).astype(np.float32)
        likeness = np.einsum("nd,nd->n", directions(heard.embeddings), centroids[labels])
        turns = heard.windows.turns(labels, np.clip(likeness, 0, 1) if diarcfg.confidence else None)
        return finished(
            heard.recording,
            turns,
            diarcfg,
            scores=_scores(turns, heard.speech, len(centroids)),
            embeddings={str(label): vector for label, vector in enumerate(centroids)},
        )

    def _diarize_speech_processing(
        self, outputs: Any, uniq_ids: list[str], diarcfg: DiarizeConfig
    ) -> list[Diarization]:
        found = []
        for heard in outputs:
            regions = _regions(heard.speech, heard.recording.duration or 0.0, diarcfg)
            turns = tuple(Turn(start, end, "speech") for start, end in regions.tolist())
            found.append(finished(heard.recording, turns, diarcfg))
        return found

    def _tunable_parts(self) -> Mapping[str, Any]:
        parts: dict[str, Any] = {"clusterer": self.clusterer}
        return parts if self.clusterer.knows_time else {**parts, "change_cost": ChangeCost(*self.change_cost)}

    def _with_parts(self, parts: Mapping[str, Any]) -> Self:
        other = copy.copy(self)
        other.clusterer = parts["clusterer"]
        if "change_cost" in parts:
            other.change_cost = (parts["change_cost"].inside, parts["change_cost"].between)
        return other

    def _known(self, diarcfg: DiarizeConfig) -> NDArray[np.float32] | None:
        """Return the call's enrolled voices, (M, D), where this embedder made them."""
        naming = None if diarcfg._internal is None else diarcfg._internal.naming
        return naming.voices.vectors if naming is not None and naming.own else None


def _regions(speech: FrameScores, seconds: float, diarcfg: DiarizeConfig) -> NDArray[np.float64]:
    """Return the stretches of speech, (stretches, 2), in a recording of so many seconds."""
    [regions] = binarize(speech.data[:, :1], diarcfg.postprocessing_params, grid=speech.grid, end=seconds)
    return regions


def _scores(turns: tuple[Turn, ...], speech: FrameScores, speakers: int) -> FrameScores:
    """Give the speech score of each frame to the speaker whose turn it is: (frames, speakers)."""
    names = tuple(str(label) for label in range(speakers))
    active = activity(turns, names, speech.grid, len(speech))
    return FrameScores(active * speech.data[:, :1], speech.grid, names)


def _pieces(
    blocks: Iterator[NDArray[np.float32]], spans: NDArray[np.int64], hop: int, margin: int
) -> Iterator[tuple[NDArray[np.float32], int, slice]]:
    """Yield pieces of audio with the windows that lie inside, as soon as they are there.

    Args:
        blocks: the audio, (n,) each.
        spans: (first, last + 1) of each window in samples, (N, 2), sorted by the latter.
        hop: pieces begin at multiples of so many samples.
        margin: samples around windows that a piece holds too, as far as there are any.

    Yields:
        The piece, its first sample, and which of the windows are new.
    """
    earliest = np.minimum.accumulate(spans[::-1, 0])[::-1]  # of this and all later windows
    piece, first, done = np.zeros(0, np.float32), 0, 0
    for block in itertools.chain(blocks, [None]):
        if block is not None:
            piece = np.concatenate([piece, block])
        have = first + len(piece)
        ready = len(spans) if block is None else int(np.searchsorted(spans[:, 1] + margin, have, side="right"))
        if ready > done:
            yield piece, first, slice(done, ready)
            done = ready
        needed = int(earliest[done]) - margin if done < len(spans) else have
        keep = max(first, min(needed, have // hop * hop))
        piece, first = piece[keep - first :], keep
