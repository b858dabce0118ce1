"""Weightless models that keep the promises of the real ones, and the recordings that they understand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.config import DiarizeConfig
from speakerdiar.frames import FrameGrid, FrameScores
from speakerdiar.mixins import SpkDiarizationMixin, audio_dataloader
from speakerdiar.mixins.results import scores_to_diarization

TONES = (300.0, 700.0, 1500.0, 3100.0)
RATE = 16000
STEP = 0.1
FRAME = round(STEP * RATE)


def tones(turns: Sequence[tuple[float, float, int]], seconds: float, rate: int = RATE) -> np.ndarray:
    """A recording in which "speaker" k is a tone of `TONES[k]` Hz; turns are (start, end, k)."""
    time = np.arange(round(seconds * rate)) / rate
    samples = np.zeros(len(time), dtype=np.float32)
    for start, end, speaker in turns:
        inside = (time >= start) & (time < end)
        samples[inside] += 0.2 * np.sin(2 * np.pi * TONES[speaker] * time[inside]).astype(np.float32)
    return samples


def tone_reference(turns: Sequence[tuple[float, float, int]], seconds: float, id: str = "tones") -> Diarization:
    """The truth of `tones`, with the names that a diarizer must give."""
    return Diarization(id, seconds, tuple(Turn(s, e, f"tone{k}") for s, e, k in turns)).renamed()


class ToneDiarizer(torch.nn.Module, SpkDiarizationMixin):
    """Hears which of `TONES` sound in each tenth of a second; dropout would spoil its scores in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(200.0))
        self.dropout = torch.nn.Dropout(0.9)
        self.frozen = torch.nn.Dropout(0.9).eval()

    def _setup_diarize_dataloader(self, config: dict[str, Any]) -> DataLoader[Any]:
        return audio_dataloader(config)

    def _diarize_forward(self, batch: Any) -> torch.Tensor:
        waveforms, lengths = batch
        levels = self.levels(waveforms)
        frames = torch.arange(levels.shape[1], device=levels.device)
        valid = frames[None, :] * FRAME < lengths[:, None]
        scores: torch.Tensor = self.scores(levels) * valid[..., None]
        return scores

    def levels(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Loudness of each tone in each frame: (B, samples) -> (B, T, S)."""
        missing = max(FRAME - waveforms.shape[1], -waveforms.shape[1] % FRAME)
        padded = torch.nn.functional.pad(waveforms, (0, missing))
        spectrum = torch.fft.rfft(padded.reshape(len(waveforms), -1, FRAME) / FRAME).abs()  # (B, T, F)
        bins = [round(tone * STEP) for tone in TONES]
        levels: torch.Tensor = self.frozen(self.dropout(spectrum[..., bins]))
        return levels

    def scores(self, levels: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.gain * (levels - 0.03))

    def _diarize_output_processing(
        self, outputs: torch.Tensor, uniq_ids: list[str], diarcfg: DiarizeConfig
    ) -> list[Diarization]:
        assert diarcfg._internal is not None
        results = []
        for scores, id in zip(outputs, uniq_ids, strict=True):
            recording = diarcfg._internal.recordings[id]
            grid = FrameGrid(STEP)
            frames = grid.count(recording.duration or 0.0)
            results.append(scores_to_diarization(recording, FrameScores(scores[:frames].numpy(), grid), diarcfg))
        return results
