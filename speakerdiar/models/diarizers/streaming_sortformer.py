"""StreamingSortformerDiarizer: Sortformer with a speaker cache, for live audio and for recordings of any length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import Self

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.folder import ModelCard
from speakerdiar.config import DiarizeConfig, PostProcessingParams, is_count
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.mixins.frame_streaming import FrameStreamingMixin
from speakerdiar.models.diarizers.sortformer import (
    SILENCE_PEAK,
    SUBFRAME,
    placed,
    sortformer_card,
    sortformer_network,
)
from speakerdiar.models.diarizers.sortformer_config import checked_scoring, normalize_of, scoring_of
from speakerdiar.models.diarizers.sortformer_latency import FRAME_SECONDS, LATENCIES, SortformerLatency
from speakerdiar.models.diarizers.sortformer_presets import POSTPROCESSING_V2
from speakerdiar.models.pretrained import PretrainedMixin
from speakerdiar.nn.log_mel import LogMel, MelStream
from speakerdiar.nn.sortformer import SortformerNetwork
from speakerdiar.nn.speaker_cache import Chunk, SpeakerCache, pack_step, update_step
from speakerdiar.nn.speaker_cache_params import MEL_FRAMES, CacheParams, ChunkSpan
from speakerdiar.postprocessing.live import LiveTurns


@dataclass
class _Stream:
    """The memory of one recording.

    Attributes:
        params: how it is cut.
        features: turns samples into mel frames.
        cache: what the network hears in front of a chunk.
        live: turns scores into turns.
        mels: mel frames from `first` on, (n, n_mels): those that the next chunk may need.
        first: index of the first of them in the recording.
        decided: mel frames of the chunks that were decided.
        samples: how many were heard.
        audible: whether anything but digital silence was heard.
    """

    params: CacheParams
    features: MelStream
    cache: SpeakerCache
    live: LiveTurns
    mels: torch.Tensor
    first: int = 0
    decided: int = 0
    samples: int = 0
    audible: bool = False

    def take(self, samples: torch.Tensor, last: bool) -> None:
        """Hear the next samples (n,)."""
        self.samples += len(samples)
        self.audible = self.audible or (bool(len(samples)) and float(samples.abs().max()) > SILENCE_PEAK)
        found = [self.mels, self.features.push(samples)]
        self.mels = torch.cat([*found, self.features.finish()] if last else found)

    def next_span(self, last: bool) -> ChunkSpan | None:
        """Return where the next chunk lies; None where it isn't whole yet, or at the end, where none is left."""
        heard = self.first + len(self.mels)
        chunk, left, right = (
            MEL_FRAMES * frames
            for frames in (self.params.chunk_len, self.params.left_context, self.params.right_context)
        )
        stop = self.decided + chunk
        if self.decided >= heard or (stop + right > heard and not last):
            return None
        stop = min(stop, heard)
        before, after = min(left, self.decided), min(right, heard - stop)
        return ChunkSpan(self.decided - before, before + stop - self.decided + after, before, after)

    def mels_of(self, span: ChunkSpan) -> torch.Tensor:
        """Mel frames (n, n_mels) of a chunk with its contexts."""
        return self.mels[span.first - self.first :][: span.mels]

    def decide(self, span: ChunkSpan) -> None:
        """Move on behind a chunk, and forget what no later one needs."""
        self.decided = span.first + span.mels - span.right
        keep = max(self.first, self.decided - MEL_FRAMES * self.params.left_context)
        self.mels, self.first = self.mels[keep - self.first :].clone(), keep


