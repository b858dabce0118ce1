"""SortformerDiarizer: the offline Sortformer, which hears a recording whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from typing_extensions import Self

from speakerdiar.annotation import Diarization
from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.folder import ModelCard
from speakerdiar.checkpoints.installed import load_weights
from speakerdiar.config import DiarizeConfig, PostProcessingParams
from speakerdiar.errors import WeightsError
from speakerdiar.frames import FrameGrid, FrameScores
from speakerdiar.mixins import SpkDiarizationMixin, audio_dataloader, scores_to_diarization
from speakerdiar.mixins.batches import waveforms_of
from speakerdiar.models.diarizers.sortformer_config import check_sizes, normalize_of, own_weights, shape_of
from speakerdiar.models.diarizers.sortformer_latency import FRAME_SECONDS
from speakerdiar.models.diarizers.sortformer_presets import POSTPROCESSING_V1
from speakerdiar.models.pretrained import PretrainedMixin, check_model, precision_of
from speakerdiar.nn.allocation import keep_freed_memory
from speakerdiar.nn.log_mel import LogMel, per_feature
from speakerdiar.nn.sortformer import SortformerNetwork, SortformerShape
from speakerdiar.recording import Recording

SILENCE_PEAK = 2.0**-15
"""Peak of digital silence: no sample is louder than the smallest step of 16 bits."""
PEAK_GUARD = 1e-3
SUBFRAME = 8
"""NeMo's released post-processing runs on 10 ms, and the published parameters were chosen with it."""


class SortformerDiarizer(torch.nn.Module, PretrainedMixin, SpkDiarizationMixin):
    """Up to four speakers, overlap included, from one network (Park et al. 2024, arXiv:2409.06656).

    The scores are those of NeMo 3.0.0 for a recording alone. Attention goes over the whole recording, so time grows
    with the square of its length: for more than some ten minutes take `StreamingSortformerDiarizer`, whose weights were
    trained for it. On a CPU recordings of a batch go through one by one, so that neighbours change nothing at all; on
    a GPU they are padded and masked, and may differ in the last digits.

    Args:
        network: with its weights.
        normalize: bring each mel band to mean 0 and deviation 1 over the recording (v1 models do).
        scale_peak: divide samples by the recording's maximum (offline models do).
        licence: of the weights, for the model card.
        source: where the weights come from, for the model card.
    """

    MODEL_NAME = "sortformer"
    POSTPROCESSING: ClassVar[Mapping[str, PostProcessingParams]] = POSTPROCESSING_V1

    def __init__(
        self,
        network: SortformerNetwork,
        *,
        normalize: bool = True,
        scale_peak: bool = True,
        licence: str = "",
        source: str = "",
    ) -> None:
        super().__init__()
        self.network = network
        self.mel = LogMel(network.shape.n_mels)
        self.normalize, self.scale_peak = normalize, scale_peak
        self.licence, self.source = licence, source
        self.sample_rate = self.mel.sample_rate
        self.eval().requires_grad_(False)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, *, precision: str = "fp32", compile: bool = False) -> Self:
        """Make the model of what was read; see `PretrainedMixin.from_checkpoint`."""
        config = checkpoint.config
        network = sortformer_network(checkpoint, cls.MODEL_NAME, precision, compile)
        if "target" not in config:
            own = {name: config[name] for name in ("normalize", "scale_peak", "licence", "source") if name in config}
            return cls(network, **own)
        offline = not config.get("streaming_mode")
        return cls(
            network,
            normalize=normalize_of(config, checkpoint.path),
            scale_peak=offline,
            source=f"converted from `{checkpoint.path.name}`",
        )

    def _setup_diarize_dataloader(self, config: dict[str, Any]) -> DataLoader[Any]:
        return audio_dataloader(config)

    def _diarize_forward(self, batch: Any) -> list[tuple[int, NDArray[np.float32]]]:
        """Return length in samples and scores (frames, speakers) of each recording."""
        waves = waveforms_of(batch)
        scores = self._scores([torch.from_numpy(np.asarray(wave, np.float32)) for wave in waves])
        return [(len(wave), found) for wave, found in zip(waves, scores, strict=True)]

    def _diarize_output_processing(
        self, outputs: Any, uniq_ids: list[str], diarcfg: DiarizeConfig
    ) -> list[Diarization]:
        assert diarcfg._internal is not None
        grid = FrameGrid(FRAME_SECONDS)
        found = []
        for id, (samples, scores) in zip(uniq_ids, outputs, strict=True):
            known = diarcfg._internal.recordings.get(id)
            recording = known or Recording(id, np.zeros(0, np.float32), self.sample_rate)
            if recording.duration is None and samples:
                recording = replace(recording, duration=samples / self.sample_rate)
            frames = FrameScores(scores, grid)
            if diarcfg.hook is not None:
                diarcfg.hook("scores", frames, recording.duration or 0.0, recording.duration or 0.0)
            found.append(scores_to_diarization(recording, frames, diarcfg, subframe=SUBFRAME))
        return found

    def _scores(self, waves: Sequence[torch.Tensor]) -> list[NDArray[np.float32]]:
        """Scores (frames, speakers) of each waveform (n,); a silent one gets none above 0."""
        device, dtype = placed(self.network)
        frames = [self.network.pre_encode(self._features(wave.to(device))[None].to(dtype))[0] for wave in waves]
        audible = [bool(len(wave)) and float(wave.abs().max()) > SILENCE_PEAK for wave in waves]
        if device.type == "cpu":
            scores = [self.network(row[None])[0] if len(row) else row.new_zeros(0, self.speakers) for row in frames]
        else:
            lengths = torch.tensor([len(row) for row in frames], device=device)
            padded = torch.nn.utils.rnn.pad_sequence(frames, batch_first=True)
            together = self.network(padded, lengths) if padded.shape[1] else padded[:, :, : self.speakers]
            scores = [row[:length] for row, length in zip(together, lengths.tolist(), strict=True)]
        return [(row * sounds).float().cpu().numpy() for row, sounds in zip(scores, audible, strict=True)]

    @property
    def speakers(self) -> int:
        """Most speakers that the network tells apart."""
        return self.network.shape.speakers

    @property
    def speaker_capacity(self) -> int:
        """Most speakers that the network tells apart."""
        return self.speakers

    def _features(self, samples: torch.Tensor) -> torch.Tensor:
        return session_features(self.mel, samples, normalize=self.normalize, scale_peak=self.scale_peak)

    def _saved_config(self) -> dict[str, Any]:
        return {
            "shape": asdict(self.network.shape),
            "normalize": self.normalize,
            "scale_peak": self.scale_peak,
            "licence": self.licence,
            "source": self.source,
        }

    def _saved_weights(self) -> dict[str, torch.Tensor]:
        return self.network.state_dict()

    def _card(self) -> ModelCard:
        return sortformer_card("Sortformer", self.speakers, self.licence, self.source)


