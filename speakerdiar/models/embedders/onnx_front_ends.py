"""From samples to the features that published ONNX speaker embedders take, by what their files say of themselves.

An embedder is at its best on the features that it was trained on. Those that sherpa-onnx computes are others: bands end
at 7600 Hz, frames reach beyond the audio, WeSpeaker's models get another window and no mean normalisation. They are
here too, for the same numbers as sherpa-onnx.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch

from speakerdiar.checkpoints.onnx import OnnxModel
from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.nn.kaldi_fbank import FbankOptions, KaldiFbank
from speakerdiar.nn.log_mel import LogMel, per_feature

BANDS = 80
SIXTEEN_BIT = 32768.0
OF_INPUT = {"feats": "wespeaker", "feature": "3d-speaker", "audio_signal": "nemo"}
"""Whose exports, without metadata, call their first input so."""
CHOICES = ("auto", "wespeaker", "3d-speaker", "nemo", "sherpa")


class FrontEnd(ABC):
    """Turns pieces of audio into features.

    Attributes:
        sample_rate: Hz of the samples.
        bands: features of a frame.
        least_samples: samples that give a first frame.
    """

    sample_rate: int
    bands: int
    least_samples: int

    @abstractmethod
    def __call__(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the features (B, frames, bands) of pieces (B, n) in [-1, 1]; no piece changes another's."""


class KaldiFrontEnd(FrontEnd):
    """Kaldi's filter bank, from whose bands their means over time may be subtracted."""

    def __init__(self, options: FbankOptions, *, subtract_mean: bool = True) -> None:
        self.fbank, self.subtract_mean = KaldiFbank(options), subtract_mean
        self.sample_rate, self.bands = options.sample_rate, options.mel_bins
        self.least_samples = options.length

    def __call__(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the features (B, frames, bands) of pieces (B, n)."""
        bands: torch.Tensor = self.fbank(samples)
        return bands - bands.mean(dim=1, keepdim=True) if self.subtract_mean else bands


class NemoFrontEnd(FrontEnd):
    """NeMo's log-mel bands, each brought to mean 0 and standard deviation 1."""

    def __init__(self, mel: LogMel) -> None:
        self.mel = mel
        self.sample_rate, self.bands = mel.sample_rate, mel.n_mels
        self.least_samples = 2 * mel.hop  # one frame has no standard deviation

    def __call__(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the features (B, frames, bands) of pieces (B, n)."""
        return torch.stack([per_feature(self.mel(piece)) for piece in samples])


def front_end_of(model: OnnxModel, choice: str = "auto") -> FrontEnd:
    """Return the front end of an embedder.

    Args:
        model: its metadata say whose it is (`framework`); without metadata, the name of its first input does.
        choice: one of `CHOICES`: whose features to compute instead.

    Raises:
        ConfigError: a choice that there isn't, or that this model can't have.
        WeightsError: the model doesn't say whose it is, or says what can't be done.
    """
    if choice not in CHOICES:
        raise ConfigError(f"frontend={choice!r}: give one of {', '.join(CHOICES)}.")
    said = model.metadata
    framework = said.get("framework") or OF_INPUT.get(model.inputs[0].name, "")
    if choice == "sherpa":
        return _sherpa(model, framework)
    kind = framework if choice == "auto" else choice
    rate = _number(model, "sample_rate", 16000)
    if kind == "wespeaker":
        return KaldiFrontEnd(FbankOptions(sample_rate=rate, mel_bins=BANDS, window="hamming", scale=SIXTEEN_BIT))
    if kind == "3d-speaker":
        return KaldiFrontEnd(FbankOptions(sample_rate=rate, mel_bins=BANDS, window="povey", scale=1.0))
    if kind == "nemo":
        return _nemo(model, rate)
    raise WeightsError(
        f"{model.path} doesn't say what features it takes (framework {kind!r}, input {model.inputs[0].name!r}): "
        f"say it with frontend=, one of {', '.join(CHOICES[1:-1])}."
    )


def _sherpa(model: OnnxModel, framework: str) -> FrontEnd:
    if framework not in ("wespeaker", "3d-speaker"):
        raise ConfigError(f"frontend='sherpa': not for models of {framework or 'unknown make'}: leave frontend out.")
    normalize = model.metadata.get("feature_normalize_type", "")
    if normalize not in ("", "global-mean"):
        raise WeightsError(f"{model.path}: feature_normalize_type={normalize!r} is unknown: leave frontend out.")
    full_scale = _number(model, "normalize_samples", int(framework == "3d-speaker"), least=0)
    options = FbankOptions(
        sample_rate=_number(model, "sample_rate", 16000),
        mel_bins=BANDS,
        high=-400.0,
        snip_edges=False,
        scale=1.0 if full_scale else SIXTEEN_BIT,
    )
    return KaldiFrontEnd(options, subtract_mean=normalize == "global-mean")


def _nemo(model: OnnxModel, rate: int) -> FrontEnd:
    said: Mapping[str, str] = model.metadata
    if said.get("window_type", "hann") not in ("hann", "hanning"):
        raise WeightsError(f"{model.path}: window_type={said['window_type']!r} is unknown: a NeMo model has hann.")
    if said.get("feature_normalize_type", "per_feature") != "per_feature":
        kind = said["feature_normalize_type"]
        raise WeightsError(f"{model.path}: feature_normalize_type={kind!r} is unknown: a NeMo model has per_feature.")
    window = rate * _number(model, "window_size_ms", 25) // 1000
    hop = rate * _number(model, "window_stride_ms", 10) // 1000
    bands = _number(model, "feat_dim", BANDS)
    points = 1 << (window - 1).bit_length()
    return NemoFrontEnd(LogMel(bands, sample_rate=rate, n_fft=points, window=window, hop=hop))


def _number(model: OnnxModel, key: str, default: int, least: int = 1) -> int:
    """Return a whole number out of the metadata."""
    text = model.metadata.get(key) or str(default)
    number = int(text) if text.isdecimal() else None
    if not is_count(number, least=least):
        raise WeightsError(f"{model.path}: its metadata say {key}={text!r}: it should be a whole number.")
    return int(text)
