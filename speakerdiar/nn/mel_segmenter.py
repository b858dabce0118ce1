"""A small network that tells local speakers apart in windows of log-mel features.

Convolutions bring frames of 10 ms to 40 ms, an LSTM in both directions reads the window, and each of its frames scores
two frames of 20 ms. Classes are sets of local speakers (Plaquet and Bredin 2023, Interspeech). Its place among the
layers is PyanNet's (`speakerdiar.nn.pyannet`); on log-mel features it takes a fraction of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError
from speakerdiar.nn.log_mel import LogMel

REDUCTION: Final = 4
"""Frames of features for one frame of the LSTM."""
OUTPUTS: Final = 2
"""Frames that are scored for one frame of the LSTM."""
HOP: Final = 160
"""Samples from one frame of features to the next."""
MEAN, SCALE = -9.0, 4.0
"""About the mean and the spread of log-mel features of speech at -26 dBFS."""
_MOST: Final = {"bands": 2**8, "channels": 2**12, "lstm_size": 2**12, "lstm_layers": 16, "linear_size": 2**12}


@dataclass(frozen=True)
class MelSegmenterShape:
    """Sizes of the network.

    Attributes:
        classes: scores of a frame, logarithms of probabilities.
        bands: of the log-mel features.
        channels: of the convolutions.
        lstm_size: of the LSTM's state, in each direction.
        lstm_layers: layers of the LSTM.
        linear_size: of the linear layer in front of the last.
    """

    classes: int = 7
    bands: int = 64
    channels: int = 128
    lstm_size: int = 128
    lstm_layers: int = 4
    linear_size: int = 128

    def __post_init__(self) -> None:
        for name, most in {"classes": 2**8, **_MOST}.items():
            if not (is_count(getattr(self, name), least=1) and getattr(self, name) <= most):
                raise ConfigError(f"{name}={getattr(self, name)!r}: give a whole number from 1 to {most}.")


class MelSegmenter(nn.Module):
    """Scores of sets of local speakers in each 20 ms of windows of audio.

    Args:
        shape: sizes.
        dropout: share of numbers left out between layers while the network learns.
    """

    def __init__(self, shape: MelSegmenterShape | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape = shape or MelSegmenterShape()
        self.mel = LogMel(shape.bands, hop=HOP)
        sizes = ((shape.bands, 5, 2), (shape.channels, 3, 1), (shape.channels, 5, 2))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(given, shape.channels, kernel, stride, kernel // 2, bias=False) for given, kernel, stride in sizes
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(shape.channels) for _ in sizes)
        self.lstm = nn.LSTM(
            shape.channels,
            shape.lstm_size,
            shape.lstm_layers,
            bidirectional=True,
            batch_first=True,
            dropout=dropout if shape.lstm_layers > 1 else 0.0,
        )
        self.linear = nn.Linear(2 * shape.lstm_size, shape.linear_size)
        self.classifier = nn.Linear(shape.linear_size, OUTPUTS * shape.classes)

    def features(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the features of windows (B, n) of samples whose speech lies about -26 dBFS: (B, n // 160, bands)."""
        features: torch.Tensor = self.mel.of_utterances(samples)
        return (features - MEAN) / SCALE

    def frames(self, samples: int) -> int:
        """Frames that windows of so many samples give."""
        return -(-self.mel.frames(samples) // REDUCTION) * OUTPUTS

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Score windows (B, n) of samples: log-probabilities of classes, (B, frames, classes)."""
        return self.classify(self.features(samples))

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """Score features (B, T, bands): log-probabilities, (B, 2 * ceil(T / 4), classes)."""
        return self.scored(self.encoded(features))

    def encoded(self, features: torch.Tensor) -> torch.Tensor:
        """Return what the LSTM makes of features (B, T, bands): (B, ceil(T / 4), 2 * lstm_size)."""
        x = features.transpose(1, 2)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = functional.relu(norm(convolution(x)))
        encoded: torch.Tensor = self.lstm(x.transpose(1, 2))[0]
        return encoded

    def scored(self, encoded: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities of classes of encoded frames (B, T', size): (B, 2 * T', classes)."""
        logits = self.classifier(functional.relu(self.linear(encoded))).float()
        return functional.log_softmax(logits.unflatten(2, (OUTPUTS, -1)).flatten(1, 2), dim=-1)
