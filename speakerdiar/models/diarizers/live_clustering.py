"""The live side of diarizers that cluster: speech as it comes, windows over it, speakers decided on the way."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speakerdiar.annotation import Turn
from speakerdiar.audio import read_blocks
from speakerdiar.clustering import ClustererMixin
from speakerdiar.clustering.online import OnlineClusterer, OnlinePlan
from speakerdiar.config import DiarizeConfig, PostProcessingParams, SpeakerCount
from speakerdiar.mixins.blockwise import Heard, Job
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.mixins.results import speaker_count
from speakerdiar.mixins.segmentation import SegmentationMixin
from speakerdiar.mixins.stream_blocks import StreamBlocks
from speakerdiar.mixins.streaming import StreamingMixin, StreamStep
from speakerdiar.models.diarizers.online_clustering import LATENCIES, SECONDS, OnlineLatency, OnlineStream
from speakerdiar.models.diarizers.windows import WindowPlan

BLOCK_SECONDS = 120.0
"""Audio read at a time where a recording is heard as if it were live."""


@dataclass(frozen=True, kw_only=True)
class Followed(Heard):
    """The turns of a recording that was heard as if it were live."""

    turns: tuple[Turn, ...]


class LiveParts(NamedTuple):
    """What a diarizer hears live recordings with.

    Attributes:
        segmenter: finds speech.
        embedder: embeds windows of it.
        windows: how these are laid.
        clusterer: tells speakers apart.
        change_cost: price of a change of speaker inside a stretch of speech, in cosine similarity.
        params: post-processing of the speech scores.
    """

    segmenter: SegmentationMixin
    embedder: EmbeddingMixin
    windows: WindowPlan
    clusterer: ClustererMixin
    change_cost: float
    params: PostProcessingParams


class LiveClusteringMixin(StreamingMixin):
    """Gives a diarizer live sessions, and files heard as if they were live, out of its `_live_parts`.

    Speakers are decided on the way, out of a bounded memory (`OnlineClusterer`): one speaker at a time. Two of them may
    turn out to be one, which the updates announce. There, `num_speakers` is an upper bound, and `min_speakers` is asked
    of the clusterer from 10 s of speech on for each speaker, but not promised.
    """

    LATENCIES: ClassVar[Mapping[str, OnlineLatency]] = LATENCIES
    LATENCY = OnlineLatency
    DEFAULT_LATENCY = "2s"
    sample_rate: int

    @abstractmethod
    def _live_parts(self, diarcfg: DiarizeConfig) -> LiveParts:
        """Return what a call hears live recordings with."""

    def _stream_preset(self, latency: Any) -> OnlineLatency:
        named = SECONDS.fullmatch(latency) if isinstance(latency, str) and latency not in self.LATENCIES else None
        if named is not None:
            return OnlineLatency.of_seconds(float(named[1]))
        preset: OnlineLatency = super()._stream_preset(latency)
        return preset

    def _stream_begin(self, preset: OnlineLatency, diarcfg: DiarizeConfig) -> OnlineStream:
        return self._begin(preset, diarcfg, diarcfg.speaker_count)

    def _begin(self, preset: OnlineLatency, diarcfg: DiarizeConfig, count: SpeakerCount) -> OnlineStream:
        """Return the memory of a recording of so many speakers."""
        parts = self._live_parts(diarcfg)
        return OnlineStream(
            preset,
            parts.segmenter,
            parts.embedder,
            parts.windows,
            parts.params,
            OnlineClusterer(parts.clusterer, count, OnlinePlan(change_cost=parts.change_cost)),
            confidence=diarcfg.confidence,
        )

    def _stream_need(self, state: OnlineStream) -> int:
        return state.need

    def _stream_step(
        self, states: Sequence[OnlineStream], blocks: Sequence[np.ndarray], last: bool
    ) -> list[StreamStep]:
        return [state.step(block, last) for state, block in zip(states, blocks, strict=True)]

    def _follow(self, job: Job) -> Followed:
        """Hear a recording as if it were live."""
        count = speaker_count(job.recording, job.diarcfg)
        state = self._begin(self._stream_preset(job.diarcfg.latency), job.diarcfg, count)
        queue = StreamBlocks(self.sample_rate, self.sample_rate)
        turns: list[Turn] = []

        def step(block: NDArray[np.float32], last: bool) -> None:
            found = state.step(block, last)
            turns[:] = [replace(t, speaker=found.relabelled.get(t.speaker, t.speaker)) for t in turns]
            turns.extend(found.final)

        for samples in read_blocks(job.recording, self.sample_rate, BLOCK_SECONDS):
            queue.put(samples, 0.0)
            while (block := queue.next_block(state.need)) is not None:
                step(block, False)
            job.tell("turns", None, state.audio.seconds, job.recording.duration)
        queue.end()
        step(queue.rest(), True)
        seconds = state.audio.seconds
        job.tell("turns", tuple(turns), seconds, seconds)
        return Followed(recording=replace(job.recording, duration=seconds or None), turns=tuple(turns))
