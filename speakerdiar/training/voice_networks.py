"""The kinds of networks that the recipe of embedders trains, and what it must know of each."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.errors import ConfigError
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.models.embedders.ge2e import Ge2eEmbedder
from speakerdiar.models.embedders.resnet import (
    CentredFbank,
    WespeakerEmbedder,
    centring_span,
    filter_bank,
    hyper_parameters,
    network_weights,
    trained_resnet,
)
from speakerdiar.models.embedders.scoring import Scoring
from speakerdiar.models.opening import local_place
from speakerdiar.models.opening_parts import OWN, read_part, weights_file
from speakerdiar.nn.ge2e import Ge2eEncoder
from speakerdiar.nn.resnet34 import REDUCTION, ResNetShape, SpeakerResNet
from speakerdiar.nn.statistics_pooling import weighted_statistics
from speakerdiar.training.voice_views import View, WholeViews

PUBLISHED = "ge2e"
"""Name of the weights that the package resemblyzer carries."""


class VoiceNetwork(ABC):
    """Makes a network to train, feeds it, and says how it is saved."""

    MODEL: ClassVar[str]
    """Row of OWN that opens what is saved."""
    TITLE: ClassVar[str]
    """Of the model card."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Size of a vector."""

    @property
    @abstractmethod
    def longest(self) -> float:
        """Seconds that the embedder hears as one."""

    @property
    @abstractmethod
    def scoring(self) -> Scoring:
        """How vectors are compared before training, where it is known."""

    @property
    def settings(self) -> dict[str, Any]:
        """What `config.yaml` says beside the model's name."""
        return {}

    @abstractmethod
    def network(self) -> torch.nn.Module:
        """Make the network, its weights those to begin with."""

    @abstractmethod
    def features(self, samples: torch.Tensor) -> torch.Tensor:
        """Return what the network takes of samples (B, n): (B, T, bands)."""

    @abstractmethod
    def inputs(self, views: Sequence[View]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the network takes of views, and which of its frames count; see `Inputs`."""

    @abstractmethod
    def vectors(
        self, network: torch.nn.Module, features: torch.Tensor, kept: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the network's vectors of features, of any length, (B, dimension), of the frames that count."""

    @abstractmethod
    def embedder(self, checkpoint: Checkpoint) -> EmbeddingMixin:
        """Make the embedder of trained weights."""


class ResNetVoices(VoiceNetwork):
    """WeSpeaker's residual networks. They hear all of a view and leave frames out where they pool.

    Args:
        start: the shape of a new network, or the weights to begin with.
    """

    MODEL = "wespeaker-resnet"
    TITLE = "A residual network that embeds voices"

    def __init__(self, start: ResNetShape | Checkpoint) -> None:
        self._start = start if isinstance(start, Checkpoint) else None
        self.shape = start if isinstance(start, ResNetShape) else ResNetShape.of(network_weights(start), start.path)
        if self._start is not None and self.shape.folded:
            raise ConfigError(f"init: {self._start.path} has no batch norms any more: give weights that still do.")
        place = Path("init") if self._start is None else self._start.path
        span = centring_span(self._hyper_parameters, place)
        self.frontend = CentredFbank(filter_bank(self._hyper_parameters, self.shape.mel_bins, place), span)

    @property
    def dimension(self) -> int:
        """Size of a vector."""
        return self.shape.dimension

    @property
    def longest(self) -> float:
        """Seconds that the embedder hears as one: more than a view has."""
        return 30.0

    @property
    def scoring(self) -> Scoring:
        """How vectors are compared before training, where `init` says it."""
        start = self._start
        return Scoring() if start is None else Scoring.of(start.config, self.dimension, start.path)

    @property
    def settings(self) -> dict[str, Any]:
        """Options of the filter bank, by pyannote's names."""
        return {"hyper_parameters": self._hyper_parameters}

    @cached_property
    def _hyper_parameters(self) -> dict[str, Any]:
        if self._start is not None:
            return dict(hyper_parameters(self._start))
        return {"num_mel_bins": self.shape.mel_bins}

    def network(self) -> SpeakerResNet:
        """Make the network, its batch norms not folded."""
        if self._start is None:
            made = SpeakerResNet(self.shape)
        else:
            made = trained_resnet(network_weights(self._start), self._start.path)
        # On a CPU, channels in the innermost place take a third less time.
        return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def features(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the filter bank of samples, less its mean."""
        found: torch.Tensor = self.frontend(samples)
        return found

    def inputs(self, views: Sequence[View]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the filter bank of all of the views, and which frames are pooled."""
        return WholeViews(self.frontend)(views)

    def vectors(
        self, network: torch.nn.Module, features: torch.Tensor, kept: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the vectors of features, pooled over the frames that count."""
        assert isinstance(network, SpeakerResNet)
        frames = network.trunk(features)
        with torch.autocast(frames.device.type, enabled=False):
            weights = frames.new_ones((len(frames), 1, frames.shape[1])) if kept is None else kept
            return network.project(weighted_statistics(frames, weights))[:, 0]

    def embedder(self, checkpoint: Checkpoint) -> WespeakerEmbedder:
        """Make the embedder of trained weights."""
        return WespeakerEmbedder.from_checkpoint(checkpoint)


class Ge2eVoices(VoiceNetwork):
    """The GE2E encoder. It hears what is kept of a view, put together, as `embed_masks` has it.

    Args:
        start: gives the weights to begin with.
    """

    MODEL = "ge2e"
    TITLE = "A recurrent network that embeds voices"

    def __init__(self, start: Ge2eEmbedder) -> None:
        self._start = start

    @property
    def dimension(self) -> int:
        """Size of a vector."""
        return self._start.dimension

    @property
    def longest(self) -> float:
        """Seconds that the embedder hears as one: it covers more with windows."""
        return self._start.window_seconds

    @property
    def scoring(self) -> Scoring:
        """How vectors are compared before training."""
        start = self._start
        return Scoring(
            centre=start.centre,
            voice_threshold=start.voice_threshold,
            slot_threshold=start.slot_threshold,
            linking_threshold=start.linking_threshold,
        )

    def network(self) -> Ge2eEncoder:
        """Make the encoder."""
        return copy.deepcopy(self._start.encoder).requires_grad_(True).train()

    def features(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the mel frames of samples, each row at the embedder's level."""
        return torch.stack([self._start.mels(row) for row in samples.numpy()])

    def inputs(self, views: Sequence[View]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mel frames of what is kept of views, zeros behind them, and which of them there are."""
        hop = self._start.hop_samples
        frames = len(views[0].samples) // hop
        features = torch.zeros(len(views), frames, self._start.frontend.filters.shape[1])
        kept = torch.zeros(len(views), 1, frames)
        for row, view in enumerate(views):
            heard = view.samples[np.repeat(view.kept, REDUCTION * hop)[: len(view.samples)]]
            if len(heard) >= hop:
                mels = self._start.mels(heard)
                features[row, : len(mels)], kept[row, 0, : len(mels)] = mels, 1.0
        return features, kept

    def vectors(
        self, network: torch.nn.Module, features: torch.Tensor, kept: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the vectors of features, of the state behind the last frame that counts."""
        assert isinstance(network, Ge2eEncoder)
        lengths = None if kept is None else kept[:, 0].sum(dim=1).long().clamp_min(1)
        return network(features, lengths).float()  # type: ignore[no-any-return]

    def embedder(self, checkpoint: Checkpoint) -> Ge2eEmbedder:
        """Make the embedder of trained weights."""
        return Ge2eEmbedder.from_checkpoint(checkpoint)


def trained_voices(init: str) -> VoiceNetwork:
    """Return the kind of network whose weights a name, a file or a folder holds.

    Raises:
        ConfigError: it is of another kind, or can't learn any more.
        WeightsError: it can't be read.
    """
    if init == PUBLISHED:
        return Ge2eVoices(Ge2eEmbedder())
    checkpoint, home = read_part(weights_file(local_place(init)))
    if home == OWN[ResNetVoices.MODEL]:
        return ResNetVoices(checkpoint)
    if home == OWN[Ge2eVoices.MODEL]:
        return Ge2eVoices(Ge2eEmbedder.from_checkpoint(checkpoint))
    raise ConfigError(f"init={init!r} is no WeSpeaker ResNet and no GE2E encoder: give weights of one.")
