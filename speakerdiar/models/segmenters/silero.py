"""silero-vad over whole recordings, with the level of each block brought to where the network expects it."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from speakerdiar.checkpoints.installed import installed_file, load_weights
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.mixins.segmentation import SegmentationMixin
from speakerdiar.nn.silero import CONTEXT, FRAME, LstmState, SileroNetwork, from_silero_names

# Not the safetensors file beside it: that one holds the weights of another training.
WEIGHTS = "silero_vad/data/silero_vad.jit"


@dataclass(frozen=True)
class _State:
    """What a block leaves to the next: the samples that it ends with, and the network's memory."""

    past: NDArray[np.float32]
    context: NDArray[np.float32]
    lstm: LstmState


@dataclass(frozen=True)
class _LiveState:
    """What live samples leave to the next: the power of the last frames, samples as heard, and the network's memory."""

    power: NDArray[np.float64]
    context: NDArray[np.float32]
    lstm: LstmState | None


class SileroVad(torch.nn.Module, SegmentationMixin):
    """Speech probability every 32 ms, from the network of silero-vad 6 (https://github.com/snakers4/silero-vad, MIT).

    Without normalisation the scores are those of the package itself, frame after frame, but many times faster. With it,
    each block of about 30 s is amplified, or turned down, as a whole, so that its level comes to `target_dbfs`: the
    network misses speech in recordings of far-away voices. A last block that is shorter takes its gain from the last
    30 s. Live (`score_next`) nothing waits: each frame takes its gain from the 30 s that end with it.

    Args:
        normalize: bring each block to `target_dbfs`.
        target_dbfs: level (root mean square) of a block behind the gain.
        max_gain_db: never amplify by more, so that silence isn't blown up to noise.

    Raises:
        ConfigError: an option has a value that can't be used.
        MissingExtraError: silero-vad isn't installed.
        WeightsError: its weights don't fit this network.
    """

    def __init__(self, *, normalize: bool = True, target_dbfs: float = -26.0, max_gain_db: float = 30.0) -> None:
        super().__init__()
        if not isinstance(normalize, bool):
            raise ConfigError(f"normalize={normalize!r}: give True or False.")
        if not -100 <= target_dbfs <= 0:
            raise ConfigError(f"target_dbfs={target_dbfs!r}: give decibels from -100 to 0.")
        if not 0 <= max_gain_db < math.inf:
            raise ConfigError(f"max_gain_db={max_gain_db!r}: give decibels, 0 or more.")
        self.normalize, self.target_dbfs, self.max_gain_db = normalize, target_dbfs, max_gain_db
        self.network = SileroNetwork()
        _load(self.network)
        self.eval().requires_grad_(False)

    @property
    def sample_rate(self) -> int:
        """Hz of the samples that the model takes."""
        return 16000

    @property
    def frame_samples(self) -> int:
        """Samples of a frame: 32 ms."""
        return FRAME

    def _segment_block(self, samples: NDArray[np.float32], state: Any) -> tuple[NDArray[np.float32], Any]:
        previous: _State | None = state
        heard = samples if previous is None else np.concatenate([previous.past, samples])[-self.block_samples :]
        level = samples * self._gain(heard)
        context = np.zeros(CONTEXT, dtype=np.float32) if previous is None else previous.context
        scores, lstm = self._score(context, level, None if previous is None else previous.lstm)
        return scores, _State(samples, level[-CONTEXT:], lstm)

    def _segment_live(self, samples: NDArray[np.float32], state: Any) -> tuple[NDArray[np.float32], Any]:
        past = state or self._silence_before()
        frames = np.split(np.square(samples, dtype=np.float64), range(FRAME, len(samples), FRAME))
        power = np.concatenate([past.power, [float(frame.mean()) for frame in frames]])
        gains = [self._gain_of(float(window.mean())) for window in sliding_window_view(power, len(past.power))[1:]]
        level = samples * np.repeat(np.array(gains, dtype=np.float32), FRAME)[: len(samples)]
        scores, lstm = self._score(past.context, level, past.lstm)
        return scores, _LiveState(power[-len(past.power) :], level[-CONTEXT:], lstm)

    def _silence_before(self) -> _LiveState:
        """What was heard before a live recording: 30 s of a level that asks for half the greatest gain.

        So the noise in front of the first words isn't blown up, and far-away voices are heard from the start.
        """
        level = 10 ** ((self.target_dbfs - self.max_gain_db / 2) / 10)
        return _LiveState(np.full(self.block_samples // FRAME, level), np.zeros(CONTEXT, dtype=np.float32), None)

    def _score(
        self, context: NDArray[np.float32], level: NDArray[np.float32], lstm: LstmState | None
    ) -> tuple[NDArray[np.float32], LstmState]:
        """Run the network over samples (n,) behind their context; return scores (frames, 1) and its memory."""
        padded = np.concatenate([context, level, np.zeros(-len(level) % FRAME, dtype=np.float32)])
        device = self.network.final_conv.weight.device
        batch = torch.from_numpy(padded)[None].to(device)  # (1, CONTEXT + T * FRAME)
        scores, after = self.network(batch, lstm)
        return scores[0, :, None].cpu().numpy(), after

    def _gain(self, samples: NDArray[np.float32]) -> np.float32:
        """Factor that brings samples to the target level, as far as `max_gain_db` allows."""
        return self._gain_of(float(np.mean(np.square(samples, dtype=np.float64))))

    def _gain_of(self, power: float) -> np.float32:
        """Factor for samples of this mean square."""
        if not self.normalize or power == 0:
            return np.float32(1)
        gain_db = min(self.max_gain_db, self.target_dbfs - 10 * math.log10(power))
        return np.float32(10 ** (gain_db / 20))


def _load(network: SileroNetwork) -> None:
    file = installed_file("silero-vad", WEIGHTS, extra="", purpose="SileroVad", install="pip install silero-vad")
    try:
        with warnings.catch_warnings():
            # torch discourages making new TorchScript files; this one is read for its weights and never run.
            warnings.simplefilter("ignore", DeprecationWarning)
            program = torch.jit.load(str(file), map_location="cpu")  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise WeightsError(f"{file} is no TorchScript file ({error}): install silero-vad anew.") from error
    load_weights(network, from_silero_names(program.state_dict()), file)
