"""MarbleNet with the weights that NVIDIA publishes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from typing_extensions import Self

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.installed import load_weights
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.mixins.neural import inference_state
from speakerdiar.mixins.segmentation import SegmentationMixin, checked_block, regrouped
from speakerdiar.models.nemo_config import jasper_blocks, mel_bands, part_of, used_weights
from speakerdiar.models.pretrained import precision_of
from speakerdiar.nn.jasper import BlockShape
from speakerdiar.nn.log_mel import LogMel
from speakerdiar.nn.marblenet import MarbleNetNetwork, MarbleNetShape, marblenet_names
from speakerdiar.nn.threads import map_over_threads

WINDOWS_AT_ONCE = 64
"""Windows of a batch on each thread."""
NOTHING = np.zeros(0, dtype=np.float32)


class MarbleNetVad(torch.nn.Module, SegmentationMixin):
    """Speech probability from NeMo's MarbleNet (Jia et al. 2021, arXiv:2010.13886), every 20 ms or 10 ms.

    Of two kinds of networks, one scores all frames of 20 ms together, and fast. The older one judges the window around
    each frame of 10 ms by itself, as NeMo does. The scores of a recording are those of the recording as a whole,
    whatever its length: a block is held back until the samples behind it that its last frames depend on are in. Live
    (`score_next`) nothing waits, and the samples to come count as silence.

    Args:
        network: with its weights.
        window_seconds: length of the windows that a network of the older kind judges; NeMo's is 0.63 s.

    Raises:
        ConfigError: a window shorter than two frames of features or longer than 10 s.
    """

    def __init__(self, network: MarbleNetNetwork, *, window_seconds: float = 0.63) -> None:
        super().__init__()
        if not 0.02 <= window_seconds <= 10:
            raise ConfigError(f"window_seconds={window_seconds!r}: give seconds from 0.02 to 10.")
        self.network = network
        self.mel = LogMel(network.shape.n_mels)
        self.window = int(self.sample_rate * window_seconds)
        self.eval().requires_grad_(False)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, *, precision: str = "fp32", window_seconds: float = 0.63) -> Self:
        """Make the model of a `.nemo` file.

        Args:
            checkpoint: `frame_vad_multilingual_marblenet_v2.0.nemo`, `vad_multilingual_marblenet.nemo` or alike.
            precision: of the network: fp32, bf16 or fp16.
            window_seconds: see the class.

        Raises:
            WeightsError: the weights belong to another model; the message names every tensor that doesn't fit.
            ConfigError: no such precision, or a window of a length that can't be used.
        """
        dtype = precision_of(precision)
        shape = marblenet_shape(checkpoint)
        with torch.device("meta"):  # no numbers are drawn for weights that come from the file
            network = MarbleNetNetwork(shape)
        load_weights(network, marblenet_names(used_weights(checkpoint.weights)), checkpoint.path)
        return cls(network.to(dtype), window_seconds=window_seconds)

    @property
    def sample_rate(self) -> int:
        """Hz of the samples that the model takes."""
        return 16000

    @property
    def frame_samples(self) -> int:
        """Samples of a frame: 20 ms, or 10 ms where windows are judged."""
        return self.mel.hop * (1 if self.network.shape.pooling else self.network.shape.stride)

    @property
    def reach_samples(self) -> int:
        """Samples before and behind a frame that its score depends on: whole frames."""
        judged = self.network.shape.reach * self.mel.hop + len(self.mel.window)
        reach = self.window if self.network.shape.pooling else judged
        return -(-reach // self.frame_samples) * self.frame_samples

    def score_blocks(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Yield the scores of consecutive frames, (frames, 1), a block later than its samples come in.

        Raises:
            InputError: a block isn't a vector of finite numbers.
        """
        past = block = NOTHING
        reach = self.reach_samples
        size = -(-max(self.block_samples, reach) // self.frame_samples) * self.frame_samples
        for following in chain(regrouped(map(checked_block, blocks), size), [NOTHING]):
            if len(block):
                with inference_state(self):
                    scores = self._score(past, block, following[:reach])
                yield self._checked_scores(scores, block)
                past = block[-reach:]
            block = following

    def _segment_block(self, samples: NDArray[np.float32], state: Any) -> tuple[NDArray[np.float32], Any]:
        past = NOTHING if state is None else state
        return self._score(past, samples, NOTHING), np.concatenate([past, samples])[-self.reach_samples :]

    def _score(
        self, past: NDArray[np.float32], block: NDArray[np.float32], following: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Score a block between what lies before it, whole frames, and behind it: (frames, 1)."""
        count = -(-len(block) // self.frame_samples)
        score = self._score_windows if self.network.shape.pooling else self._score_frames
        return score(past, np.concatenate([block, following]), count)[:, None]

    def _score_frames(self, past: NDArray[np.float32], samples: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        first = len(past) // self.frame_samples
        features = self._features(np.concatenate([past, samples])[None])
        found = self.network(features)[0].float().cpu().numpy() if features.shape[1] else NOTHING
        scores = np.asarray(found[first : first + count], dtype=np.float32)
        # A last frame of less than 10 ms has no features: it goes with the one before it.
        return np.pad(scores, (0, count - len(scores)), mode="edge") if len(found) else np.zeros(count, np.float32)

    def _score_windows(
        self, past: NDArray[np.float32], samples: NDArray[np.float32], count: int
    ) -> NDArray[np.float32]:
        """Judge the window around the beginning of each frame."""
        half = self.window // 2
        before = np.concatenate([np.zeros(half, dtype=np.float32), past])[-half:]
        needed = (count - 1) * self.mel.hop + self.window - half
        around = np.concatenate([before, samples[:needed], np.zeros(max(0, needed - len(samples)), dtype=np.float32)])
        windows = sliding_window_view(around, self.window)[:: self.mel.hop]  # (count, window), a view

        def judge(first: int) -> NDArray[np.float32]:
            scores = self.network(self._features(windows[first : first + WINDOWS_AT_ONCE].copy()))
            return np.asarray(scores.float().cpu().numpy(), dtype=np.float32)

        return np.concatenate(map_over_threads(judge, range(0, count, WINDOWS_AT_ONCE)))

    def _features(self, rows: NDArray[np.float32]) -> torch.Tensor:
        weight = next(self.network.parameters())
        return self.mel.of_utterances(torch.from_numpy(rows).to(weight.device)).to(weight.dtype)


def marblenet_shape(checkpoint: Checkpoint) -> MarbleNetShape:
    """Return the sizes that NeMo's config gives.

    Raises:
        WeightsError: a part of the config is missing, or asks for a layer of another kind than MarbleNet's.
    """
    config, weights, path = checkpoint.config, checkpoint.weights, checkpoint.path
    if config.get("crop_or_pad_augment") is not None or len(config.get("labels") or "") != 2:
        labels = config.get("labels")
        raise WeightsError(f"{path}: labels={labels!r}, or windows cut to one length: only speech or not is supported.")
    blocks = tuple(jasper_blocks(config, weights, path))
    if any(block.squeeze for block in blocks):
        raise WeightsError(f"{path}: encoder.jasper has squeeze-and-excitation: MarbleNet has none.")
    n_mels = mel_bands(config, weights, "None", path)
    if "decoder.decoder_layers.0.weight" in weights:
        return MarbleNetShape(n_mels, blocks, pooling=_pooling(checkpoint, blocks[-1]), padded_to=_padding(checkpoint))
    layers = part_of(config, "decoder", {"activation": "relu", "channel_idx": None}, path).get("num_layers", 2)
    if not isinstance(layers, int) or not 0 < layers <= len(weights):
        raise WeightsError(f"{path}: decoder.num_layers={layers!r} can't be used: get the file anew.")
    return MarbleNetShape(n_mels, blocks, layers)


def _pooling(checkpoint: Checkpoint, last: BlockShape) -> str:
    pooling = part_of(checkpoint.config, "decoder", {}, checkpoint.path).get("pooling_type", "avg")
    if pooling not in ("avg", "max"):
        raise WeightsError(f"{checkpoint.path}: decoder.pooling_type={pooling!r} isn't supported: avg and max are.")
    if last.kernel > 1 and not last.separable:
        raise WeightsError(f"{checkpoint.path}: the encoder's last kernel is {last.kernel}: only 1 is supported.")
    return str(pooling)


def _padding(checkpoint: Checkpoint) -> int:
    padding = part_of(checkpoint.config, "preprocessor", {"pad_value": 0}, checkpoint.path).get("pad_to", 16)
    if not isinstance(padding, int) or not 0 <= padding <= 4096:
        raise WeightsError(f"{checkpoint.path}: preprocessor.pad_to={padding!r} isn't supported: frames to 4096 are.")
    return padding
