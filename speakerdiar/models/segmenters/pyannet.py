"""PyanNet, the local segmentation network of pyannote.audio, with weights in its own formats or in ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import Self

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.installed import load_weights
from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.mixins.local_segmentation import LocalSegmentationMixin
from speakerdiar.models.pretrained import check_model, precision_of
from speakerdiar.nn.pyannet import PyanNet, PyanNetShape, from_pyannote_names
from speakerdiar.nn.threads import map_over_threads
from speakerdiar.postprocessing.powerset import Powerset
from speakerdiar.windows import WindowGrid

RATE = 16000
"""Hz of the samples that the network takes; its filters are made for no other rate."""
ROWS = 8
"""Windows that a thread takes through the LSTM together; fewer or more take longer for each."""
MOST_SECONDS = 600
"""Longest window that a checkpoint may ask for."""
_PREFIX = "network."


class PyannetSegmenter(torch.nn.Module, LocalSegmentationMixin):
    """Who of up to a few local speakers talks in each frame of windows of some seconds.

    The networks are pyannote/segmentation (2.x: a score for each speaker), pyannote/segmentation-3.0 and that of
    speaker-diarization-community-1 (classes are sets of speakers). Bredin and Laurent 2021, arXiv:2104.04045; Plaquet
    and Bredin 2023, Interspeech.

    Args:
        network: with its weights.
        window: samples of a window at 16 kHz.
        powerset: what its classes stand for; None where each score is one speaker's own.
        onset: without a powerset, the score above which a local speaker talks.

    Raises:
        ConfigError: an option has a value that can't be used, or that doesn't fit the network.
    """

    MODEL_NAME = "pyannet"

    def __init__(
        self, network: PyanNet, *, window: int = 160000, powerset: Powerset | None = None, onset: float = 0.5
    ) -> None:
        super().__init__()
        _check(network, window, powerset, onset)
        self.network = network
        self.onset = float(onset)
        self._powerset = powerset
        self._grid = WindowGrid(
            rate=RATE,
            window=window,
            step=max(1, window // 10),
            frames=network.sincnet.frames(window),
            frame_step=network.sincnet.frame_step,
            receptive=network.sincnet.receptive,
        )
        self.eval().requires_grad_(False)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, *, precision: str = "fp32", onset: float | None = None) -> Self:
        """Make the model of what was read.

        Args:
            checkpoint: pyannote.audio's (`speakerdiar.checkpoints.pyannote.read_pyannote`), or one of our own format.
            precision: of the network: fp32, bf16 or fp16. Half precisions pay on a GPU; scores change in the third
                digit.
            onset: as for the class; by default what the checkpoint says, else 0.5.

        Raises:
            WeightsError: the weights belong to another model; the message names every tensor that doesn't fit.
            ConfigError: no such precision or onset.
        """
        dtype = precision_of(precision)
        if "architecture" in checkpoint.config:
            settings, weights = _of_pyannote(checkpoint)
        else:
            settings, weights = _of_own(checkpoint)
        try:
            shape = PyanNetShape(**settings["shape"])
            with torch.device("meta"):  # no numbers are drawn for weights that come from the file
                network = PyanNet(shape)
            at_once = settings["at_once"]
            powerset = None if at_once is None else Powerset(_speakers(shape.classes, at_once), at_once)
            said = {"window": settings["window"], "onset": settings["onset"]}
            _check(network, said["window"], powerset, said["onset"])
        except (ConfigError, KeyError, TypeError) as error:
            raise WeightsError(f"{checkpoint.path} can't be used: {error!s:.200} Get it anew.") from error
        load_weights(network, weights, checkpoint.path)
        said |= {} if onset is None else {"onset": onset}
        return cls(network.to(dtype), powerset=powerset, **said)

    @property
    def grid(self) -> WindowGrid:
        """Windows and frames; every tenth of a window begins the next."""
        return self._grid

    @property
    def powerset(self) -> Powerset | None:
        """The classes that the scores stand for; None where each score is one speaker's own."""
        return self._powerset

    @property
    def speakers(self) -> int:
        """Local speakers of a window."""
        return self.network.shape.classes if self._powerset is None else self._powerset.speakers

    def config(self) -> dict[str, Any]:
        """Return what `from_checkpoint` needs beside `state_dict()`, as plain values for a folder of our own format."""
        return {
            "model": self.MODEL_NAME,
            "shape": asdict(self.network.shape),
            "window": self._grid.window,
            "at_once": None if self._powerset is None else self._powerset.at_once,
            "onset": self.onset,
        }

    def _score_batch(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        samples = torch.from_numpy(windows.copy())  # torch takes neither reversed nor read-only views
        device = self.network.classifier.weight.device
        if device.type == "cpu":
            rows = max(1, min(ROWS, -(-len(windows) // torch.get_num_threads())))
            return torch.cat(map_over_threads(self._score_rows, torch.split(samples, rows))).numpy()
        head = torch.float32 if device.type == "mps" else torch.float64
        encoded = self.network.encode(samples.to(device))
        return self.network.classify(encoded, head=head).cpu().numpy()

    def _score_rows(self, rows: torch.Tensor) -> torch.Tensor:
        """Score a few windows on this thread: samples stay in the cache one by one, the LSTM takes them together."""
        encoded = torch.cat([self.network.encode(row) for row in torch.split(rows, 1)])
        return self.network.classify(encoded, head=torch.float64)


def _check(network: PyanNet, window: Any, powerset: Powerset | None, onset: Any) -> None:
    least = network.least_samples
    if not (is_count(window, least=least) and window <= MOST_SECONDS * RATE):
        raise ConfigError(f"window={window!r}: give samples from {least} to {MOST_SECONDS * RATE}.")
    if network.shape.powerset != (powerset is not None):
        raise ConfigError(f"powerset={powerset!r}, and the network's shape has powerset={network.shape.powerset}.")
    if powerset is not None and powerset.classes != network.shape.classes:
        raise ConfigError(f"{powerset} has {powerset.classes} classes, not the network's {network.shape.classes}.")
    if powerset is None and network.shape.classes > 8:
        raise ConfigError(f"A network of {network.shape.classes} speakers: give one of at most 8.")
    if not (_is_number(onset) and 0 < onset < 1):
        raise ConfigError(f"onset={onset!r}: give a number between 0 and 1.")


def _speakers(classes: int, at_once: Any) -> int:
    """Return of how many speakers sets of at most `at_once` make so many classes."""
    for speakers in range(1, 9):
        if is_count(at_once, least=1) and at_once <= speakers and Powerset(speakers, at_once).classes == classes:
            return speakers
    raise ConfigError(f"{classes} classes aren't the sets of at most at_once={at_once!r} speakers.")


def _of_own(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    check_model(checkpoint, PyannetSegmenter.MODEL_NAME)
    return checkpoint.config, {name.removeprefix(_PREFIX): value for name, value in checkpoint.weights.items()}


def _of_pyannote(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    config, path = checkpoint.config, checkpoint.path
    found = config["architecture"]["class"]
    if found != "PyanNet":
        raise WeightsError(f"{path} holds a {found} ({config['architecture']['module']}): PyanNet is read here.")
    classes, at_once = _classes(config["specifications"], path)
    settings = {
        "shape": _pyannote_shape(config["hyper_parameters"], classes, at_once, path),
        "window": _window(config["specifications"].get("duration"), path),
        "at_once": at_once,
        "onset": PyannetSegmenter.onset,
    }
    return settings, from_pyannote_names(checkpoint.weights, RATE, path)


def _classes(specifications: Any, path: object) -> tuple[int, int | None]:
    """Return how many scores a frame has, and how many speakers a class may hold; None where it isn't a powerset."""
    if not isinstance(specifications, dict):
        raise WeightsError(f"{path} is a model of several tasks: give one that segments speakers alone.")
    said = {name: specifications.get(name) for name in ("problem", "resolution", "classes", "powerset_max_classes")}
    speakers, at_once = said["classes"], said["powerset_max_classes"]
    if said["resolution"] != "FRAME" or specifications.get("permutation_invariant") is False:
        raise WeightsError(f"{path} doesn't tell local speakers apart in frames ({said}): give a model that does.")
    if not (isinstance(speakers, list) and 1 <= len(speakers) <= 8):
        raise WeightsError(f"{path} has the classes {speakers!r:.100}: give a model of 1 to 8 speakers.")
    if said["problem"] == "MULTI_LABEL_CLASSIFICATION":
        return len(speakers), None
    if said["problem"] != "MONO_LABEL_CLASSIFICATION" or not isinstance(at_once, int) or at_once < 1:
        raise WeightsError(f"{path} is a model for another task ({said}): give one that segments speakers.")
    at_once = min(at_once, len(speakers))
    return Powerset(len(speakers), at_once).classes, at_once


def _pyannote_shape(given: Mapping[str, Any], classes: int, at_once: int | None, path: object) -> dict[str, Any]:
    """Return the sizes that hyper-parameters give, with pyannote's defaults for those that they leave out."""
    parts = {name: given.get(name) or {} for name in ("sincnet", "lstm", "linear")}
    if not all(isinstance(part, dict) for part in parts.values()):
        raise WeightsError(f"{path} has hyper-parameters that aren't PyanNet's ({given!r:.200}): get it anew.")
    sincnet, lstm, linear = parts.values()
    said = [given.get("sample_rate", RATE), sincnet.get("sample_rate", RATE), given.get("num_channels", 1)]
    if said != [RATE, RATE, 1]:
        raise WeightsError(
            f"{path} has sample_rate={said[0]!r}, of its filters {said[1]!r}, and num_channels={said[2]!r}: give one "
            f"of mono audio at {RATE} Hz."
        )
    return {
        "classes": classes,
        "powerset": at_once is not None,
        "stride": sincnet.get("stride", 10),
        "lstm_size": lstm.get("hidden_size", 128),
        "lstm_layers": lstm.get("num_layers", 2),
        "bidirectional": lstm.get("bidirectional", True),
        "linear_size": linear.get("hidden_size", 128),
        "linear_layers": linear.get("num_layers", 2),
    }


def _window(seconds: Any, path: object) -> int:
    if not (_is_number(seconds) and 0 < seconds <= MOST_SECONDS):
        raise WeightsError(f"{path} has windows of {seconds!r} s: give a model of windows up to {MOST_SECONDS} s.")
    return int(seconds * RATE)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
