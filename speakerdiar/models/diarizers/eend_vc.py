"""EendVcDiarizer: a network tells local speakers apart in each window, clustering says who they are."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from speakerdiar import ranges
from speakerdiar.annotation import Diarization
from speakerdiar.audio import load, read_blocks
from speakerdiar.audio.loudness import levelled_blocks
from speakerdiar.audio.prefetch import prefetched
from speakerdiar.clustering import ClustererMixin
from speakerdiar.clustering.slots import SlotClusterer, SlotClusters
from speakerdiar.config import DiarizeConfig, PostProcessingParams, SpeakerCount
from speakerdiar.errors import ConfigError
from speakerdiar.frames import FrameScores
from speakerdiar.mixins.blockwise import BlockwiseDiarizationMixin, Heard, Job
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.mixins.local_segmentation import LocalSegmentationMixin
from speakerdiar.mixins.results import finished, speaker_count
from speakerdiar.models.diarizers.eend_vc_stages import PyannoteStages, Stages
from speakerdiar.models.diarizers.live_clustering import Followed, LiveClusteringMixin, LiveParts
from speakerdiar.models.diarizers.slot_clusterers import make_slot_clusterer, make_window_clusterer
from speakerdiar.models.diarizers.window_pieces import Piece, SlotStore, pieces
from speakerdiar.models.diarizers.windows import WindowPlan
from speakerdiar.models.embedders import make_embedder
from speakerdiar.models.segmenters import make_local_segmenter
from speakerdiar.models.segmenters.windowed_speech import WindowedSpeech
from speakerdiar.postprocessing.frame_turns import frame_confidence, turn_confidence
from speakerdiar.postprocessing.local_speech import LocalSpeech
from speakerdiar.postprocessing.reconstruction import clusters_of, total_frames, window_means
from speakerdiar.postprocessing.speech_activity import SpeechActivity, speech_activity
from speakerdiar.ranges import Range
from speakerdiar.recording import as_recordings

LIVE_CHANGE_COST = 0.1
"""Price of a change of speaker inside a stretch of speech, in cosine similarity, where a recording is live."""
PIECE_SECONDS = 120.0
"""Audio held at a time; what its windows share is computed once."""


@dataclass(frozen=True, kw_only=True)
class _Heard(Heard):
    """What the networks make of a recording: local speakers, and a vector for each."""

    speech: LocalSpeech
    embeddings: NDArray[Any]


class EendVcDiarizer(LiveClusteringMixin, BlockwiseDiarizationMixin):
    """Local speakers in windows of 10 s, a vector for each, clusters of these: any number of speakers, with overlap.

    End-to-end neural diarization with vector clustering (Kinoshita et al. 2021, arXiv:2105.09040), in the form of
    pyannote.audio's pipelines (Bredin 2023, Interspeech; Plaquet and Bredin 2023, Interspeech). The audio is read once,
    piece by piece; memory grows by the local speakers and their vectors, about 15 MB an hour, until after some 12 hours
    the vectors go to disk, in half precision.

    By default, what windows share is computed once, and the number of speakers that is asked for is met. With `exact`,
    every window is computed by itself and every decision is pyannote's: the same numbers, at a fraction of the speed.
    Either way, no turn runs past the end of the audio.

    Live, and with `latency`, the segmenter finds speech, and who speaks is decided on the way, one speaker at a time;
    see `speakerdiar.models.diarizers.live_clustering`.

    Args:
        segmenter: tells local speakers apart: weights (a file, a folder, `owner/name` on the Hub) or an instance.
        embedder: turns local speakers into vectors: a name in EMBEDDERS, weights, or an instance.
        clusterer: tells people apart by the vectors: a `SlotClusterer`, any `ClustererMixin`, or `ahc` or `vbx`. By
            default `ahc`, with the embedder's own threshold (`slot_threshold`) where it has one, else that of
            pyannote.audio 3.1.
        step: share of a window from one to the next; None for the segmenter's own, a tenth. Speed grows with it.
        exact: give the numbers of the original, window by window.
        exclude_overlap: embed local speakers where nobody else talks, if that is long enough.
        stages: the decisions between the networks, in place of pyannote's; `clusterer` and the last two don't count
            then.
        postprocessing: thresholds and durations where a call asks for none.

    Raises:
        ConfigError: an option has a value that can't be used, or parts that don't fit together.
        WeightsError: weights that can't be read.
    """

    TUNABLE: ClassVar[Mapping[str, Range]] = ranges.of_postprocessing(
        "pad_onset", "pad_offset", "min_duration_on", "min_duration_off"
    )

    def __init__(
        self,
        segmenter: Any,
        embedder: Any = "ge2e",
        clusterer: SlotClusterer | ClustererMixin | str | None = None,
        *,
        step: float | None = None,
        exact: bool = False,
        exclude_overlap: bool = True,
        stages: Stages | None = None,
        postprocessing: PostProcessingParams | None = None,
    ) -> None:
        self.segmenter: LocalSegmentationMixin = make_local_segmenter(segmenter)
        self.embedder: EmbeddingMixin = make_embedder(embedder)
        if self.segmenter.sample_rate != self.embedder.sample_rate:
            raise ConfigError(
                f"The segmenter takes {self.segmenter.sample_rate} Hz and the embedder {self.embedder.sample_rate} Hz: "
                "choose two of one rate."
            )
        self.sample_rate = self.segmenter.sample_rate
        self.grid = self.segmenter.grid if step is None else self.segmenter.grid.with_step(step)
        self.exact = exact
        self.stages = stages or PyannoteStages(
            clusterer=make_slot_clusterer(clusterer, self.embedder),
            least_frames=math.ceil(self.grid.frames * self.embedder.min_seconds / self.grid.seconds),
            exclude_overlap=exclude_overlap,
            exact=exact,
        )
        self.postprocessing = postprocessing or PostProcessingParams()

    def segment(self, audio: Any, *, sample_rate: int | None = None) -> SpeechActivity:
        """Find speech, overlap, speaker changes and the number of people who talk at once, in one pass, unclustered.

        Args:
            audio: one recording, as for `diarize`.
            sample_rate: Hz, for samples.

        Raises:
            InputError: not one recording, or audio that can't be read.
        """
        [recording] = as_recordings(audio, sample_rate)
        job = Job(recording, self._diarize_config(None, {}))
        local = _Local(self, job)
        for group in _grouped([local], self.segmenter.windows_at_once):
            self._segment(group)
        return speech_activity(local.speech(), self.postprocessing)

    def embed(self, audio: Any, segments: Any = None, *, sample_rate: int | None = None) -> NDArray[np.float32]:
        """Return a vector for each of some segments of a recording, or one for all of it: (N, D).

        Args:
            audio: one recording, as for `diarize`.
            segments: what has `start` and `end` in seconds, such as turns, or pairs of them.
            sample_rate: Hz, for samples.

        Raises:
            InputError: not one recording, audio that can't be read, a segment outside.
        """
        [recording] = as_recordings(audio, sample_rate)
        return self.embedder.embed(load(recording, self.sample_rate), segments)

    def _diarize_postprocessing(self, diarcfg: DiarizeConfig) -> PostProcessingParams:
        if diarcfg.postprocessing_params is None and diarcfg.postprocessing_yaml is None:
            return replace(self.postprocessing)
        return super()._diarize_postprocessing(diarcfg)

    def _tunable_parts(self) -> Mapping[str, Any]:
        return self.stages.tunable_parts()

    def _with_parts(self, parts: Mapping[str, Any]) -> Self:
        other = copy.copy(self)
        other.stages = self.stages.with_parts(parts)
        return other

    def _live_parts(self, diarcfg: DiarizeConfig) -> LiveParts:
        return LiveParts(
            WindowedSpeech(self.segmenter),
            self.embedder,
            WindowPlan(shortest=self.embedder.min_seconds),
            make_window_clusterer(None, self.embedder),
            LIVE_CHANGE_COST,
            diarcfg.postprocessing_params or self.postprocessing,
        )

    def _hear(self, jobs: Sequence[Job]) -> list[_Heard] | list[Followed]:
        if any(job.diarcfg.latency is not None for job in jobs):
            return [self._follow(job) for job in jobs]
        locals_ = [_Local(self, job) for job in jobs]
        for group in _grouped(locals_, self.segmenter.windows_at_once):
            for (local, piece), bits in zip(group, self._segment(group), strict=True):
                self._embed(local, piece, bits)
        return [local.heard() for local in locals_]

    def _segment(self, group: list[tuple[_Local, Piece]]) -> list[NDArray[np.uint8]]:
        """Segment the windows of some pieces together, of several recordings if they are short; return their bits."""
        windows = [piece.windows for _, piece in group]
        bits, certainty = self.segmenter.segment_windows(windows[0] if len(group) == 1 else np.concatenate(windows))
        borders = np.cumsum([len(piece) for _, piece in group])[:-1]
        parts = np.split(bits, borders)
        for (local, piece), part, sure in zip(group, parts, np.split(certainty, borders), strict=True):
            local.add(piece, part, sure)
        return parts

    def _embed(self, local: _Local, piece: Piece, bits: NDArray[np.uint8]) -> None:
        speakers = self.segmenter.speakers
        masks = self.stages.masks(bits, speakers)
        vectors = np.full((len(piece), speakers, self.embedder.dimension), np.nan, dtype=np.float32)
        if len(masks):
            starts = piece.starts(masks.windows)
            vectors[masks.windows, masks.slots] = self.embedder.embed_masks(
                piece.samples, starts, self.grid.window, masks.frames, exact=self.exact
            )
        local.store.add(vectors)
        local.tell("embeddings", piece)

    def _decide(self, heard: _Heard | Followed, diarcfg: DiarizeConfig) -> Diarization:
        if isinstance(heard, Followed):
            return finished(heard.recording, heard.turns, diarcfg)
        speech, params = heard.speech, diarcfg.postprocessing_params
        if not speech.bits.any():
            return finished(heard.recording, (), diarcfg, scores=_scores(speech, None), alone=())
        job = Job(heard.recording, diarcfg)
        count = speaker_count(heard.recording, diarcfg)
        at_once = self.stages.count(speech, count)
        job.tell("count", at_once, 1, 1)
        clusters = self.stages.cluster(speech, heard.embeddings, count)
        job.tell("clusters", clusters, 1, 1)
        active = self.stages.reconstruct(speech, clusters, at_once, count)
        job.tell("frames", active, 1, 1)
        alone = self.stages.reconstruct(speech, clusters, np.minimum(at_once, 1), SpeakerCount())
        views = [self.stages.turns(frames, speech, params) for frames in (active, alone)]
        if diarcfg.confidence:
            views = [turn_confidence(turns, speech, clusters.labels) for turns in views]
        return finished(
            heard.recording,
            views[0],
            diarcfg,
            scores=_scores(speech, clusters) if diarcfg.include_tensor_outputs else None,
            embeddings=_vectors(clusters),
            alone=views[1],
            confidence=frame_confidence(speech, clusters.labels, active) if diarcfg.confidence else None,
            places=None,
        )


class _Local:
    """What has been heard of one recording so far."""

    def __init__(self, model: EendVcDiarizer, job: Job) -> None:
        self.job, self.grid = job, model.grid
        self.speakers, self.level = model.segmenter.speakers, model.segmenter.level
        self.store = SlotStore(self.speakers, model.embedder.dimension)
        self.bits: list[NDArray[np.uint8]] = []
        self.certainty: list[NDArray[np.uint8]] = []
        self.samples = 0

    def pieces(self) -> Iterator[Piece]:
        """Read the recording, ahead of those who work on it."""
        blocks = prefetched(read_blocks(self.job.recording, self.grid.rate, PIECE_SECONDS))
        heard = blocks if self.level is None else levelled_blocks(blocks, self.grid.rate, self.level)
        yield from pieces(heard, self.grid)

    def add(self, piece: Piece, bits: NDArray[np.uint8], certainty: NDArray[np.uint8]) -> None:
        """Keep what the segmenter says of a piece."""
        self.bits.append(bits)
        self.certainty.append(certainty)
        self.samples = piece.heard
        self.tell("segmentation", piece)

    def tell(self, stage: str, piece: Piece) -> None:
        """Tell the caller how far a stage is."""
        total = piece.heard / self.grid.rate if piece.last else self.job.recording.duration
        self.job.tell(stage, None, piece.heard / self.grid.rate, total)

    def speech(self) -> LocalSpeech:
        """The local speakers of the whole recording."""
        empty = np.zeros((0, self.grid.frames), dtype=np.uint8)
        bits, certainty = np.concatenate([empty, *self.bits]), np.concatenate([empty, *self.certainty])
        return LocalSpeech(bits, self.speakers, self.grid, self.samples, certainty)

    def heard(self) -> _Heard:
        """All that was heard."""
        speech = self.speech()
        recording = replace(self.job.recording, duration=speech.seconds or None)
        self.job.tell("segmentation", speech, speech.seconds, speech.seconds)
        embeddings = self.store.all()
        self.job.tell("embeddings", embeddings, speech.seconds, speech.seconds)
        return _Heard(recording=recording, speech=speech, embeddings=embeddings)


def _grouped(locals_: Sequence[_Local], windows: int) -> Iterator[list[tuple[_Local, Piece]]]:
    """Yield pieces of the recordings, in order; short ones together, as long as they have so many windows at most."""
    group: list[tuple[_Local, Piece]] = []
    for local in locals_:
        for piece in local.pieces():
            if group and sum(len(held) for _, held in group) + len(piece) > windows:
                yield group
                group = []
            group.append((local, piece))
    if group:
        yield group


def _vectors(clusters: SlotClusters) -> dict[str, NDArray[np.float32]]:
    """The centroid of each person who has one: those who never talk for long enough have none."""
    known = np.flatnonzero(np.isfinite(clusters.centroids).all(axis=1))
    return {str(person): clusters.centroids[person].astype(np.float32) for person in known}


def _scores(speech: LocalSpeech, clusters: SlotClusters | None) -> FrameScores:
    """The share of the windows over each frame that hear each person: (frames, people)."""
    people = 0 if clusters is None else len(clusters.centroids)
    labels = np.full((len(speech), speech.speakers), -1) if clusters is None else clusters.labels
    shares = np.zeros((total_frames(speech), people), dtype=np.float32)
    for first, block in window_means(speech, lambda windows: clusters_of(speech, labels, people, windows), people):
        shares[first : first + len(block)] = block
    return FrameScores(shares, speech.grid.frame_grid, tuple(map(str, range(people))))