class StreamingSortformerDiarizer(torch.nn.Module, PretrainedMixin, FrameStreamingMixin):
    """Up to four speakers, overlap included, live or from files (arXiv:2507.18446).

    A recording is heard chunk by chunk, each behind a cache of what its speakers sound like, so that memory doesn't
    grow with its length. Files take the preset `30.4s` unless `latency` says otherwise; live audio takes `1.04s`. With
    one preset both give the same turns. `max_speakers` or `num_speakers` closes the channels of later speakers before
    the cache sees them. On a CPU recordings of a batch go through one by one, so that neighbours change nothing at all;
    on a GPU, and in a `SessionBatch`, they are padded and masked, and may differ in the last digits.

    Args:
        network: with its weights.
        scoring: how the speaker cache chooses its frames: fields of `CacheParams`; its defaults where left out.
        licence: of the weights, for the model card.
        source: where the weights come from, for the model card.
    """

    MODEL_NAME = "streaming-sortformer"
    LATENCIES: ClassVar[Mapping[str, SortformerLatency]] = LATENCIES
    LATENCY = SortformerLatency
    DEFAULT_LATENCY = "1.04s"
    FILE_LATENCY = "30.4s"
    FRAME_SECONDS = FRAME_SECONDS
    SUBFRAME = SUBFRAME
    POSTPROCESSING: ClassVar[Mapping[str, PostProcessingParams]] = POSTPROCESSING_V2

    def __init__(
        self,
        network: SortformerNetwork,
        *,
        scoring: Mapping[str, Any] | None = None,
        licence: str = "",
        source: str = "",
    ) -> None:
        super().__init__()
        self.network = network
        self.mel = LogMel(network.shape.n_mels)
        self.scoring = checked_scoring(scoring)
        self.licence, self.source = licence, source
        self.sample_rate = self.mel.sample_rate
        self.eval().requires_grad_(False)
        cache_params(
            LATENCIES[self.DEFAULT_LATENCY], self.speakers, self.scoring
        )  # a scoring that can't be used is refused here

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, *, precision: str = "fp32", compile: bool = False) -> Self:
        """Make the model of what was read; see `PretrainedMixin.from_checkpoint`."""
        config = checkpoint.config
        network = sortformer_network(checkpoint, cls.MODEL_NAME, precision, compile)
        if "target" not in config:
            return cls(network, **{name: config[name] for name in ("scoring", "licence", "source") if name in config})
        if normalize_of(config, checkpoint.path):
            raise WeightsError(
                f"{checkpoint.path} normalizes features over the whole recording, which a stream can't: load it with "
                "SortformerDiarizer."
            )
        return cls(network, scoring=scoring_of(config), source=f"converted from `{checkpoint.path.name}`")

    @property
    def speakers(self) -> int:
        """Most speakers that the network tells apart."""
        return self.network.shape.speakers

    def _stream_preset(self, latency: Any) -> SortformerLatency:
        preset: SortformerLatency = super()._stream_preset(latency)
        cache_params(preset, self.speakers, self.scoring)  # a cache too small for the speakers is refused at the call
        return preset

    def _begin(self, preset: SortformerLatency, diarcfg: DiarizeConfig, most: int | None) -> _Stream:
        device, dtype = placed(self.network)
        params = cache_params(preset, self.speakers, self.scoring)
        cache = SpeakerCache.empty(params, self.network.shape.d_model, max_speakers=most, device=device, dtype=dtype)
        return _Stream(
            params,
            MelStream(self.mel),
            cache,
            self._live_turns(diarcfg),
            self.mel.filters.new_zeros(0, self.mel.n_mels),
        )

    def _stream_need(self, state: _Stream) -> int:
        frames = state.decided + MEL_FRAMES * (state.params.chunk_len + state.params.right_context)
        return self.mel.samples(frames) - state.samples

    def _advance(
        self, states: Sequence[_Stream], blocks: Sequence[np.ndarray], last: bool
    ) -> list[NDArray[np.float32]]:
        """Hear a block of each recording; return the scores (frames, speakers) of what that decides."""
        device, _ = placed(self.network)
        for state, block in zip(states, blocks, strict=True):
            state.take(torch.from_numpy(np.asarray(block, np.float32)).to(device), last)
        found: list[list[torch.Tensor]] = [[torch.zeros(0, self.speakers, device=device)] for _ in states]
        while True:
            spans = [state.next_span(last) for state in states]
            ready = [(index, span) for index, span in enumerate(spans) if span is not None]
            if not ready:
                return [torch.cat(parts).float().cpu().numpy() for parts in found]
            for (index, _), scores in zip(ready, self._decide_chunks(states, ready), strict=True):
                found[index].append(scores * states[index].audible)

    def _decide_chunks(self, states: Sequence[_Stream], ready: Sequence[tuple[int, ChunkSpan]]) -> list[torch.Tensor]:
        """Step the recordings that have a whole chunk, in one forward; return the scores of the chunks."""
        caches = [states[index].cache for index, _ in ready]
        embeddings = self._pre_encoded([states[index].mels_of(span) for index, span in ready])
        chunks = [Chunk(x, span.left_frames, span.frames) for x, (_, span) in zip(embeddings, ready, strict=True)]
        if len(ready) == 1:
            scores = self.network(torch.cat([caches[0].context(), chunks[0].embeddings])[None])
        else:
            scores = self.network(*pack_step(caches, chunks))
        for index, span in ready:
            states[index].decide(span)
        return update_step(caches, chunks, scores)

    def _pre_encoded(self, pieces: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Frames (l, D) of mel frames (n, n_mels), those of one length together: nothing is padded, nothing masked."""
        _, dtype = placed(self.network)
        found: dict[int, torch.Tensor] = {}
        for length in {len(piece) for piece in pieces}:
            rows = [index for index, piece in enumerate(pieces) if len(piece) == length]
            frames = self.network.pre_encode(torch.stack([pieces[index] for index in rows]).to(dtype))
            found.update(zip(rows, frames, strict=True))
        return [found[index] for index in range(len(pieces))]

    def _saved_config(self) -> dict[str, Any]:
        return {
            "shape": asdict(self.network.shape),
            "scoring": self.scoring,
            "licence": self.licence,
            "source": self.source,
        }

    def _saved_weights(self) -> dict[str, torch.Tensor]:
        return self.network.state_dict()

    def _card(self) -> ModelCard:
        return sortformer_card("Streaming Sortformer", self.speakers, self.licence, self.source)


def cache_params(preset: SortformerLatency, speakers: int, scoring: Mapping[str, Any]) -> CacheParams:
    """Return the numbers that a network of so many speakers runs by.

    Args:
        preset: lengths.
        speakers: channels of the network.
        scoring: how the speaker cache chooses its frames, as `StreamingSortformerDiarizer` takes it.

    Raises:
        ConfigError: the speakers and their silence don't fit into the cache.
    """
    silence = scoring.get("sil_frames_per_speaker", CacheParams.sil_frames_per_speaker)
    least = speakers * (1 + silence) if is_count(silence, least=0) else 0
    if preset.spkcache_len < least:
        raise ConfigError(
            f"spkcache_len={preset.spkcache_len}: {speakers} speakers, each with a frame and {silence} of silence, "
            f"take {least} frames; give {least} or more."
        )
    return CacheParams(
        num_speakers=speakers,
        cache_len=preset.spkcache_len,
        fifo_len=preset.fifo_len,
        update_period=preset.spkcache_update_period,
        chunk_len=preset.chunk_len,
        left_context=preset.chunk_left_context,
        right_context=preset.chunk_right_context,
        **scoring,
    )
