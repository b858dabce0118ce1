"""SOND: which of the speakers whose profiles it is given talk in each frame of a recording.

    features -> encoder: frames of 80 ms ─┬─> context-dependent scores ──┐
                                          ├─> context-independent scores ┴─> combiner -> sets of speakers
    profiles -> speaker encoder ──────────┘

Source: Du et al. 2022, "Speaker Overlap-aware Neural Diarization for Multi-party Meeting Analysis", arXiv:2211.10243.
Parameters are named as FunASR's checkpoints name them. B recordings, T frames of the filter bank, L = ceil(T / 8)
frames of D numbers, S slots for speakers.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from speakerdiar.errors import SpeakerCountError
from speakerdiar.nn.conv_encoder import ConvEncoder
from speakerdiar.nn.fsmn import FsmnEncoder
from speakerdiar.nn.preact_resnet import EPSILON, REDUCTION, PreactResNet, each_length, frame_count
from speakerdiar.nn.sond_scorers import ContextScorer, pairs
from speakerdiar.nn.sond_shape import SondShape, SondSpeakerShape
from speakerdiar.nn.windowed_pooling import whole_statistics, windowed_statistics

FRAMES_AT_ONCE = 3200
"""Frames, beside one profile each, that are scored at a time: 16 speakers over 16 s (50 MB at 512 numbers)."""


class WindowedEncoder(PreactResNet):
    """Residual network, pooling over the window around each frame, and projection.

    The layers behind the projection are unused. FunASR's checkpoints hold them, and FunASR refuses those without.
    """

    def __init__(self, shape: SondShape) -> None:
        super().__init__(shape.trunk)
        self.window = shape.window
        self.resnet1_dense = nn.Linear(2 * shape.pooled, shape.dimension)
        self.resnet1_bn = nn.BatchNorm1d(shape.dimension, EPSILON, shape.momentum)
        self.resnet2_dense = nn.Linear(shape.dimension, shape.last)
        self.resnet2_bn = nn.BatchNorm1d(shape.last, EPSILON, shape.momentum)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the frames (B, L, D) of features (B, T, mel_bins), all of which are of full length."""
        frames: torch.Tensor = self.resnet1_dense(windowed_statistics(self.trunk(features), self.window))
        return frames


