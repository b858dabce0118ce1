"""A small local segmentation model on log-mel features: ours, trained on simulated conversations."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import Self

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.installed import load_weights
from speakerdiar.config import is_count, require
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.mixins.local_segmentation import LocalSegmentationMixin
from speakerdiar.models.pretrained import check_model, precision_of
from speakerdiar.nn.log_mel import LogMel
from speakerdiar.nn.mel_segmenter import HOP, OUTPUTS, REDUCTION, MelSegmenter, MelSegmenterShape
from speakerdiar.nn.threads import map_over_threads
from speakerdiar.postprocessing.powerset import Powerset
from speakerdiar.windows import WindowGrid

RATE = 16000
ROWS = 8
"""Windows that a thread takes through the LSTM together."""
FRAME = HOP * REDUCTION // OUTPUTS
"""Samples of a frame: 20 ms."""
MOST_SECONDS = 600
_PREFIX = "network."


class MelLocalSegmenter(torch.nn.Module, LocalSegmentationMixin):
    """Who of up to three local speakers talks in each 20 ms of windows of 10 s, two at once at most.

    Args:
        network: with its weights.
        window: samples of a window at 16 kHz.
        powerset: what its classes stand for.
        overlap_bias: added to the logarithms of the probabilities that two or more talk; below 0, overlap is said only
            where the network is surer.
        speech_bias: the same for all classes in which someone talks.

    Raises:
        ConfigError: an option has a value that can't be used, or that doesn't fit the network.
    """

    MODEL_NAME = "mel-segmenter"
    level = -26.0

    def __init__(
        self,
        network: MelSegmenter,
        *,
        window: int = 160000,
        powerset: Powerset | None = None,
        overlap_bias: float = 0.0,
        speech_bias: float = 0.0,
    ) -> None:
        super().__init__()
        self._powerset = powerset or Powerset()
        require(self._powerset.classes == network.shape.classes, "powerset", self._powerset, "give the network's")
        fits = is_count(window, least=FRAME) and window <= MOST_SECONDS * RATE
        require(fits, "window", window, f"give samples from {FRAME} to {MOST_SECONDS * RATE}")
        self.network = network
        self.overlap_bias = _finite("overlap_bias", overlap_bias)
        self.speech_bias = _finite("speech_bias", speech_bias)
        frames = network.frames(window)
        self._grid = WindowGrid(RATE, window, max(1, window // 10), frames, frame_step=FRAME, receptive=FRAME)
        self.eval().requires_grad_(False)

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: Checkpoint,
        *,
        precision: str = "fp32",
        overlap_bias: float | None = None,
        speech_bias: float | None = None,
    ) -> Self:
        """Make the model of a folder of our own format.

        Args:
            checkpoint: what was read.
            precision: of the network: fp32, bf16 or fp16.
            overlap_bias: as for the class; by default what the folder says.
            speech_bias: the same.

        Raises:
            WeightsError: the weights belong to another model.
            ConfigError: no such precision or bias.
        """
        dtype = precision_of(precision)
        check_model(checkpoint, cls.MODEL_NAME)
        said = checkpoint.config
        try:
            with torch.device("meta"):  # no numbers are drawn for weights that come from the file
                network = MelSegmenter(MelSegmenterShape(**said["shape"]))
            network.mel = LogMel(network.shape.bands, hop=HOP)  # computed, not stored
            made = cls(
                network,
                window=said["window"],
                powerset=Powerset(**said["powerset"]),
                overlap_bias=said["overlap_bias"],
                speech_bias=said["speech_bias"],
            )
        except (ConfigError, KeyError, TypeError) as error:
            raise WeightsError(f"{checkpoint.path} can't be used: {error!s:.200} Get it anew.") from error
        weights = {name.removeprefix(_PREFIX): value.float() for name, value in checkpoint.weights.items()}
        load_weights(network, weights, checkpoint.path)
        network.to(dtype).mel.float()  # features are always computed in full precision
        for name, bias in (("overlap_bias", overlap_bias), ("speech_bias", speech_bias)):
            if bias is not None:
                setattr(made, name, _finite(name, bias))
        return made

    @property
    def grid(self) -> WindowGrid:
        """Windows and frames; every tenth of a window begins the next."""
        return self._grid

    @property
    def powerset(self) -> Powerset:
        """The classes that the scores stand for."""
        return self._powerset

    def config(self) -> dict[str, Any]:
        """Return what `from_checkpoint` needs beside `state_dict()`, as plain values for a folder of our own format."""
        return {
            "model": self.MODEL_NAME,
            "shape": asdict(self.network.shape),
            "window": self._grid.window,
            "powerset": asdict(self._powerset),
            "overlap_bias": self.overlap_bias,
            "speech_bias": self.speech_bias,
        }

    def decide(self, scores: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return bits and certainty (B, frames) of scores (B, frames, classes), the biases added."""
        talking = self._powerset.members.sum(axis=1)
        bias = np.where(talking > 0, self.speech_bias, 0.0) + np.where(talking > 1, self.overlap_bias, 0.0)
        return super().decide(scores + bias.astype(np.float32))

    def _score_batch(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        samples = torch.from_numpy(windows)
        device = self.network.classifier.weight.device
        if device.type == "cpu":
            rows = max(1, min(ROWS, -(-len(windows) // torch.get_num_threads())))
            return torch.cat(map_over_threads(self._score_rows, torch.split(samples, rows))).numpy()
        return self._score_rows(samples.to(device)).cpu().numpy()

    def _score_rows(self, rows: torch.Tensor) -> torch.Tensor:
        """Score a few windows: features one by one, which stay in the cache, the LSTM together."""
        features = torch.cat([self.network.features(row) for row in torch.split(rows, 1)])
        return self.network.classify(features.to(self.network.classifier.weight.dtype))


def _finite(name: str, bias: Any) -> float:
    number = isinstance(bias, int | float) and not isinstance(bias, bool) and math.isfinite(bias)
    require(number, name, bias, "give a finite number")
    return float(bias)
