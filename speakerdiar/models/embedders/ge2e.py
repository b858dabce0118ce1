"""The GE2E speaker encoder, with the weights that the package resemblyzer carries or with those of a training."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import Self

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.installed import check_sha256, installed_file, load_weights
from speakerdiar.clustering.plda import Plda
from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.mixins.embedding import EmbeddingMixin, window_power
from speakerdiar.models.embedders.scoring import Scoring
from speakerdiar.models.weights import weights_path
from speakerdiar.nn.frontend import MelSpectrogram
from speakerdiar.nn.ge2e import Ge2eEncoder
from speakerdiar.nn.threads import map_over_threads

WEIGHTS = "resemblyzer/pretrained.pt"
SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
# The package's own requirements don't build everywhere and aren't needed: its code is never run.
INSTALL = "pip install --no-deps resemblyzer==0.1.4  (for its weight file alone, hence without its requirements)"
SIMILARITY_TRAINING = {"similarity_weight", "similarity_bias"}
"""Two numbers of the loss, which are no part of the encoder."""
PLDA = "ge2e_plda.npz"
"""Of the vectors of resemblyzer's weights."""
UNREADABLE = (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, TypeError, AttributeError, ValueError)
"""What torch and the lookups raise for a file that is no such checkpoint."""


@dataclass(frozen=True)
class _Features:
    samples: NDArray[np.float32]
    mels: torch.Tensor


