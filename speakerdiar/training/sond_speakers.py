"""Training of the network that makes SOND's speaker profiles, to tell people apart; SOND's encoder begins with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from speakerdiar.errors import ConfigError, InputError
from speakerdiar.metrics import det_curve
from speakerdiar.mixins.neural import inference_state
from speakerdiar.nn.kaldi_fbank import KaldiFbank
from speakerdiar.nn.sond import SondNetwork, SondSpeakerNetwork
from speakerdiar.training.chance import DrawnExamples
from speakerdiar.training.config import OptimConfig
from speakerdiar.training.learner import Learner


class VoiceCrops(DrawnExamples[tuple[torch.Tensor, int]]):
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
        super().__init__(seed)
        short = min((len(own) for own in features), default=0)
        if short < frames:
            raise InputError(f"{short} frames of speech: give everyone {frames} or more, or take shorter stretches.")
        self.features, self.frames, self.level_spread = features, frames, level_spread

    def stream(self, rng: np.random.Generator) -> Iterator[tuple[torch.Tensor, int]]:
        """Yield stretches."""
        nepers = self.level_spread / 20 * np.log(10)
        while True:
            person = int(rng.integers(len(self.features)))
            own = self.features[person]
            first = int(rng.integers(len(own) - self.frames + 1))
            # The filter bank is the logarithm of power, twice that of amplitude.
            yield own[first : first + self.frames].float() + 2 * float(rng.normal(0, nepers)), person


class SondSpeakerLearner(Learner):
    """Teaches profiles to tell people apart, by the angles between a profile and a vector for each person.

    The loss is additive-margin softmax (Wang et al. 2018, arXiv:1801.05599), on the profile itself. The layers of the
    network behind the profile, through which FunASR trains, stay as they are.

    Args:
        network: what learns.
        optim: how its weights move.
        steps: of the whole training.
        people: how many there are to tell apart.
        margin: by how much the right cosine must be greater.
        scale: what cosines are multiplied by.
    """

    METRIC: ClassVar[str] = "eer"

    def __init__(
        self,
        network: SondSpeakerNetwork,
        optim: OptimConfig,
        steps: int,
        people: int,
        margin: float = 0.1,
        scale: float = 20.0,
    ) -> None:
        if people < 2:
            raise ConfigError(f"people={people}: give 2 or more to tell apart.")
        super().__init__(network, optim, steps)
        self.margin, self.scale = margin, scale
        self.people = torch.nn.Parameter(torch.randn(people, network.shape.dimension) / network.shape.dimension**0.5)
        for name, part in network.decoder.named_children():
            part.requires_grad_(name == "resnet1_dense")

    network: SondSpeakerNetwork

    def losses(self, batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the loss of crops (B, T, bands) of people (B,)."""
        features, people = batch
        profiles = functional.normalize(self.network(features, _whole(features)), dim=1)
        cosines = profiles @ functional.normalize(self.people, dim=1).T
        wanted = functional.one_hot(people, len(self.people))
        return {"loss": functional.cross_entropy(self.scale * (cosines - self.margin * wanted), people)}

    def observed(self, batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the profiles of crops, of length 1, and whose they are."""
        features, people = batch
        vectors = functional.normalize(self.network(features, _whole(features)).float(), dim=1)
        return vectors.detach().cpu().numpy(), people.cpu().numpy()

    def judged(self, observations: list[Any]) -> dict[str, float]:
        """Return the equal error rate of all pairs of crops."""
        vectors, owners = (np.concatenate(part) for part in zip(*observations, strict=True))
        return {"eer": equal_error(vectors, owners)}


def equal_error(vectors: NDArray[np.float32], owners: NDArray[np.int64]) -> float:
    """Return the equal error rate of all pairs of vectors of length 1, (N, D), by whose they are, (N,)."""
    one, other = np.triu_indices(len(owners), 1)
    return float(det_curve((vectors @ vectors.T)[one, other], owners[one] == owners[other]).eer)


def _whole(features: torch.Tensor) -> torch.Tensor:
    return torch.full((len(features),), features.shape[1])


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
