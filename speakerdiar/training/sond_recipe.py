"""The recipe of SOND: first the network that makes profiles, then SOND itself, on simulated conversations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from speakerdiar.checkpoints.folder import ModelCard, write_folder
from speakerdiar.config import require
from speakerdiar.errors import ConfigError
from speakerdiar.models.diarizers.sond import SondDiarizer
from speakerdiar.models.embedders import make_embedder
from speakerdiar.models.embedders.sond import SondEmbedder
from speakerdiar.nn.kaldi_fbank import FbankOptions, KaldiFbank
from speakerdiar.nn.preact_resnet import TrunkShape
from speakerdiar.nn.sond import SondNetwork, SondSpeakerNetwork
from speakerdiar.nn.sond_loss import SondObjective
from speakerdiar.nn.sond_shape import SondShape, SondSpeakerShape
from speakerdiar.simulation import Clip
from speakerdiar.simulation.clips import ClipPool, read_clips, read_noises
from speakerdiar.training.chance import DrawnExamples
from speakerdiar.training.config import TrainConfig
from speakerdiar.training.learner import Learner
from speakerdiar.training.recipes import Recipe
from speakerdiar.training.simulated_conversations import ConversationRecipe, SimulatedConversations
from speakerdiar.training.sond import SondLearner
from speakerdiar.training.sond_speakers import SondSpeakerLearner, VoiceCrops, profile_vectors, start_encoder

PARTS = ("speakers", "talk")
SOURCE = "`speakerdiar train recipe=sond`"
MOMENTUM = 0.1
"""How fast batch norms follow; short trainings need them slower than the published models' did."""
PIECE_SECONDS, LEAST_SECONDS = 4.0, 1.0
"""Longest and shortest piece of a clip that a profile, or a turn, is made of."""
Samples = NDArray[np.float32]
NetworkT = TypeVar("NetworkT", bound=torch.nn.Module)


@dataclass
class SondOptions:
    """What is trained, and on which conversations."""

    name: str = "sond"
    """Of the recipe."""
    part: str = "talk"
    """`speakers` for the network that makes profiles, which comes first; `talk` for SOND itself."""
    speakers: str | None = None
    """For `talk`: the trained network that makes profiles; null for the one that `init` brings."""
    rate: int = 16000
    """Hz of the audio."""
    mel_bins: int = 80
    """Bands of the filter bank."""
    filters: list[int] = field(default_factory=lambda: [8, 16, 32, 64])
    """Channels of the encoder's stages."""
    blocks: list[int] = field(default_factory=lambda: [1, 1, 1, 1])
    """Layers of the encoder's stages."""
    dimension: int = 64
    """Numbers of a profile and of a frame."""
    window: int = 20
    """Frames of 80 ms that the encoder pools for one of them."""
    slots: int = 4
    """Places for profiles."""
    at_once: int = 2
    """Speakers who may talk at once."""
    layers: int = 2
    """Layers of the scorer, and of what combines the scores."""
    heads: int = 4
    """Heads of the scorer's attention."""
    inner: int = 128
    """Numbers inside the scorer's layers."""
    units: int = 64
    """Numbers between, and inside, the combiner's layers."""
    kernel: int = 15
    """Frames that a layer of the combiner remembers."""
    frozen_encoder: bool = True
    """The encoder stays as it is, so that it goes on to match the profiles."""
    smoothing: float = 0.0
    """Share of each frame's label that all other classes get."""
    distance: float = 0.0
    """Weight of the loss of encoded profiles that are near each other."""
    scores: float = 0.1
    """Weight of the losses of the two scorers."""
    seconds: float = 6.4
    """Length of a conversation."""
    talkers: list[int] = field(default_factory=lambda: [2, 3])
    """How many people talk, least and most."""
    absent: list[int] = field(default_factory=lambda: [0, 2])
    """How many have a profile and don't talk, least and most."""
    crop: float = 2.0
    """For `speakers`: seconds of a stretch of speech."""


class People(NamedTuple):
    """Clips by name: some to enrol with, others to talk with."""

    enrolment: dict[str, list[Samples]]
    talk: dict[str, list[Samples]]

    @classmethod
    def of(cls, pool: ClipPool) -> People:
        """Cut the clips of a pool into pieces, every other one to enrol with; who has only one is left out."""
        cut = {name: _pieces(clips, pool.rate) for name, clips in pool.voices.items()}
        several = {name: pieces for name, pieces in cut.items() if len(pieces) > 1}
        return cls({n: pieces[::2] for n, pieces in several.items()}, {n: p[1::2] for n, p in several.items()})