class Ge2eEmbedder(torch.nn.Module, EmbeddingMixin):
    """256 numbers, none below 0, of length 1, for about 1.6 s of one voice (Wan et al. 2018, arXiv:1710.10467).

    The mel frames of a piece of audio are computed once. A window of it takes the frames centred inside it, with the
    samples around it that they reach; so it differs a little, in its first two frames, from the same window cut out.

    Args:
        target_dbfs: level (root mean square) that each window is brought to, so that a vector doesn't depend on how
            loud a voice was recorded; the encoder was trained near -30. None leaves windows alone.
        increase_only: leave windows that are louder than the target as they are, as the encoder's own package does.
        windows_at_once: windows of a batch on each thread; changes speed and memory, never a vector.
        encoder: with weights of its own; by default, with those that resemblyzer carries.
        scoring: how vectors of such an encoder are compared, where it is known.

    Raises:
        ConfigError: an option has a value that can't be used.
        MissingExtraError: resemblyzer isn't installed; the message is the pip line.
        WeightsError: the file that it carries isn't the published one.
    """

    plda_name = PLDA
    slot_threshold: float | None = 0.45
    """From 0.4 to 0.5 the result on real recordings is the same; beyond, people are lost or invented."""
    voice_threshold: float | None = 0.477
    """Both kinds of error are equally frequent there, on clips of 4 s of one session (`benchmarks/verification.py`)."""
    linking_threshold: float | None = 0.76
    """Best for 7 to 20 s parts of every other of 463 speakers (F1 of pairs 0.89). On the rest, 87 % of the pairs that
    are linked are one person's, and 87 % of one person's pairs are linked (`benchmarks/linking.py`)."""

    def __init__(
        self,
        *,
        target_dbfs: float | None = -30.0,
        increase_only: bool = False,
        windows_at_once: int = 32,
        encoder: Ge2eEncoder | None = None,
        scoring: Scoring | None = None,
    ) -> None:
        super().__init__()
        if target_dbfs is not None and not -100 <= target_dbfs <= 0:
            raise ConfigError(f"target_dbfs={target_dbfs!r}: give decibels from -100 to 0, or None.")
        if not is_count(windows_at_once, least=1):
            raise ConfigError(f"windows_at_once={windows_at_once!r}: give a whole number, 1 or more.")
        self.target_dbfs, self.increase_only, self.chunk = target_dbfs, increase_only, windows_at_once
        self.windows_at_once = max(512, windows_at_once)
        self.encoder = _published() if encoder is None else encoder
        self.frontend = MelSpectrogram(sample_rate=16000, n_fft=400, hop=160, n_mels=self.encoder.lstm.input_size)
        self._centre = _published_centre() if encoder is None else None
        if encoder is not None:
            self._compare_by(scoring or Scoring())
        self.eval().requires_grad_(False)

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: Checkpoint,
        *,
        target_dbfs: float | None = -30.0,
        increase_only: bool = False,
        windows_at_once: int = 32,
    ) -> Self:
        """Make the model of an encoder that was trained; all sizes are read off the weights.

        Args:
            checkpoint: a folder of our own format.
            target_dbfs: as of the class.
            increase_only: as of the class.
            windows_at_once: as of the class.

        Raises:
            ConfigError: an option has a value that can't be used.
            WeightsError: the weights belong to another model, or what the config says of scoring can't be.
        """
        encoder = encoder_of(checkpoint.weights, checkpoint.path)
        return cls(
            target_dbfs=target_dbfs,
            increase_only=increase_only,
            windows_at_once=windows_at_once,
            encoder=encoder,
            scoring=Scoring.of(checkpoint.config, encoder.linear.out_features, checkpoint.path),
        )

    @property
    def sample_rate(self) -> int:
        """Hz of the samples that the model takes."""
        return 16000

    @property
    def dimension(self) -> int:
        """Size of a vector."""
        return self.encoder.linear.out_features

    @property
    def centre(self) -> NDArray[np.float32] | None:
        """Mean of vectors over many people, those that the PLDA was trained on; None where it isn't known."""
        return self._centre

    @property
    def hop_samples(self) -> int:
        """Samples from one mel frame to the next: 10 ms."""
        return self.frontend.hop

    def mels(self, samples: NDArray[np.float32]) -> torch.Tensor:
        """Return what the encoder hears of samples (n,) by themselves, at the target level: (n // hop, n_mels)."""
        frames: torch.Tensor = self.frontend(torch.from_numpy(samples))[: len(samples) // self.hop_samples]
        return frames * float(self._power_gains(window_power(samples, [0], len(samples)))[0])

    def _compare_by(self, scoring: Scoring) -> None:
        """Forget what is known of the published weights' vectors."""
        self.plda_name, self._centre = "", scoring.centre
        self.voice_threshold = scoring.voice_threshold
        self.slot_threshold, self.linking_threshold = scoring.slot_threshold, scoring.linking_threshold

    def _embed_features(self, samples: NDArray[np.float32]) -> _Features:
        device = self.encoder.linear.weight.device
        return _Features(samples, self.frontend(torch.from_numpy(samples).to(device)))  # mels (T, 40)

    def _embed_batch(self, features: _Features, starts: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        hop = self.hop_samples
        windows = features.mels.unfold(0, length // hop, 1).transpose(1, 2)  # (positions, frames, 40), a view
        gains = self._power_gains(window_power(features.samples, starts, length))
        device = features.mels.device

        def encode(chunk: slice) -> torch.Tensor:
            mels = windows[torch.from_numpy(starts[chunk] // hop).to(device)]
            vectors: torch.Tensor = self.encoder(mels * torch.from_numpy(gains[chunk]).to(device)[:, None, None])
            return vectors

        chunks = [slice(first, first + self.chunk) for first in range(0, len(starts), self.chunk)]
        return torch.cat(map_over_threads(encode, chunks)).cpu().numpy()

    def _power_gains(self, power: NDArray[np.float64]) -> NDArray[np.float32]:
        """Factors on power spectra that bring windows to the target level."""
        if self.target_dbfs is None:
            return np.ones(len(power), dtype=np.float32)
        gains = 10 ** (self.target_dbfs / 10) / np.maximum(power, 1e-12)
        return (np.maximum(1, gains) if self.increase_only else gains).astype(np.float32)


@functools.cache
def _published_centre() -> NDArray[np.float32]:
    mean = Plda.load(weights_path(PLDA)).means[0].astype(np.float32)
    mean.flags.writeable = False
    return mean


def _published() -> Ge2eEncoder:
    file = installed_file("resemblyzer", WEIGHTS, extra="embedded", purpose="Ge2eEmbedder", install=INSTALL)
    check_sha256(file, SHA256, "install it anew with " + INSTALL)
    encoder = Ge2eEncoder()
    load_weights(encoder, read_checkpoint(file), file)
    return encoder


def encoder_of(weights: Mapping[str, torch.Tensor], file: Path) -> Ge2eEncoder:
    """Make the encoder of trained weights, in float32.

    Raises:
        WeightsError: names all weights that are missing, unknown, or of another shape.
    """
    missing = [name for name in ("lstm.weight_ih_l0", "linear.weight") if name not in weights]
    if missing:
        raise WeightsError(f"{file} is no GE2E encoder: {', '.join(missing)} is missing.")
    dimension, hidden = weights["linear.weight"].shape
    layers = sum(name.startswith("lstm.weight_ih_l") for name in weights)
    encoder = Ge2eEncoder(weights["lstm.weight_ih_l0"].shape[1], hidden, dimension, layers)
    load_weights(encoder, dict(weights), file)
    return encoder


def read_checkpoint(file: Path) -> dict[str, torch.Tensor]:
    """Return the encoder's weights of a checkpoint; no code in it is run.

    Raises:
        WeightsError: it is no such checkpoint.
    """
    try:
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
        return {k: v for k, v in checkpoint["model_state"].items() if k not in SIMILARITY_TRAINING}
    except UNREADABLE as error:
        raise WeightsError(f"{file} is no GE2E checkpoint ({error}): install it anew with {INSTALL}.") from error
