"""PyanNet, the segmentation network of pyannote.audio: SincNet, an LSTM in both directions, and a few linear layers.

It tells a few local speakers apart, either by classes that are sets of them (a powerset) or by a score for each.

Sources: Bredin and Laurent 2021, arXiv:2104.04045; Plaquet and Bredin 2023, Interspeech.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError, InputError, WeightsError
from speakerdiar.nn.sincnet import CHANNELS, FILTERS, KERNEL, SincNet, sinc_filters

_MOST: Final = {"classes": 2**10, "stride": 2**10, "lstm_size": 2**14, "lstm_layers": 64, "linear_size": 2**14}


@dataclass(frozen=True)
class PyanNetShape:
    """Sizes of the network.

    Attributes:
        classes: scores of a frame.
        powerset: the classes exclude each other, and the scores are logarithms of their probabilities; otherwise each
            score is a probability by itself.
        stride: samples from one position of the first filters to the next.
        lstm_size: of the LSTM's state, in each direction.
        lstm_layers: layers of the LSTM.
        bidirectional: the LSTM runs in both directions.
        linear_size: of the linear layers in front of the last.
        linear_layers: how many of them there are; 0 for none.
    """

    classes: int
    powerset: bool = True
    stride: int = 10
    lstm_size: int = 128
    lstm_layers: int = 2
    bidirectional: bool = True
    linear_size: int = 128
    linear_layers: int = 2

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            if not (is_count(getattr(self, name), least=1) and getattr(self, name) <= most):
                raise ConfigError(f"{name}={getattr(self, name)!r}: give a whole number from 1 to {most}.")
        if not (is_count(self.linear_layers, least=0) and self.linear_layers <= _MOST["lstm_layers"]):
            raise ConfigError(f"linear_layers={self.linear_layers!r}: give a whole number from 0 to 64.")
        for name in ("powerset", "bidirectional"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name}={getattr(self, name)!r}: give True or False.")


class PyanNet(nn.Module):
    """Scores of local speakers in each frame of windows of audio."""

    def __init__(self, shape: PyanNetShape) -> None:
        super().__init__()
        self.shape = shape
        self.sincnet = SincNet(shape.stride)
        self.lstm = nn.LSTM(
            CHANNELS, shape.lstm_size, shape.lstm_layers, bidirectional=shape.bidirectional, batch_first=True
        )
        sizes = [shape.lstm_size * (1 + shape.bidirectional)] + [shape.linear_size] * shape.linear_layers
        self.linear = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(sizes))
        self.classifier = nn.Linear(sizes[-1], shape.classes)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Score windows.

        Args:
            samples: float32, (B, n), mono.

        Returns:
            float32, (B, frames, classes): log-probabilities of a powerset's classes, or probabilities.

        Raises:
            InputError: fewer samples than two frames see.
        """
        return self.classify(self.encode(samples))

    def encode(self, samples: torch.Tensor) -> torch.Tensor:
        """Encode windows (B, n), each by itself: (B, frames, CHANNELS); errors as for `forward`."""
        if samples.shape[-1] < self.least_samples:
            raise InputError(f"A window of {samples.shape[-1]} samples: give {self.least_samples} or more.")
        encoded: torch.Tensor = self.sincnet(samples)
        return encoded.transpose(1, 2)

    def classify(self, encoded: torch.Tensor, *, head: torch.dtype = torch.float32) -> torch.Tensor:
        """Score encoded windows (B, frames, CHANNELS): (B, frames, classes).

        The few numbers of the last layer are computed in the precision `head`: where its weights are large, most of
        what rounding does to scores happens there.
        """
        x, _ = self.lstm(encoded)
        for linear in self.linear:
            x = functional.leaky_relu(linear(x))
        last = self.classifier
        logits = functional.linear(x.to(head), last.weight.to(head), last.bias.to(head))
        scores = functional.log_softmax(logits, dim=-1) if self.shape.powerset else torch.sigmoid(logits)
        return scores.float()

    @property
    def least_samples(self) -> int:
        """Shortest window that can be scored: two frames, as one alone has no deviation."""
        return self.sincnet.receptive + self.sincnet.frame_step


_FILTERBANK = "sincnet.conv1d.0.filterbank."
_TABLES = {
    "low_hz_": (FILTERS // 2, 1),
    "band_hz_": (FILTERS // 2, 1),
    "window_": (KERNEL // 2,),
    "n_": (1, KERNEL // 2),
}
_SPLIT = re.compile(r"^lstm\.(\d+)\.((?:weight|bias)_[ih]h)_l0(_reverse)?$")


def from_pyannote_names(weights: Mapping[str, torch.Tensor], rate: int, file: object) -> dict[str, torch.Tensor]:
    """Return pyannote's weights by this network's names, its filters computed; other names stay.

    Args:
        weights: a state dict of pyannote's class.
        rate: samples a second that the filters are for.
        file: named in messages.

    Raises:
        WeightsError: names the tensors of the filters that are missing, or of another shape.
    """
    parts = {name: weights[_FILTERBANK + name] for name in _TABLES if _FILTERBANK + name in weights}
    faults = [f"{_FILTERBANK}{name} {shape} is missing" for name, shape in _TABLES.items() if name not in parts]
    wrong = [name for name, value in parts.items() if tuple(value.shape) != _TABLES[name]]
    faults += [f"{_FILTERBANK}{name} is {tuple(parts[name].shape)}, not {_TABLES[name]}" for name in wrong]
    if faults:
        raise WeightsError(f"{file} doesn't fit PyanNet: {'; '.join(faults)}.")
    low, band, window, angles = (parts[name].float() for name in _TABLES)
    used = {f"{_FILTERBANK}{name}" for name in _TABLES}
    named = {_SPLIT.sub(r"lstm.\2_l\1\3", name): value for name, value in weights.items() if name not in used}
    return {**named, "sincnet.conv1d.0.weight": sinc_filters(low, band, window, angles, rate=rate)}
