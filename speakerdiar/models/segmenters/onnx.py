"""Local segmentation networks in ONNX: pyannote's, as sherpa-onnx publishes them or without metadata."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.onnx import OnnxModel, open_onnx
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.mixins.local_segmentation import LocalSegmentationMixin
from speakerdiar.postprocessing.powerset import Powerset
from speakerdiar.windows import WindowGrid

PYANNOTE = {
    "sample_rate": 16000,
    "window_size": 160000,
    "receptive_field_size": 991,
    "receptive_field_shift": 270,
    "num_speakers": 3,
    "powerset_max_classes": 2,
    "num_classes": 7,
}
"""What sherpa-onnx's metadata say of pyannote/segmentation-3.0; taken for granted where a file says nothing."""


class OnnxSegmenter(LocalSegmentationMixin):
    """Who of up to a few local speakers talks in each frame of windows of some seconds, from an ONNX network.

    The file's metadata say what it is, under the keys of sherpa-onnx's exports: sample_rate, window_size,
    receptive_field_size, receptive_field_shift, num_speakers, powerset_max_classes, num_classes. A file without any of
    them is taken for pyannote/segmentation-3.0 (10 s at 16 kHz, 3 speakers, 2 at once) if it turns (1, 1, 160000)
    samples into (1, frames, 7) scores.

    Every window goes through the network by itself, some at a time on a thread each, unless it runs on a GPU: batches
    aren't faster, and in a dynamically quantized network they change scores.

    Args:
        path: the .onnx file.
        threads: windows at a time; as many as torch uses threads, if left out.
        device: `cpu`, `cuda` or `cuda:1`.
        limits: how large the file may be.

    Raises:
        ConfigError: a number of threads or a device that can't be used.
        MissingExtraError: onnxruntime isn't installed.
        WeightsError: no safe ONNX file, or one that says too little of itself or doesn't give what it says.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        threads: int | None = None,
        device: str = "cpu",
        limits: ArchiveLimits | None = None,
    ) -> None:
        self.model = open_onnx(path, threads=threads, device=device, limits=limits)
        said = _said(self.model)
        rate, window = said["sample_rate"], said["window_size"]
        trial = _trial(self.model, window, said["num_classes"])
        # Exports that stop in front of the softmax give logits.
        self._logits = not np.allclose(np.exp(trial).sum(axis=-1), 1, atol=1e-2)
        try:
            self._powerset = Powerset(said["num_speakers"], said["powerset_max_classes"])
            self._grid = WindowGrid(
                rate=rate,
                window=window,
                step=max(1, window // 10),
                frames=trial.shape[1],
                frame_step=said["receptive_field_shift"],
                receptive=said["receptive_field_size"],
            )
        except ConfigError as error:
            raise WeightsError(f"{self.model.path}: its metadata can't be used: {error}") from error
        if self._powerset.classes != said["num_classes"]:
            raise WeightsError(
                f"{self.model.path}: sets of {said['powerset_max_classes']} of {said['num_speakers']} speakers are "
                f"{self._powerset.classes} classes, not {said['num_classes']}: correct its metadata."
            )

    @property
    def grid(self) -> WindowGrid:
        """Windows and frames; every tenth of a window begins the next."""
        return self._grid

    @property
    def powerset(self) -> Powerset:
        """The classes that the scores stand for."""
        return self._powerset

    def _score_batch(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = self.model.run_rows({self.model.inputs[0].name: windows[:, None]})[0]
        return _log_softmax(scores) if self._logits else scores


def _said(model: OnnxModel) -> dict[str, int]:
    """What the metadata say, as whole numbers; what is known of pyannote's network where they say nothing at all."""
    missing = [key for key in PYANNOTE if key not in model.metadata]
    if len(missing) == len(PYANNOTE):
        return PYANNOTE
    if missing:
        raise WeightsError(f"{model.path}: its metadata lack {', '.join(missing)}: add them to the file.")
    try:
        return {key: int(model.metadata[key]) for key in PYANNOTE}
    except ValueError as error:
        raise WeightsError(
            f"{model.path}: its metadata should be whole numbers ({error}): correct the file."
        ) from error


def _trial(model: OnnxModel, window: int, classes: int) -> NDArray[np.float32]:
    """Scores of a silent window: (1, frames, classes)."""
    shapes = [port.shape for port in (*model.inputs, *model.outputs)]
    fits = len(shapes) == 2 and _fits(shapes[0], (1, 1, window)) and _fits(shapes[1], (1, None, classes))
    if not fits:
        raise WeightsError(
            f"{model.path} turns {shapes[0]} into {shapes[-1]}: a segmentation model turns (batch, 1, {window}) samples"
            f" into (batch, frames, {classes}) scores; its metadata must say other sizes (window_size, num_classes)."
        )
    scores: NDArray[np.float32] = model.run({model.inputs[0].name: np.zeros((1, 1, window), dtype=np.float32)})[0]
    if scores.ndim != 3 or scores.shape[2] != classes:
        raise WeightsError(f"{model.path} gives scores of shape {scores.shape}, not (1, frames, {classes}): unusable.")
    return scores


def _fits(shape: tuple[int | None, ...], wanted: tuple[int | None, ...]) -> bool:
    both = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(None in pair or pair[0] == pair[1] for pair in both)


def _log_softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), dtype=np.float32)
