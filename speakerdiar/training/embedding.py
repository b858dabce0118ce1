"""The recipe of embedders: a network learns to tell voices apart, and what a teacher says of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torch.utils.data import DataLoader

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.folder import ModelCard, write_folder
from speakerdiar.config import require
from speakerdiar.errors import ConfigError
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.models.embedders import make_embedder
from speakerdiar.models.embedders.scoring import SCORING, Scoring
from speakerdiar.nn.aam import AamSoftmax, direction_loss, relation_loss
from speakerdiar.nn.resnet34 import REDUCTION, STAGES, ResNetShape
from speakerdiar.simulation.clips import ClipPool, read_clips, read_noises
from speakerdiar.training.config import OptimConfig, TrainConfig
from speakerdiar.training.learner import Learner
from speakerdiar.training.recipes import Recipe
from speakerdiar.training.recordings import RecordedConversations
from speakerdiar.training.scenes import scene_named
from speakerdiar.training.spoken_parts import spoken_parts
from speakerdiar.training.teachers import Teacher
from speakerdiar.training.voice_networks import ResNetVoices, VoiceNetwork, trained_voices
from speakerdiar.training.voice_trials import (
    RECORDED_SECONDS,
    Embedded,
    SideBatches,
    Sides,
    curve,
    embedded,
    figures,
    held_out_sides,
    recorded_sides,
)
from speakerdiar.training.voice_views import Company, Samples, ViewMaker, Views, VoiceViews

RATE = 16000
VERIFIED = {"verified": 4.0}
"""Seconds of the sides on which `voice_threshold` is chosen."""


@dataclass
class EmbeddingOptions:
    """What is trained, and by what.

    Attributes:
        name: of the recipe.
        channels: of the network's first stage.
        blocks: of its four stages.
        mel_bins: bands of the filter bank, a multiple of 8.
        dimension: size of an embedding.
        speeds: each speaker at each speed is a class of its own.
        seconds: length of the views of a batch, least and most.
        scene: what voices go through: a name in SCENES, or a YAML file.
        other: share of views in which someone else talks, too.
        margin: of the additive angular margin softmax, in radians.
        scale: of its cosines.
        margin_warmup: share of the steps in which the margin grows.
        softmax: weight of this loss.
        teacher: an embedder to learn from: a name, a folder or a file; null for none.
        direction: weight of the loss of vectors that aren't the teacher's.
        relation: weight of the loss of vectors that aren't to one another as the teacher's are.
    """

    name: str = "embedding"
    channels: int = 32
    blocks: list[int] = field(default_factory=lambda: [1, 2, 2, 1])
    mel_bins: int = 64
    dimension: int = 192
    speeds: list[float] = field(default_factory=lambda: [0.8, 0.9, 1.0, 1.1, 1.25])
    seconds: list[float] = field(default_factory=lambda: [0.6, 3.0])
    scene: str = "varied"
    other: float = 0.4
    margin: float = 0.2
    scale: float = 30.0
    margin_warmup: float = 0.1
    softmax: float = 1.0
    teacher: str | None = "ge2e"
    direction: float = 20.0
    relation: float = 0.0


class EmbeddingLearner(Learner):
    """Teaches a network voices by their numbers and by a teacher's vectors, and judges it by trials of others.

    Args:
        voices: makes what learns, and feeds it.
        optim: how weights move.
        steps: of the whole training.
        options: weights of the losses.
        classes: voices to tell apart.
        taught: size of the teacher's vectors; 0 without a teacher.
        translated: vectors aren't the teacher's themselves, but are mapped to them.
    """

    METRIC = "eer"

    def __init__(
        self,
        voices: VoiceNetwork,
        optim: OptimConfig,
        steps: int,
        options: EmbeddingOptions,
        classes: int,
        taught: int = 0,
        *,
        translated: bool = True,
    ) -> None:
        super().__init__(voices.network(), optim, steps)
        self.voices, self.options, self.taught = voices, options, taught
        self.reference: dict[str, float] = {}
        self.head = AamSoftmax(voices.dimension, classes, options.margin, options.scale)
        linear = translated and taught
        self.translation = torch.nn.Linear(voices.dimension, taught, bias=False) if linear else torch.nn.Identity()
        centre = voices.scoring.centre
        self.register_buffer("centre", None if centre is None else torch.tensor(centre), persistent=False)

    centre: torch.Tensor | None

    def losses(self, batch: Views) -> dict[str, torch.Tensor]:
        """Return the weighted sum of the losses, and each."""
        vectors = self.vectors(batch.features, batch.kept)
        with torch.autocast(vectors.device.type, enabled=False):
            found = {"softmax": self.head(vectors, batch.people, self._margin_share())}
            if self.taught:
                found["direction"] = direction_loss(self.translation(vectors), batch.taught)
                found["relation"] = relation_loss(vectors, batch.taught)
        total = sum((getattr(self.options, name) * loss for name, loss in found.items()), vectors.new_zeros(()))
        return {"loss": total, **found}

    def vectors(self, features: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """Return vectors as they are compared, from the centre on where there is one: (B, dimension)."""
        found = self.voices.vectors(self.network, features, kept)
        return found if self.centre is None else functional.normalize(found, dim=1) - self.centre

    def observed(self, batch: Sides) -> Embedded:
        """Return the vectors of sides of trials."""
        vectors = self.vectors(batch.inputs).cpu().numpy()
        return Embedded(batch.figure, vectors, batch.people.cpu().numpy(), batch.groups.cpu().numpy())

    def judged(self, observations: list[Embedded]) -> dict[str, float]:
        """Return the equal error rates, in percent, beside those of the teacher; recordings count, where there are."""
        found = figures(observations)
        counts = "eer_recorded" if "eer_recorded" in found else "eer_clips"
        return {"eer": found[counts], **found, **self.reference}

    def _margin_share(self) -> float:
        return min(1.0, self.global_step / max(1.0, self.options.margin_warmup * self.steps))


class EmbeddingRecipe(Recipe):
    """Trains an embedder on clips of many speakers, simulating how they are heard."""

    Options: ClassVar[type] = EmbeddingOptions

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        require(bool(config.data.clips), "data.clips", [], "give clips of many speakers")
        require(len(self.options.seconds) == 2, "recipe.seconds", self.options.seconds, "give [least, most]")
        for name in ("softmax", "direction", "relation", "margin_warmup"):
            require(getattr(self.options, name) >= 0, f"recipe.{name}", getattr(self.options, name), "give 0 or more")

    @property
    def options(self) -> EmbeddingOptions:
        """The recipe's own settings."""
        options: EmbeddingOptions = self.config.recipe
        return options

    def learner(self) -> EmbeddingLearner:
        """Make the network, from `init` where given, and what teaches it."""
        taught = 0 if self._teacher is None else self._teacher.dimension
        classes, steps = self._views.classes, self.config.trainer.max_steps
        translated = not self._goes_on
        learner = EmbeddingLearner(
            self._voices, self.config.optim, steps, self.options, classes, taught, translated=translated
        )
        learner.reference = self._reference()
        return learner

    def training_data(self) -> DataLoader[Views]:
        """Return batches of views without end."""
        return DataLoader(self._views, batch_size=None, num_workers=self.config.data.workers)

    def validation_data(self) -> DataLoader[Sides] | None:
        """Return sides of trials, from `data.validation` and of speakers held out; None where there are neither."""
        if not self._sides:
            return None
        return DataLoader(SideBatches(self._sides, self._voices.features), batch_size=None)

    def save(self, learner: Learner, folder: Path) -> Path:
        """Write the trained network as a folder that `make_embedder` opens, with its centre and threshold."""
        weights = {name: _smaller(value) for name, value in learner.network.state_dict().items()}
        config = {"model": self._voices.MODEL, **self._voices.settings}
        bare = self._voices.embedder(Checkpoint(folder, config, weights))
        scoring = self._scoring(bare)
        card = self._card(sum(value.numel() for value in weights.values()))
        return write_folder(folder, {**config, SCORING: scoring.plain()}, weights, card, overwrite=True)

    def _scoring(self, embedder: EmbeddingMixin) -> Scoring:
        """Keep the centre that was learnt from, or measure it on what was learnt; measure the threshold on the rest."""
        known = self._voices.scoring
        centre = self._mean(embedder) if known.centre is None else known.centre
        threshold = None
        if self._pools[1] is not None:
            sides = held_out_sides(self._pools[1], self._noises, self.config.data.seed, VERIFIED)
            threshold = curve(embedded(sides, embedder), centre).eer_threshold
        return replace(known if self._goes_on else Scoring(), centre=centre, voice_threshold=threshold)

    def _mean(self, embedder: EmbeddingMixin) -> NDArray[np.float32]:
        voices = self._pools[0].voices
        clips = (voices[name][0] for name in sorted(voices))
        vectors = np.stack([Teacher(embedder).embed(clip.samples) for clip in clips])
        return np.asarray(vectors.mean(axis=0), dtype=np.float32)

    def _reference(self) -> dict[str, float]:
        """Return what the validation says of the teacher."""
        if self._teacher is None or not self._sides:
            return {}
        embedder = self._teacher.embedder
        found = figures(embedded(self._sides, embedder), embedder.centre)
        return {f"teacher_{name}": figure for name, figure in found.items()}

    @cached_property
    def _views(self) -> VoiceViews:
        options = self.options
        least, most = options.seconds
        scene, company = scene_named(options.scene, most, (1, 1)), Company(other=options.other)
        return VoiceViews(
            ViewMaker(pool=self._pools[0], scene=scene, company=company, noises=self._noises),
            self._voices.inputs,
            speeds=options.speeds,
            seconds=(least, min(most, self._voices.longest)),
            size=self.config.data.batch_size,
            teacher=self._teacher,
            seed=self.config.data.seed,
        )

    @cached_property
    def _voices(self) -> VoiceNetwork:
        return ResNetVoices(self._shape()) if self.config.init is None else trained_voices(self.config.init)

    def _shape(self) -> ResNetShape:
        options = self.options
        blocks = tuple(options.blocks)
        if len(blocks) != STAGES or min(blocks) < 1 or options.mel_bins % REDUCTION:
            raise ConfigError(
                f"recipe.blocks={options.blocks}, recipe.mel_bins={options.mel_bins}: give {STAGES} counts of 1 or "
                f"more, and a multiple of {REDUCTION}."
            )
        return ResNetShape(options.channels, blocks, options.mel_bins, options.dimension)

    @property
    def _goes_on(self) -> bool:
        """Whether the network begins as its own teacher, so that vectors stay where they are."""
        return self.config.init is not None and self.config.init == self.options.teacher

    @cached_property
    def _pools(self) -> tuple[ClipPool, ClipPool | None]:
        """Who is learnt, and who is held out."""
        data = self.config.data
        pool = read_clips(data.clips, RATE, speech=spoken_parts())
        return pool.split(data.held_out) if data.held_out else (pool, None)

    @cached_property
    def _noises(self) -> list[Samples]:
        return read_noises(self.config.data.noise, RATE)

    @cached_property
    def _teacher(self) -> Teacher | None:
        return None if self.options.teacher is None else Teacher(make_embedder(self.options.teacher))

    @cached_property
    def _sides(self) -> list[Sides]:
        pool, data = self._pools[1], self.config.data
        found = [] if pool is None else held_out_sides(pool, self._noises, data.seed)
        if data.validation:
            recordings = RecordedConversations(data.validation, RECORDED_SECONDS, RATE).recordings
            found.append(recorded_sides(recordings, RATE))
        return found

    def _card(self, parameters: int) -> ModelCard:
        train, held = self._pools
        hours = train.seconds / 3600
        left = "nobody" if held is None else f"{len(held.voices)} speakers"
        start = "" if self.config.init is None else f" from the weights {self.config.init}"
        teacher = "no teacher" if self._teacher is None else f"the embedder {self.options.teacher} as a teacher"
        return ModelCard(
            title=self._voices.TITLE,
            summary=(
                "Turns a stretch of one voice, 16 kHz mono audio, into a vector. Trained by "
                f"`speakerdiar train recipe=embedding`{start} on {hours:.1f} hours of {len(train.voices)} speakers of "
                f"{', '.join(sorted(set(train.corpora.values())))}, with {left} held out and {teacher}; "
                f"{parameters / 1e6:.2f} million numbers."
            ),
            licence="that of the data it learnt from, and of weights that it began with",
            source="`speakerdiar train recipe=embedding`",
            loading='model = speakerdiar.load_model("path/to/a/segmenter", embedder="path/to/this/folder")',
        )


def _smaller(weight: torch.Tensor) -> torch.Tensor:
    """Return weights of convolutions and linear layers in half precision; the rest is small and stays exact."""
    return weight.half() if weight.dim() > 1 else weight
