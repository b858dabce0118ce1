"""The recipe of Sortformer, offline and streaming: speakers by arrival, from simulated and recorded conversations."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader

from speakerdiar.annotation import Diarization
from speakerdiar.config import is_count, require
from speakerdiar.errors import ConfigError
from speakerdiar.metrics import DiarizationErrorRate
from speakerdiar.models.diarizers.sortformer import SortformerDiarizer
from speakerdiar.models.diarizers.sortformer_latency import SortformerLatency
from speakerdiar.models.diarizers.streaming_sortformer import StreamingSortformerDiarizer, cache_params
from speakerdiar.models.opening import open_model
from speakerdiar.nn.log_mel import LogMel
from speakerdiar.nn.shuffled_cache import streamed
from speakerdiar.nn.sortformer import Heard, SortformerNetwork, SortformerShape, set_dropout
from speakerdiar.nn.sortformer_loss import SameSpeaker, SortformerObjective
from speakerdiar.simulation import Conversation
from speakerdiar.simulation.clips import ClipPool, read_clips, read_noises
from speakerdiar.simulation.scene import Simulator
from speakerdiar.training.config import OptimConfig, TrainConfig
from speakerdiar.training.learner import Learner
from speakerdiar.training.recipes import Recipe
from speakerdiar.training.recordings import RecordedConversations
from speakerdiar.training.scenes import scene_named
from speakerdiar.training.segmentation_data import Source
from speakerdiar.training.sortformer_data import (
    DrawnSessions,
    HeldOut,
    HeldOutBatch,
    SessionCutter,
    Sessions,
)
from speakerdiar.training.spoken_parts import spoken_parts

SIZES = {
    "small": SortformerShape(
        n_mels=64, channels=16, d_model=96, heads=4, layers=4, d_inner=384, kernel=9, xscaling=False,
        d_transformer=96, transformer_heads=4, transformer_layers=2, transformer_inner=384,
    ),
    "full": SortformerShape(),
}  # fmt: skip
"""Networks by name: one that a CPU teaches in an hour, and that of `diar_streaming_sortformer_4spk-v2`."""

LICENCE = "that of the data it learnt from"


@dataclass
class ChunkOptions:
    """How a streaming training cuts sessions: frames of 80 ms, by the names of `SortformerLatency`.

    Attributes:
        chunk_len: frames that a step decides.
        chunk_right_context: frames heard ahead.
        chunk_left_context: frames before the chunk that are heard again.
        fifo_len: newest frames kept as they are.
        spkcache_update_period: frames that leave the FIFO for the speaker cache at a time, at least.
        spkcache_len: frames of the speaker cache; sessions must be longer, or nothing is learnt about it.
    """

    chunk_len: int = 188
    chunk_right_context: int = 1
    chunk_left_context: int = 1
    fifo_len: int = 0
    spkcache_update_period: int = 188
    spkcache_len: int = 188


@dataclass
class SortformerOptions:
    """What is trained, and on which sessions.

    Attributes:
        name: of the recipe.
        size: of a network from random weights: `small` or `full`; `init` brings its own.
        speakers: channels of a network from random weights.
        normalize: bring mel bands to mean 0 and deviation 1 over a session; for offline networks from random weights.
        people: how many take part in simulated conversations, least and most.
        seconds: length of sessions, least and most.
        scene: what simulated conversations are like: a name in SCENES, or a YAML file.
        speech: what finds speech in clips, a name in SEGMENTERS.
        dropout: share of what each part of each layer adds that is left out in training.
        ats_weight: of the loss against speakers in order of arrival.
        pil_weight: of the loss against speakers in the order that fits best.
        pair_weight: of the loss of pairs of frames that are of one speaker or of two; 0 for fine-tuning.
        streaming: learn through the speaker cache, for `StreamingSortformerDiarizer`.
        limited_share: share of streaming steps in which attention sees few frames ahead, for low latencies.
        limited_right: how many each layer then sees.
        chunks: how streaming cuts sessions.
    """

    name: str = "sortformer"
    size: str = "small"
    speakers: int = 4
    normalize: bool = True
    people: list[int] = field(default_factory=lambda: [1, 4])
    seconds: list[float] = field(default_factory=lambda: [12.0, 24.0])
    scene: str = "varied"
    speech: str = "silero"
    dropout: float = 0.0
    ats_weight: float = 0.5
    pil_weight: float = 0.5
    pair_weight: float = 0.5
    streaming: bool = False
    limited_share: float = 0.5
    limited_right: int = 7
    chunks: ChunkOptions = field(default_factory=ChunkOptions)


class Hearing(NamedTuple):
    """How a Sortformer hears, beside its weights: what its diarizer is made with.

    Attributes:
        streaming: chunk by chunk.
        normalize, scale_peak: see `SortformerDiarizer`.
        scoring: see `StreamingSortformerDiarizer`.
        licence: of the weights to begin with.
    """

    streaming: bool
    normalize: bool
    scale_peak: bool
    scoring: dict[str, Any]
    licence: str = ""

    def diarizer(self, network: SortformerNetwork) -> SortformerDiarizer | StreamingSortformerDiarizer:
        """Return the diarizer of a copy of a network."""
        own = copy.deepcopy(network)
        source = "`speakerdiar train recipe=sortformer`"
        if self.streaming:
            return StreamingSortformerDiarizer(own, scoring=self.scoring, licence=self.licence, source=source)
        return SortformerDiarizer(
            own, normalize=self.normalize, scale_peak=self.scale_peak, licence=self.licence, source=source
        )


class SortformerLearner(Learner):
    """Teaches a Sortformer who talks when, and judges it by the turns that its diarizer finds.

    Args:
        network: what learns.
        optim: how its weights move.
        steps: of the whole training.
        options: the recipe's.
        hearing: how the diarizer hears.
    """

    def __init__(
        self, network: SortformerNetwork, optim: OptimConfig, steps: int, options: SortformerOptions, hearing: Hearing
    ) -> None:
        super().__init__(network, optim, steps)
        self.options, self.hearing = options, hearing
        self.objective = SortformerObjective(options.ats_weight, options.pil_weight)
        self.pairs = SameSpeaker(network.shape.d_model) if options.pair_weight else None
        self.latency = SortformerLatency(**asdict(options.chunks))
        self.params = cache_params(self.latency, network.shape.speakers, hearing.scoring)

    network: SortformerNetwork

    def losses(self, batch: Sessions) -> dict[str, torch.Tensor]:
        """Return the loss of sessions, and its parts."""
        heard, frames = self.heard(batch), batch.frames
        total, ats, pil = self.objective(heard.logits, batch.labels, frames)
        found = {"loss": total, "ats": ats, "pil": pil}
        if self.pairs is not None:
            found["pairs"] = self.pairs(heard.encoded, batch.labels, frames)
            found["loss"] = total + self.options.pair_weight * found["pairs"]
        return found

    def heard(self, batch: Sessions) -> Heard:
        """Return what the network says of sessions, whole or chunk by chunk."""
        if not self.hearing.streaming:
            return self.network.heard(self.network.pre_encode(batch.mels), batch.frames)
        limited = float(torch.rand(())) < self.options.limited_share
        right = self.options.limited_right if limited else None
        return streamed(self.network, batch.mels, batch.lengths.tolist(), self.params, right)

    def observed(self, batch: HeldOutBatch) -> list[tuple[Diarization, Diarization]]:
        """Return the turns of conversations, and those that the diarizer finds with its default post-processing."""
        diarizer = self.hearing.diarizer(self.network)
        options: dict[str, Any] = {"latency": asdict(self.latency)} if self.hearing.streaming else {}
        with torch.autocast(self.device.type, enabled=False):
            found = diarizer.diarize(
                [one.samples for one in batch.conversations], sample_rate=diarizer.sample_rate, **options
            )
        return [
            (Diarization(guess.recording_id, len(one.samples) / diarizer.sample_rate, one.turns), guess)
            for one, guess in zip(batch.conversations, found, strict=True)
        ]

    def judged(self, observations: list[list[tuple[Diarization, Diarization]]]) -> dict[str, float]:
        """Return the diarization error rate and its parts: no collar, overlap scored, speakers paired for the best."""
        metric = DiarizationErrorRate()
        for index, (truth, guess) in enumerate(pair for batch in observations for pair in batch):
            metric.add(replace(truth, recording_id=f"{index}"), replace(guess, recording_id=f"{index}"))
        total = metric.total
        parts = {"miss": total.miss, "false_alarm": total.false_alarm, "confusion": total.confusion}
        return {"der": total.rate, **{name: value / max(total.total, 1e-9) for name, value in parts.items()}}


class SortformerRecipe(Recipe):
    """Trains a Sortformer on simulated conversations (`data.clips`), recorded ones (`data.train`), or both."""

    Options: ClassVar[type] = SortformerOptions

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        options = self.options
        require(options.size in SIZES, "recipe.size", options.size, f"give one of {', '.join(SIZES)}")
        for name in ("people", "seconds"):
            value = getattr(options, name)
            require(len(value) == 2 and 0 < value[0] <= value[1], f"recipe.{name}", value, "give [least, most]")
        share, dropout = options.limited_share, options.dropout
        require(0 <= share <= 1, "recipe.limited_share", share, "give a share from 0 to 1")
        require(0 <= dropout < 1, "recipe.dropout", dropout, "give a share from 0 to below 1")
        right = options.limited_right
        require(is_count(right, least=0), "recipe.limited_right", right, "give a whole number of frames, 0 or more")
        require(options.pair_weight >= 0, "recipe.pair_weight", options.pair_weight, "give a weight of 0 or more")
        learnt = config.data.clips or config.data.train
        require(bool(learnt), "data.clips", [], "give clips to simulate conversations of, or recordings (data.train)")

    @property
    def options(self) -> SortformerOptions:
        """The recipe's own settings."""
        options: SortformerOptions = self.config.recipe
        return options

    def learner(self) -> SortformerLearner:
        """Make the network, from `init` where given, and what teaches it."""
        network, hearing = self._start
        set_dropout(network, self.options.dropout)
        return SortformerLearner(network, self.config.optim, self.config.trainer.max_steps, self.options, hearing)

    def training_data(self) -> DataLoader[Any]:
        """Return batches of sessions without end."""
        network, hearing = self._start
        least, most = self.options.seconds
        cutter = SessionCutter(
            LogMel(network.shape.n_mels), network.shape.speakers, (least, most), hearing.normalize, hearing.scale_peak
        )
        data = self.config.data
        sources: list[Source] = []
        if data.clips:
            sources.append(self._simulator(self._pools[0]).stream)
        if data.train:
            sources.append(RecordedConversations(data.train, most).stream)
        drawn = DrawnSessions(sources, cutter, data.seed)
        return DataLoader(drawn, data.batch_size, num_workers=data.workers, collate_fn=Sessions.of)

    def validation_data(self) -> DataLoader[Any] | None:
        """Return conversations of `data.validation`, or else simulated ones of speakers held out; None without both."""
        data = self.config.data
        if data.validation:
            held = HeldOut(RecordedConversations(data.validation, self.options.seconds[1]).windows)
        elif self._pools[1] is not None:
            held = HeldOut(self._simulated)
        else:
            return None
        return DataLoader(held, data.batch_size, collate_fn=HeldOutBatch)

    def save(self, learner: Learner, folder: Path) -> Path:
        """Write the trained model as a folder that `load_model` opens."""
        _, hearing = self._start
        assert isinstance(learner, SortformerLearner), "made above"
        return hearing.diarizer(learner.network).save_pretrained(folder, overwrite=True)

    def _simulated(self) -> Iterator[Conversation]:
        """Yield the simulated conversations of a validation."""
        held = self._pools[1]
        assert held is not None, "asked before"
        simulator = self._simulator(held)
        for index in range(self.config.trainer.validation_batches * self.config.data.batch_size):
            yield simulator.draw(np.random.default_rng([self.config.data.seed, index]))

    def _simulator(self, pool: ClipPool) -> Simulator:
        least, most = self.options.people
        speakers = self._start[0].shape.speakers
        require(most <= speakers, "recipe.people", [least, most], f"the network tells {speakers} apart: give fewer")
        scene = scene_named(self.options.scene, self.options.seconds[1], (least, most))
        return Simulator(pool, scene, self._noises)

    @cached_property
    def _start(self) -> tuple[SortformerNetwork, Hearing]:
        """The network to begin with, and how it hears."""
        streaming, init = self.options.streaming, self.config.init
        if init is None:
            shape = replace(SIZES[self.options.size], speakers=self.options.speakers)
            normalize = self.options.normalize and not streaming
            return SortformerNetwork(shape), Hearing(streaming, normalize, not streaming, {}, LICENCE)
        model = open_model(init)
        if isinstance(model, StreamingSortformerDiarizer):
            hearing = Hearing(streaming, False, False, model.scoring, model.licence)
        elif isinstance(model, SortformerDiarizer):
            if streaming and model.normalize:
                raise ConfigError(
                    f"init={init!r} normalizes features over the whole recording, which a stream can't: train with "
                    "recipe.streaming=false, or begin with other weights."
                )
            hearing = Hearing(streaming, model.normalize, model.scale_peak and not streaming, {}, model.licence)
        else:
            raise ConfigError(f"init={init!r} is a {type(model).__name__}: give weights of a Sortformer.")
        return model.network.requires_grad_(True).train(), hearing

    @cached_property
    def _pools(self) -> tuple[ClipPool, ClipPool | None]:
        """Who is learnt, and who is held out."""
        data = self.config.data
        if not data.clips:
            return ClipPool({}), None
        pool = read_clips(data.clips, speech=spoken_parts(self.options.speech))
        return pool.split(data.held_out) if data.held_out else (pool, None)

    @cached_property
    def _noises(self) -> list[np.ndarray]:
        return read_noises(self.config.data.noise)