class SondRecipe(Recipe):
    """SOND, in two trainings: `recipe.part=speakers`, then `recipe.speakers=` what that one wrote."""

    Options: ClassVar[type] = SondOptions

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.options = cast(SondOptions, config.recipe)
        require(self.options.part in PARTS, "recipe.part", self.options.part, f"give {' or '.join(PARTS)}")
        if not config.data.clips:
            raise ConfigError("data.clips is empty: SOND learns from clips of single speakers; name folders of them.")
        if config.data.train or config.data.validation:
            raise ConfigError("data.train and data.validation: SOND learns from data.clips alone; leave them out.")

    def learner(self) -> Learner:
        """Make the network of the part that is trained, and what teaches it."""
        optim, steps, options = self.config.optim, self.config.trainer.max_steps, self.options
        if options.part == "speakers":
            return SondSpeakerLearner(self._speaker_network(), optim, steps, len(self.known.talk))
        objective = SondObjective(options.smoothing, options.distance, options.scores)
        return SondLearner(self._network(), optim, steps, objective, options.frozen_encoder)

    def training_data(self) -> DataLoader[Any]:
        """Return batches of conversations, or of stretches of speech."""
        data = self.config.data
        examples: DrawnExamples[Any] = self._examples(self.known, data.seed)
        return DataLoader(examples, data.batch_size, num_workers=data.workers)

    def validation_data(self) -> DataLoader[Any] | None:
        """Return the same batches each time, of people who are held out; None where nobody is."""
        data, count = self.config.data, self.config.trainer.validation_batches
        if not data.held_out:
            return None
        drawn = list(islice(self._examples(self.held_out, data.seed + 1), count * data.batch_size))
        return DataLoader(cast(Dataset[Any], drawn), data.batch_size)

    def save(self, learner: Learner, folder: Path) -> Path:
        """Write SOND with the network that makes its profiles, or that network alone."""
        if isinstance(learner, SondLearner):
            model = SondDiarizer(learner.network, self.fbank.options, self.embedder, source=SOURCE)
            return model.save_pretrained(folder, overwrite=True)
        return write_folder(folder, self._speaker_config(), learner.network.state_dict(), _CARD, overwrite=True)

    @cached_property
    def fbank(self) -> KaldiFbank:
        """The filter bank: that of the weights to begin with, or the recipe's."""
        begun = self.begun if self.options.part == "talk" else self.begun_embedder
        if isinstance(begun, SondDiarizer):
            return begun.fbank
        if begun is not None:
            return begun.frontend
        return KaldiFbank(FbankOptions(sample_rate=self.options.rate, mel_bins=self.options.mel_bins, snip_edges=False))

    @cached_property
    def begun(self) -> SondDiarizer | None:
        """The SOND to begin with."""
        return None if self.config.init is None else SondDiarizer.from_pretrained(self.config.init)

    @cached_property
    def begun_embedder(self) -> SondEmbedder | None:
        """The network that makes profiles to begin with."""
        return None if self.config.init is None else _own_embedder(self.config.init, "init")

    @cached_property
    def embedder(self) -> SondEmbedder:
        """What makes the profiles that SOND is given."""
        if self.options.speakers is not None:
            return _own_embedder(self.options.speakers, "recipe.speakers")
        if self.begun is not None and isinstance(self.begun.embedder, SondEmbedder):
            return self.begun.embedder
        raise ConfigError(
            "recipe.speakers=null: SOND needs what makes its profiles; train that with recipe.part=speakers, and give "
            "its folder."
        )

    @cached_property
    def _pools(self) -> tuple[ClipPool, ClipPool | None]:
        data = self.config.data
        pool = read_clips(data.clips, self.fbank.options.sample_rate)
        return pool.split(data.held_out) if data.held_out else (pool, None)

    @cached_property
    def known(self) -> People:
        """The people to learn from."""
        return People.of(self._pools[0])

    @cached_property
    def held_out(self) -> People:
        """The people who are held out."""
        pool = self._pools[1]
        assert pool is not None, "asked for where someone is held out"
        return People.of(pool)

    @cached_property
    def _noises(self) -> list[Samples]:
        return read_noises(self.config.data.noise, self.fbank.options.sample_rate) if self.config.data.noise else []

    def _examples(self, people: People, seed: int) -> DrawnExamples[Any]:
        options = self.options
        if options.part == "speakers":
            clips = {name: people.enrolment[name] + people.talk[name] for name in people.talk}
            features = [torch.cat([self.fbank(torch.from_numpy(clip)) for clip in own]) for own in clips.values()]
            return VoiceCrops(features, round(options.crop * 1000 / self.fbank.options.frame_shift), seed=seed)
        profiles = profile_vectors(self.embedder.network.speakers, self.embedder.frontend, people.enrolment)
        conversations = ConversationRecipe(
            seconds=options.seconds,
            speakers=_range(options.talkers, "recipe.talkers"),
            absent=_range(options.absent, "recipe.absent"),
            slots=self.begun.speaker_capacity if self.begun is not None else options.slots,
        )
        return SimulatedConversations(people.talk, profiles, self.fbank, conversations, seed, self._noises)

    def _speaker_network(self) -> SondSpeakerNetwork:
        if self.begun_embedder is not None:
            return _free(self.begun_embedder.network.speakers)
        options = self.options
        trunk = TrunkShape(
            tuple(options.filters), tuple(options.blocks), options.mel_bins, options.filters[-1], momentum=MOMENTUM
        )
        return SondSpeakerNetwork(SondSpeakerShape(trunk, options.dimension, options.dimension, len(self.known.talk)))

    def _network(self) -> SondNetwork:
        if self.begun is not None:
            return _free(self.begun.network)
        speakers, options = self.embedder.network.speakers, self.options
        trunk = speakers.shape.trunk
        shape = SondShape(
            filters=trunk.filters,
            blocks=trunk.blocks,
            mel_bins=trunk.mel_bins,
            pooled=trunk.outputs,
            dimension=speakers.shape.dimension,
            last=speakers.shape.last,
            window=options.window,
            momentum=MOMENTUM,
            speakers=options.slots,
            at_once=options.at_once,
            speaker_encoder=None,
            normalize_speech_speaker=True,
            cd_layers=options.layers,
            cd_heads=options.heads,
            cd_inner=options.inner,
            fsmn_layers=options.layers,
            fsmn_units=options.units,
            fsmn_inner=options.units,
            fsmn_kernel=options.kernel,
        )
        network = SondNetwork(shape)
        start_encoder(network, speakers)
        return network

    def _speaker_config(self) -> dict[str, Any]:
        """Return what the embedder is made of beside its weights, by FunASR's names (`checkpoints.sond`)."""
        options = self.fbank.options
        names = {"fs": options.sample_rate, "n_mels": options.mel_bins, "upsacle_samples": options.scale != 1}
        for name in ("window", "frame_length", "frame_shift", "snip_edges"):
            names[name] = getattr(options, name)
        return {"model": "sond-speaker", "frontend": "wav_frontend", "frontend_conf": names}