class SondNetwork(nn.Module):
    """The network, with random weights.

    What it returns for a recording doesn't depend on what else is in the batch: neither on its padding nor on the
    profiles of others.

    Args:
        shape: sizes.
        frames_at_once: frames, beside one profile each, that the scorers see at a time; less takes less memory.
    """

    def __init__(self, shape: SondShape, frames_at_once: int = FRAMES_AT_ONCE) -> None:
        super().__init__()
        self.shape = shape
        self.frames_at_once = frames_at_once
        self.encoder = WindowedEncoder(shape)
        self.speaker_encoder: ConvEncoder | None = None
        if shape.speaker_encoder is not None:
            self.speaker_encoder = ConvEncoder(
                shape.speaker_encoder, shape.dimension, shape.speaker_units, shape.dimension
            )
        width = 2 * shape.dimension
        self.cd_scorer = ContextScorer(width, shape.cd_layers, shape.cd_heads, shape.cd_inner)
        self.ci_scorer = ConvEncoder(shape.ci_layers, width, shape.ci_units, 1) if shape.ci_scorer == "conv" else None
        self.decoder = FsmnEncoder(shape.fsmn)

    @property
    def reach(self) -> int:
        """Frames of the filter bank that a frame sees on either side of its first."""
        return self.shape.trunk.reach + REDUCTION * (self.shape.window // 2)

    def frames(self, features: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the frames (B, L, D) of features (B, T, mel_bins), zero behind the end of each recording.

        Args:
            features: filter banks; what lies behind the end of a recording isn't looked at.
            lengths: frames of the filter bank that each recording has, (B,); 1 or more.
        """
        found = features.new_zeros(len(features), frame_count(features.shape[1]), self.shape.dimension)
        for rows, alike in each_length(features, lengths):
            frames = self.encoder(alike)
            found[rows, : frames.shape[1]] = frames.to(found.dtype)  # autocast gives halves
        return found

    def profiles(self, raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode speaker profiles.

        Args:
            raw: (B, N, D) with N of S or less; of any length, and zero for a speaker who isn't there.

        Returns:
            What the scorers see, (B, S, D), zero for absent speakers, and who is present, (B, S) bool.

        Raises:
            SpeakerCountError: N is greater than S.
        """
        slots = self.shape.speakers
        if raw.shape[1] > slots:
            raise SpeakerCountError(f"{raw.shape[1]} speakers: this network takes {slots} profiles at most.")
        raw = functional.pad(raw, (0, 0, 0, slots - raw.shape[1]))
        present = torch.linalg.vector_norm(raw, dim=2) > 0
        encoded = functional.normalize(raw, dim=2)
        if self.speaker_encoder is not None:
            encoded = self.speaker_encoder(encoded) * present[:, :, None]
        return encoded, present

    def scores(
        self, frames: torch.Tensor, encoded: torch.Tensor, present: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Compare frames with speakers.

        Args:
            frames: (B, L, D), from `frames`.
            encoded: (B, S, D), from `profiles`.
            present: (B, S), from `profiles`.
            lengths: frames of the filter bank that each recording has, (B,).

        Returns:
            (B, L, 2 S): the context-dependent scores of all slots, then the context-independent ones. Those of absent
            speakers of a recording are alike.
        """
        if self.shape.normalize_speech_speaker:
            frames, encoded = functional.normalize(frames, dim=2), functional.normalize(encoded, dim=2)
        recordings, speakers, place = pairs(present)
        vectors, valid = encoded[recordings, speakers], self.valid(frames, lengths)
        step = max(1, self.frames_at_once // max(1, frames.shape[1]))
        found = []
        for some in range(0, len(recordings), step):
            rows = recordings[some : some + step]
            beside = vectors[some : some + step, None].expand(-1, frames.shape[1], -1)
            masks = None if valid is None else valid[rows]
            found.append(self._scored(torch.cat([frames[rows], beside], dim=2), masks))
        scores = torch.cat(found)[place].transpose(1, 2)  # (B, L, S, 1 or 2)
        independent = frames @ encoded.transpose(1, 2) if self.ci_scorer is None else scores[..., 1]
        return torch.cat([scores[..., 0], independent], dim=2)

    def logits(self, scores: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, L, classes) of scores (B, L, 2 S)."""
        found: torch.Tensor = self.decoder(scores, self.valid(scores, lengths))
        return found

    def forward(self, features: torch.Tensor, lengths: torch.Tensor, profiles: torch.Tensor) -> torch.Tensor:
        """Return the logits of each set of speakers in each frame of 80 ms.

        Args:
            features: filter banks, (B, T, mel_bins).
            lengths: frames that each recording has, (B,); 1 or more.
            profiles: (B, N, D) with N of S or less, as `profiles` takes them.

        Returns:
            (B, L, classes), in the order of ascending power-set tokens.
        """
        encoded, present = self.profiles(profiles)
        scores = self.scores(self.frames(features, lengths), encoded, present, lengths)
        return self.logits(scores, lengths)

    @staticmethod
    def valid(frames: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor | None:
        """Return which of the frames (B, L, any) aren't padding, (B, L) bool; None where none is."""
        counts = [frame_count(length) for length in lengths.tolist()]
        if min(counts, default=0) >= frames.shape[1]:
            return None
        return torch.arange(frames.shape[1], device=frames.device) < torch.tensor(counts, device=frames.device)[:, None]

    def _scored(self, rows: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Scores of frames beside profiles (P, L, 2 D): (P, L, 1), or (P, L, 2) with learned independent ones."""
        dependent: torch.Tensor = self.cd_scorer(rows, valid)
        return dependent if self.ci_scorer is None else torch.cat([dependent, self.ci_scorer(rows)], dim=2)


class SpeakerDecoder(nn.Module):
    """Layers of the speaker network behind pooling; the first one's output is the profile, training uses the rest."""

    def __init__(self, shape: SondSpeakerShape) -> None:
        super().__init__()
        self.resnet1_dense = nn.Linear(2 * shape.trunk.outputs, shape.dimension)
        self.resnet1_bn = nn.BatchNorm1d(shape.dimension, EPSILON, shape.trunk.momentum)
        self.resnet2_dense = nn.Linear(shape.dimension, shape.last)
        self.resnet2_bn = nn.BatchNorm1d(shape.last, EPSILON, shape.trunk.momentum)
        self.output_dense = nn.Linear(shape.last, shape.classes, bias=False)


class SondSpeakerNetwork(nn.Module):
    """The network that makes SOND's speaker profiles, with random weights."""

    def __init__(self, shape: SondSpeakerShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = PreactResNet(shape.trunk)
        self.decoder = SpeakerDecoder(shape)

    def forward(self, features: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the profiles (B, D) of features (B, T, mel_bins) with lengths (B,), each 1 or more."""
        pooled = features.new_zeros(len(features), 2 * self.shape.trunk.outputs)
        for rows, alike in each_length(features, lengths):
            pooled[rows] = whole_statistics(self.encoder.trunk(alike)).to(pooled.dtype)
        profiles: torch.Tensor = self.decoder.resnet1_dense(pooled)
        return profiles
