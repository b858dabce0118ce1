"""What SOND is trained on: labels of its frames, and how far the network is from them.

Sources: Du et al. 2022, arXiv:2211.10243, section 2.5, and FunASR's DiarSondModel. B recordings, T frames of the filter
bank, L frames of the network, S slots for speakers, D numbers of a profile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from speakerdiar.errors import InputError
from speakerdiar.nn.preact_resnet import REDUCTION
from speakerdiar.postprocessing.power_set_encoding import PowerSetEncoding

TOLERANCE = 2
"""Frames that labels may be longer or shorter than what the network returned; the rest is cut off."""


@dataclass(frozen=True)
class SondLosses:
    """What one batch lost, each a tensor of no axes.

    Attributes:
        total: what is minimized, the weighted sum of the others.
        classes: of the sets of speakers.
        distance: of encoded profiles that are near each other.
        dependent: of the context-dependent scores.
        independent: of the context-independent scores.
    """

    total: torch.Tensor
    classes: torch.Tensor
    distance: torch.Tensor
    dependent: torch.Tensor
    independent: torch.Tensor


@dataclass(frozen=True)
class SondObjective:
    """Weights of the losses; the defaults are those of the model for AliMeeting.

    That for CALLHOME was trained with a smoothing of 0, a distance weight of 0 and a score weight of 0.1.

    Attributes:
        smoothing: share of each frame's label that all other classes get.
        distance: weight of `speaker_distance_loss`.
        scores: weight of `score_loss`, once for each of the two scorers.
        per_frame: losses are means over frames; else sums over frames, and means over recordings.
    """

    smoothing: float = 0.1
    distance: float = 1.0
    scores: float = 0.0
    per_frame: bool = True

    def __call__(
        self,
        logits: torch.Tensor,
        scores: torch.Tensor,
        encoded: torch.Tensor,
        activity: torch.Tensor,
        lengths: torch.Tensor,
        encoding: PowerSetEncoding,
    ) -> SondLosses:
        """Compare what the network returned with who talks.

        Args:
            logits: (B, L, classes), of `SondNetwork.logits`.
            scores: (B, L, 2 S), of `SondNetwork.scores`.
            encoded: (B, S, D), of `SondNetwork.profiles`.
            activity: who talks in each frame of the network, (B, about L, S), of `pooled_activity`.
            lengths: frames of `activity` that each recording has, (B,).
            encoding: the sets of speakers.

        Raises:
            InputError: `activity` differs from L by more frames than `TOLERANCE`.
        """
        if abs(activity.shape[1] - logits.shape[1]) > TOLERANCE:
            raise InputError(f"{activity.shape[1]} frames of labels for {logits.shape[1]} frames: pool them first.")
        frames = min(activity.shape[1], logits.shape[1])
        labels = class_labels(activity[:, :frames], encoding)
        members = torch.from_numpy(encoding.members).to(labels.device)[labels]
        dependent, independent = scores[:, :frames].chunk(2, dim=2)
        classes = class_loss(logits[:, :frames], labels, lengths, self.smoothing, self.per_frame)
        apart = speaker_distance_loss(encoded)
        by_context = score_loss(dependent, members, lengths, self.per_frame)
        alone = score_loss(independent, members, lengths, self.per_frame)
        total = classes + self.distance * apart + self.scores * (by_context + alone)
        return SondLosses(total, classes, apart, by_context, alone)


def pooled_activity(activity: torch.Tensor, hop: int = REDUCTION) -> torch.Tensor:
    """Return who talks anywhere in each run of `hop` frames, (B, T // hop, S), of activity (B, T, S).

    A recording of n frames has n // hop of the result; the network returns one more where a rest is left.
    """
    return functional.max_pool1d(activity.transpose(1, 2), hop, hop).transpose(1, 2)


def majority_activity(
    activity: torch.Tensor, lengths: torch.Tensor, window: int, hop: int = REDUCTION
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return who talks for more than half of the window around each `hop`-th frame.

    The first and last half window of a recording are repeated where a window passes its ends.

    Args:
        activity: of 0 and 1, (B, T, S).
        lengths: frames that each recording has, (B,); half a window or more.
        window: frames.
        hop: frames from one window to the next.

    Returns:
        Of 0 and 1, (B, L, S), zero behind the end of each recording, and the frames that each has, (B,).
    """
    half = window // 2
    counts = (lengths + 2 * half - window) // hop + 1
    found = activity.new_zeros(len(activity), int(counts.max()), activity.shape[2])
    for row, length, count in zip(range(len(found)), lengths.tolist(), counts.tolist(), strict=True):
        own = activity[row, :length]
        padded = torch.cat([own[:half], own, own[length - half :]])
        found[row, :count] = padded.unfold(0, window, hop).sum(2) > half
    return found, counts


def class_labels(activity: torch.Tensor, encoding: PowerSetEncoding) -> torch.Tensor:
    """Return the class of each frame, (B, L) int64, from who talks in it, (B, L, S).

    Where more talk at once than the encoding has sets for, those who began first are kept; see
    `PowerSetEncoding.classes_of`. (FunASR labels such frames as silence.)
    """
    rows = [encoding.classes_of(row) for row in (activity > 0).cpu().numpy()]
    return torch.from_numpy(np.stack(rows)).to(activity.device)


def class_loss(
    logits: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor, smoothing: float = 0.1, per_frame: bool = True
) -> torch.Tensor:
    """Return the divergence of smoothed labels from what the network says: (B, L, classes), (B, L) and (B,).

    Source: Szegedy et al. 2016, arXiv:1512.00567, section 7. All classes but the frame's share `smoothing` equally.
    """
    said = logits.log_softmax(2)
    right, others = 1 - smoothing, smoothing / (logits.shape[2] - 1)
    own = said.gather(2, labels[:, :, None])[..., 0]
    crossed = right * own + others * (said.sum(2) - own)
    wanted = torch.tensor([right, smoothing, others], dtype=torch.float64)
    certainty = torch.xlogy(wanted[0], wanted[0]) + torch.xlogy(wanted[1], wanted[2])
    return _averaged(float(certainty) - crossed, lengths, per_frame)


def score_loss(
    scores: torch.Tensor, activity: torch.Tensor, lengths: torch.Tensor, per_frame: bool = True
) -> torch.Tensor:
    """Return the binary cross entropy of scores (B, L, S) against who talks (B, L, S), summed over speakers."""
    lost = functional.binary_cross_entropy_with_logits(scores, activity.to(scores.dtype), reduction="none")
    return _averaged(lost.sum(2), lengths, per_frame)


def speaker_distance_loss(encoded: torch.Tensor) -> torch.Tensor:
    """Return how near to each other the encoded profiles (B, S, D) of a recording are; those of zero don't count.

    For each pair and either of the two: its length times the cosine between them, where that is above 0. The mean over
    all pairs of the batch; 0 where there is none (FunASR then has no number).
    """
    lengths = torch.linalg.vector_norm(encoded, dim=2)
    there = lengths > 0
    both = (there[:, :, None] & there[:, None, :]).to(encoded.dtype)
    both = both * (1 - torch.eye(encoded.shape[1], device=encoded.device, dtype=encoded.dtype))
    directions = functional.normalize(encoded, dim=2)
    near = (directions @ directions.transpose(1, 2)).clamp(0, 1)
    found: torch.Tensor = (near * lengths[:, :, None] * both).sum() / both.sum().clamp_min(1)
    return found


def _averaged(lost: torch.Tensor, lengths: torch.Tensor, per_frame: bool) -> torch.Tensor:
    """Sum what frames (B, L) lost, padding aside, and divide by their count or by that of recordings."""
    valid = torch.arange(lost.shape[1], device=lost.device) < lengths.to(lost.device)[:, None]
    total = lost.masked_fill(~valid, 0).sum()
    return total / (valid.sum().clamp_min(1) if per_frame else len(lost))