_CARD = ModelCard(
    title="SondEmbedder, a speaker embedder",
    summary="Turns a stretch of one voice into a profile that SOND looks for.",
    licence="as that of the clips it was trained on",
    source=SOURCE,
    loading='embedder = speakerdiar.models.embedders.make_embedder("path/to/this/folder")',
)


def _pieces(clips: Sequence[Clip], rate: int) -> list[Samples]:
    """Cut clips into equal parts of `PIECE_SECONDS` at most, and leave out those that are too short."""
    found: list[Samples] = []
    for clip in clips:
        seconds = len(clip.samples) / rate
        if seconds >= LEAST_SECONDS:
            found += np.array_split(clip.samples, int(np.ceil(seconds / PIECE_SECONDS)))
    return found


def _own_embedder(place: str, key: str) -> SondEmbedder:
    found = make_embedder(place)
    if not isinstance(found, SondEmbedder):
        raise ConfigError(f"{key}={place}: holds a {type(found).__name__}: SOND needs one trained for it.")
    return found


def _range(values: Sequence[int], key: str) -> tuple[int, int]:
    if len(values) != 2:
        raise ConfigError(f"{key}={list(values)}: give two numbers, least and most.")
    return values[0], values[1]


def _free(network: NetworkT) -> NetworkT:
    """Return a network that was opened for inference, ready to learn."""
    return network.train().requires_grad_(True)