def session_features(mel: LogMel, samples: torch.Tensor, *, normalize: bool, scale_peak: bool) -> torch.Tensor:
    """Return what the network hears of a whole recording, samples (n,): mel frames (T, n_mels).

    Args:
        mel: the front end.
        samples: the recording.
        normalize: bring each mel band to mean 0 and deviation 1 over the recording.
        scale_peak: divide samples by the recording's maximum.
    """
    if scale_peak and len(samples):
        samples = samples * (1 / (samples.max() + PEAK_GUARD))
    features: torch.Tensor = mel(samples)
    return per_feature(features) if normalize else features


def sortformer_network(
    checkpoint: Checkpoint, model: str, precision: str = "fp32", compile: bool = False
) -> SortformerNetwork:
    """Return the network of a checkpoint, with its weights; every tensor is accounted for.

    Raises:
        WeightsError: the weights belong to another model; the message names every tensor that doesn't fit.
        ConfigError: no such precision.
    """
    dtype = precision_of(precision)
    config, weights = checkpoint.config, checkpoint.weights
    if "target" in config:
        shape = shape_of(config, checkpoint.path)
    else:
        check_model(checkpoint, model)
        shape = _own_shape(config, checkpoint)
    check_sizes(shape, weights, checkpoint.path)
    if "target" in config:
        weights = own_weights(weights, shape, checkpoint.path)
    keep_freed_memory()
    with torch.device("meta"):  # no numbers are drawn for weights that come from the file
        network = SortformerNetwork(shape)
    load_weights(network, dict(weights), checkpoint.path)
    network.to(dtype)
    if compile:
        network.compile(dynamic=True)
    return network


def placed(network: SortformerNetwork) -> tuple[torch.device, torch.dtype]:
    """Return where a network's weights lie, and of which type they are."""
    weight = network.sortformer_modules.encoder_proj.weight
    return weight.device, weight.dtype


def sortformer_card(title: str, speakers: int, licence: str, source: str) -> ModelCard:
    """Return the model card of a Sortformer."""
    return ModelCard(
        title=title,
        summary=f"Says who spoke when in 16 kHz mono audio, up to {speakers} speakers, overlap included.",
        licence=licence or "as the source states it",
        source=source or "not known",
    )


def _own_shape(config: Mapping[str, Any], checkpoint: Checkpoint) -> SortformerShape:
    try:
        return SortformerShape(**config["shape"])
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{checkpoint.path}: config.yaml has no usable `shape` ({error}): get it anew.") from error
