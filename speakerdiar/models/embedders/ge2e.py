"""The GE2E speaker encoder with the weights that the package resemblyzer carries."""

from __future__ import annotations

import functools
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from speakerdiar.checkpoints.installed import check_sha256, installed_file, load_weights
from speakerdiar.clustering.plda import Plda
from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.mixins.embedding import EmbeddingMixin, window_power
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

    Raises:
        ConfigError: an option has a value that can't be used.
        MissingExtraError: resemblyzer isn't installed; the message is the pip line.
        WeightsError: the file that it carries isn't the published one.
    """

    plda_name = "ge2e_plda.npz"
    slot_threshold = 0.45
    """From 0.4 to 0.5 the result on real recordings is the same; beyond, people are lost or invented."""
    voice_threshold = 0.477
    """Both kinds of error are equally frequent there, on clips of 4 s of one session (`benchmarks/verification.py`)."""
    linking_threshold = 0.76
    """Best for 7 to 20 s parts of every other of 463 speakers (F1 of pairs 0.89). On the rest, 87 % of the pairs that
    are linked are one person's, and 87 % of one person's pairs are linked (`benchmarks/linking.py`)."""

    def __init__(
        self, *, target_dbfs: float | None = -30.0, increase_only: bool = False, windows_at_once: int = 32
    ) -> None:
        super().__init__()
        if target_dbfs is not None and not -100 <= target_dbfs <= 0:
            raise ConfigError(f"target_dbfs={target_dbfs!r}: give decibels from -100 to 0, or None.")
        if not is_count(windows_at_once, least=1):
            raise ConfigError(f"windows_at_once={windows_at_once!r}: give a whole number, 1 or more.")
        self.target_dbfs, self.increase_only, self.chunk = target_dbfs, increase_only, windows_at_once
        self.windows_at_once = max(512, windows_at_once)
        self.frontend = MelSpectrogram(sample_rate=16000, n_fft=400, hop=160, n_mels=40)
        self.encoder = Ge2eEncoder()
        _load(self.encoder)
        self.eval().requires_grad_(False)

    @property
    def sample_rate(self) -> int:
        """Hz of the samples that the model takes."""
        return 16000

    @property
    def dimension(self) -> int:
        """Size of a vector."""
        return self.encoder.linear.out_features

    @property
    def centre(self) -> NDArray[np.float32]:
        """Mean of the vectors that the PLDA was trained on."""
        return _centre()

    @property
    def hop_samples(self) -> int:
        """Samples from one mel frame to the next: 10 ms."""
        return self.frontend.hop

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
def _centre() -> NDArray[np.float32]:
    mean = Plda.load(weights_path(Ge2eEmbedder.plda_name)).means[0].astype(np.float32)
    mean.flags.writeable = False
    return mean


def _load(encoder: Ge2eEncoder) -> None:
    file = installed_file("resemblyzer", WEIGHTS, extra="embedded", purpose="Ge2eEmbedder", install=INSTALL)
    check_sha256(file, SHA256, "install it anew with " + INSTALL)
    load_weights(encoder, read_checkpoint(file), file)


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
