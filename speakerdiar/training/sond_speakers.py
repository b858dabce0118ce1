"""Training of the network that makes SOND's speaker profiles, to tell people apart; SOND's encoder begins with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch.nn import functional
from torch.utils.data import IterableDataset, get_worker_info

from speakerdiar.errors import ConfigError, InputError
from speakerdiar.mixins.neural import inference_state
from speakerdiar.nn.kaldi_fbank import KaldiFbank
from speakerdiar.nn.sond import SondNetwork, SondSpeakerNetwork
from speakerdiar.training.schedules import Schedule


class VoiceCrops(IterableDataset[tuple[torch.Tensor, int]]):
    """Stretches of people's speech without end, each with the number of who speaks.

    Args:
        features: filter bank of each person's speech, (T, bands), of `frames` or more; numbers follow the order.
        frames: length of a stretch.
        level_spread: standard deviation by which levels differ, in dB.
        seed: where chance begins.

    Raises:
        InputError: someone has too little speech.
    """

    def __init__(
        self, features: Sequence[torch.Tensor], frames: int = 200, level_spread: float = 6.0, seed: int = 0
    ) -> None:
        short = min((len(own) for own in features), default=0)
        if short < frames:
            raise InputError(f"{short} frames of speech: give everyone {frames} or more, or take shorter stretches.")
        self.features, self.frames, self.level_spread, self.seed = features, frames, level_spread, seed

    def __iter__(self) -> Iterator[tuple[torch.Tensor, int]]:
        worker = get_worker_info()
        rng = np.random.default_rng([self.seed, 0 if worker is None else worker.id])
        nepers = self.level_spread / 20 * np.log(10)
        while True:
            person = int(rng.integers(len(self.features)))
            own = self.features[person]
            first = int(rng.integers(len(own) - self.frames + 1))
            # The filter bank is the logarithm of power, twice that of amplitude.
            yield own[first : first + self.frames].float() + 2 * float(rng.normal(0, nepers)), person


class SondSpeakerTraining(pl.LightningModule):
    """Teaches profiles to tell people apart, by the angles between a profile and a vector for each person.

    The loss is additive-margin softmax (Wang et al. 2018, arXiv:1801.05599), on the profile itself. The layers of the
    network behind the profile, through which FunASR trains, stay as they are.

    Args:
        network: what learns.
        people: how many there are to tell apart.
        schedule: steps and learning rate.
        margin: by how much the right cosine must be greater.
        scale: what cosines are multiplied by.
    """

    def __init__(
        self,
        network: SondSpeakerNetwork,
        people: int,
        schedule: Schedule | None = None,
        margin: float = 0.1,
        scale: float = 20.0,
    ) -> None:
        super().__init__()
        if people < 2:
            raise ConfigError(f"people={people}: give 2 or more to tell apart.")
        self.network, self.margin, self.scale = network, margin, scale
        self.schedule = schedule or Schedule()
        self.people = torch.nn.Parameter(torch.randn(people, network.shape.dimension) / network.shape.dimension**0.5)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        """Return the loss of crops (B, T, bands) of people (B,)."""
        features, people = batch
        lengths = torch.full((len(features),), features.shape[1])
        profiles = functional.normalize(self.network(features, lengths), dim=1)
        cosines = profiles @ functional.normalize(self.people, dim=1).T
        wanted = functional.one_hot(people, len(self.people))
        loss = functional.cross_entropy(self.scale * (cosines - self.margin * wanted), people)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return what `Schedule.optimizers` makes."""
        return self.schedule.optimizers(self.parameters())


def profile_vectors(
    network: SondSpeakerNetwork, fbank: KaldiFbank, clips: Mapping[str, Sequence[NDArray[np.float32]]]
) -> dict[str, NDArray[np.float32]]:
    """Return the profile of each clip by name, (clips, D), in eval mode."""
    found = {}
    with inference_state(network):
        for name, own in clips.items():
            features = [fbank(torch.from_numpy(np.asarray(clip, dtype=np.float32))) for clip in own]
            vectors = [network(one[None], torch.tensor([len(one)]))[0] for one in features]
            found[name] = torch.stack(vectors).numpy()
    return found


def start_encoder(network: SondNetwork, speakers: SondSpeakerNetwork) -> None:
    """Give SOND's encoder the weights of the speaker network, of the same sizes.

    Source: Wang et al. 2023, arXiv:2303.05397.
    """
    dense = {name: weight for name, weight in speakers.decoder.state_dict().items() if not name.startswith("output")}
    network.encoder.load_state_dict({**speakers.encoder.state_dict(), **dense})
