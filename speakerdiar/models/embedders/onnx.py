"""Speaker embedders in ONNX: WeSpeaker's, 3D-Speaker's and NeMo's, with or without sherpa-onnx's metadata."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.onnx import open_onnx
from speakerdiar.errors import WeightsError
from speakerdiar.frames import runs
from speakerdiar.mixins.embedding import SILENCE_POWER, EmbeddingMixin
from speakerdiar.models.embedders.onnx_front_ends import front_end_of

TRIAL_FRAMES = 200


class OnnxEmbedder(EmbeddingMixin):
    """A vector for a stretch of one voice, from an ONNX network and the features that it was trained on.

    The file's metadata say whose network it is, under the keys of sherpa-onnx's exports (`framework`: wespeaker,
    3d-speaker or nemo). Without them, the name of the first input does: `feats` in WeSpeaker's own exports, `feature`
    in 3D-Speaker's, `audio_signal` in NeMo's.

    Every window goes through the network by itself, some at a time on a thread each, unless it runs on a GPU.

    Args:
        path: the .onnx file.
        frontend: `auto`; `wespeaker`, `3d-speaker` or `nemo` for a file that doesn't say whose it is; `sherpa` for the
            features of sherpa-onnx, which aren't those of the training, for the same vectors as it has.
        threads: windows at a time; as many as torch uses threads, if left out.
        device: `cpu`, `cuda` or `cuda:1`.
        limits: how large the file may be.

    Raises:
        ConfigError: an option has a value that can't be used.
        MissingExtraError: onnxruntime isn't installed.
        WeightsError: no safe ONNX file, or one that isn't such a network or doesn't say which.
    """

    windows_at_once = 32

    def __init__(
        self,
        path: str | Path,
        *,
        frontend: str = "auto",
        threads: int | None = None,
        device: str = "cpu",
        limits: ArchiveLimits | None = None,
    ) -> None:
        self.model = open_onnx(path, threads=threads, device=device, limits=limits)
        self.front_end = front_end_of(self.model, frontend)
        self._as_sherpa = frontend == "sherpa"
        self._bands_first = len(self.model.inputs) == 2  # NeMo's: bands x frames, and a length beside them
        self._output = self._find_output()
        self._dimension = self._trial()

    @property
    def sample_rate(self) -> int:
        """Hz of the samples that the model takes."""
        return self.front_end.sample_rate

    @property
    def dimension(self) -> int:
        """Size of a vector."""
        return self._dimension

    @property
    def window_seconds(self) -> float:
        """Length of audio that the model knows best: such networks are trained on seconds, and tested on sentences."""
        return 10.0

    @property
    def min_seconds(self) -> float:
        """Shortest window that the model takes."""
        return 0.2

    def _embed_batch(self, features: Any, starts: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        windows = np.stack([features[start : start + length] for start in starts])
        return self.model.run_rows(self._feeds(windows))[self._output]

    def _embed_masked(
        self,
        samples: NDArray[np.float32],
        starts: NDArray[np.int64],
        length: int,
        masks: NDArray[np.bool_],
        exact: bool,
    ) -> NDArray[np.float32]:
        if not self._as_sherpa:
            return super()._embed_masked(samples, starts, length, masks, exact)
        borders = (_sherpa_borders(start, mask, length) for start, mask in zip(starts, masks, strict=True))
        pieces = (np.concatenate([samples[:0], *(samples[first:last] for first, last in some)]) for some in borders)
        return self._embed_pieces(pieces, exact)

    def _embed_pieces(self, pieces: Iterable[NDArray[np.float32]], exact: bool) -> NDArray[np.float32]:
        least = self.front_end.least_samples if exact else max(self._min_samples, self.front_end.least_samples)
        found, left = [np.zeros((0, self.dimension), dtype=np.float32)], iter(pieces)
        while some := list(islice(left, self.windows_at_once)):
            vectors = np.full((len(some), self.dimension), np.nan, dtype=np.float32)
            long = [row for row, piece in enumerate(some) if len(piece) >= least]
            with torch.inference_mode():
                feeds = [self._feeds(some[row][None]) for row in long]
            for row, outputs in zip(long, self.model.run_each(feeds), strict=True):
                # A network's own vector of silence says nothing of anybody.
                silent = not exact and np.mean(np.square(some[row], dtype=np.float64)) <= SILENCE_POWER
                vectors[row] = 0 if silent else outputs[self._output][0]
            found.append(np.where(np.isnan(vectors), vectors, self._scaled(vectors)))
        return np.concatenate(found)

    def _feeds(self, windows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Inputs of the network for windows of samples (B, n)."""
        return self._inputs(self.front_end(torch.from_numpy(windows)).numpy())

    def _inputs(self, features: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Inputs of the network for features (B, frames, bands)."""
        first, *rest = self.model.inputs
        if not self._bands_first:
            return {first.name: features}
        lengths = np.full(len(features), features.shape[1], dtype=np.int64)
        return {first.name: np.ascontiguousarray(features.transpose(0, 2, 1)), rest[0].name: lengths}

    def _find_output(self) -> int:
        """Index of the output that is the vector."""
        outputs = self.model.outputs
        if self._bands_first:
            return len(outputs) - 1  # behind the logits of the training's speakers
        named = [index for index, port in enumerate(outputs) if port.name in ("embs", "embedding")]
        if len(outputs) > 1 and len(named) != 1:
            names = ", ".join(port.name for port in outputs)
            raise WeightsError(f"{self.model.path} gives {names}: which is the vector isn't known: name it embedding.")
        return named[0] if named else 0

    def _trial(self) -> int:
        """Size of the vector that the network makes of some frames."""
        shape, bands = self.model.inputs[0].shape, self.front_end.bands
        frames, band = (2, 1) if self._bands_first else (1, 2)
        fits = len(shape) == 3 and shape[frames] is None and shape[band] in (bands, None)
        if not fits or len(self.model.inputs) > 2:
            order = f"(batch, {bands}, frames) and a length" if self._bands_first else f"(batch, frames, {bands})"
            raise WeightsError(f"{self.model.path} takes {shape}: an embedder takes features {order}, of any length.")
        silence = np.zeros((1, TRIAL_FRAMES, bands), dtype=np.float32)
        vector = self.model.run(self._inputs(silence))[self._output]
        if vector.ndim != 2:
            raise WeightsError(f"{self.model.path} gives {vector.shape} for one window: an embedder gives (1, size).")
        return int(vector.shape[1])


def _sherpa_borders(start: int, mask: NDArray[np.bool_], length: int) -> NDArray[np.int64]:
    """First samples and those behind the last, (runs, 2), of what a mask leaves of a window, as sherpa-onnx has them.

    Single precision and all: a sample more or less moves every frame behind it.
    """
    parts = np.float32(runs(mask)) / np.float32(len(mask)) * np.float32(length)
    return np.asarray(parts + np.float32(start), dtype=np.int64)
