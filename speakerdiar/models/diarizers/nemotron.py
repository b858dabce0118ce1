"""NemotronDiarizer: NVIDIA's Nemotron-3-Diarization, up to eight speakers, live and from files."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import Self

from speakerdiar.checkpoints.digests import sha256_of
from speakerdiar.checkpoints.folder import ModelCard
from speakerdiar.checkpoints.whole_folder import whole_folder
from speakerdiar.config import DiarizeConfig, PostProcessingParams
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.mixins.frame_streaming import FrameStreamingMixin
from speakerdiar.models.diarizers.nemotron_folder import (
    CARD,
    CONFIG,
    FILES,
    PROCESSOR,
    WEIGHTS,
    library,
    read_mel_type,
    read_network,
    write_network,
)
from speakerdiar.models.diarizers.nemotron_latency import LATENCIES, NemotronLatency
from speakerdiar.models.diarizers.nemotron_steps import MEL_FRAMES, NemotronStream, advance
from speakerdiar.models.diarizers.sortformer_presets import POSTPROCESSING_V2
from speakerdiar.models.opening import local_place
from speakerdiar.models.pretrained import precision_of, put_on
from speakerdiar.nn.log_mel import LogMel, MelStream

LICENCE = "OpenMDW-1.1"
"""Of the released weights."""


class NemotronDiarizer(torch.nn.Module, FrameStreamingMixin):
    """Up to eight speakers, overlap included, a decision each 10 ms; live, or from files of any length.

    The network and its speaker cache are those of transformers, with the same scores. A recording is heard chunk by
    chunk, each behind a cache of what its speakers sound like. Files are cut as the checkpoint's config says (`30.4s`
    in the released one) unless `latency` says otherwise; live audio takes `1.04s`. `max_speakers` or `num_speakers`
    closes the channels of later speakers before the cache sees them; fewer may be found. On a CPU recordings of a
    batch, or of a `SessionBatch`, go through one by one, so that neighbours change nothing at all; on a GPU those that
    stand at the same point share a forward, and may differ in the last digits. A recording begins with its first sound:
    scores of digital silence in front of it are 0.

    Args:
        network: transformers' `Nemotron3DiarizationForAudioFrameClassification`, with its weights.
        mel_type: type of numbers that the front end's filters and window are rounded to.

    Raises:
        MissingExtraError: transformers isn't installed, or too old.
        WeightsError: the network counts its frames otherwise than the released one.
    """

    LATENCIES: ClassVar[Mapping[str, NemotronLatency]] = LATENCIES
    LATENCY = NemotronLatency
    DEFAULT_LATENCY = "1.04s"
    FILE_LATENCY = "30.4s"
    FRAME_SECONDS = 0.01
    POSTPROCESSING: ClassVar[Mapping[str, PostProcessingParams]] = {
        "none": PostProcessingParams(),
        "readable": POSTPROCESSING_V2["readable"],
    }

    def __init__(self, network: Any, *, mel_type: torch.dtype = torch.float32) -> None:
        super().__init__()
        self._cache_class = library().Nemotron3DiarizationSpeakerCache
        config = network.config
        if config.audio_config.subsampling_factor != MEL_FRAMES:
            raise WeightsError(
                f"The network stacks {config.audio_config.subsampling_factor} mel frames to one: {MEL_FRAMES} are "
                "supported, as the released network has them."
            )
        self.network = network
        self.mel_type = mel_type
        self.mel = LogMel(config.audio_config.num_mel_bins)
        for constants in (self.mel.filters, self.mel.window):
            constants.copy_(constants.to(mel_type))
        self.sample_rate = self.mel.sample_rate
        self.eval().requires_grad_(False)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        precision: str = "fp32",
        device: str | torch.device | None = None,
        compile: bool = False,
        token: str | None = None,
        revision: str | None = None,
    ) -> Self:
        """Load weights: a folder of transformers, or a repository on the Hub that holds one.

        Args:
            name_or_path: the folder, or `owner/name`, such as `nvidia/Nemotron-3-Diarization`.
            precision: of the network: fp32, bf16 or fp16. Half precisions pay on a GPU.
            device: where to put it; None for the CPU.
            compile: compile the network's layers (`torch.compile`) when they first run; pays on a GPU, over many steps.
            token: for repositories whose access must be asked for.
            revision: a commit, branch or tag of the repository.

        Raises:
            MissingExtraError: transformers isn't installed, or too old; for a name of the Hub, huggingface_hub.
            WeightsError: no such weights, or weights that are broken or belong to another model.
            ConfigError: no such precision or device.
        """
        dtype = precision_of(precision)
        library()  # before anything is fetched
        folder = local_place(name_or_path, token=token, revision=revision, files=FILES, licence=LICENCE)
        network = read_network(folder, dtype)
        model = cls(network, mel_type=read_mel_type(folder))
        if compile:
            for layer in network.model.audio_tower.layers:
                layer.compile(dynamic=True)
        put_on(model, device)
        return model

    def save_pretrained(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write a folder that transformers reads too, whole or not at all, and return its path.

        Args:
            folder: where; missing folders above it are made.
            overwrite: replace a folder that an earlier call wrote. One that holds anything else is never touched.

        Raises:
            ConfigError: the folder isn't empty.
        """
        with whole_folder(folder, (CONFIG, WEIGHTS, PROCESSOR, CARD), overwrite=overwrite) as target:
            write_network(target, self.network, self.mel_type)
            (target / CARD).write_text(self._card().text(sha256_of(target / WEIGHTS)), encoding="utf-8")
        return Path(folder)

    @property
    def speakers(self) -> int:
        """Most speakers that the network tells apart."""
        return int(self.network.config.head_config.num_speakers)

    def _file_preset(self, latency: Any) -> NemotronLatency:
        if latency is not None:
            return self._stream_preset(latency)
        config = self.network.config
        return NemotronLatency(
            config.chunk_length,
            config.chunk_right_context,
            config.chunk_left_context,
            fifo_length=config.fifo_length,
            speaker_cache_update_period=config.speaker_cache_update_period,
        )

    def _stream_preset(self, latency: Any) -> NemotronLatency:
        preset: NemotronLatency = super()._stream_preset(latency)
        self._cache(preset)  # a cache too small for the speakers is refused at the call
        return preset

    def _cache(self, preset: NemotronLatency) -> Any:
        """Return an empty speaker cache."""
        config = self.network.config.streaming_config
        if preset.speaker_cache_length is not None:
            least = (1 + config.speaker_cache_silence_frames_per_speaker) * self.speakers
            if preset.speaker_cache_length < least:
                raise ConfigError(
                    f"speaker_cache_length={preset.speaker_cache_length}: {self.speakers} speakers and their silence "
                    f"take {least} frames at least."
                )
            config = copy.copy(config)
            config.speaker_cache_length = preset.speaker_cache_length
        return self._cache_class(
            config,
            fifo_length=preset.fifo_length,
            speaker_cache_update_period=preset.speaker_cache_update_period,
        )

    def _begin(self, preset: NemotronLatency, diarcfg: DiarizeConfig, most: int | None) -> NemotronStream:
        nothing = self.mel.filters.new_zeros(0, self.mel.n_mels)
        channels = torch.arange(self.speakers, device=nothing.device)
        return NemotronStream(
            preset=preset,
            features=MelStream(self.mel),
            cache=self._cache(preset),
            live=self._live_turns(diarcfg),
            open=channels < (self.speakers if most is None else most),
            waiting=nothing,
            before=nothing,
        )

    def _stream_need(self, state: NemotronStream) -> int:
        return self.mel.samples(state.due) - state.samples

    def _advance(
        self, states: Sequence[NemotronStream], blocks: Sequence[np.ndarray], last: bool
    ) -> list[NDArray[np.float32]]:
        device = self.mel.filters.device
        for state, block in zip(states, blocks, strict=True):
            state.take(torch.from_numpy(np.asarray(block, np.float32)).to(device), last)
        scores = advance(self.network, states, last, together=device.type != "cpu")
        return [row.cpu().numpy() for row in scores]

    def _card(self) -> ModelCard:
        return ModelCard(
            title="Nemotron-3-Diarization",
            summary=f"Says who spoke when in 16 kHz mono audio, up to {self.speakers} speakers, overlap included.",
            licence=f"{LICENCE}, if these are the weights that NVIDIA released",
            source="saved by `NemotronDiarizer.save_pretrained`",
        )
