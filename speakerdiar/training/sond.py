"""Training of SOND: from conversations and profiles to who speaks in each frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.frames import FrameGrid, segments_of
from speakerdiar.metrics import DiarizationErrorRate
from speakerdiar.mixins.neural import inference_state
from speakerdiar.nn.preact_resnet import REDUCTION
from speakerdiar.nn.sond import SondNetwork
from speakerdiar.nn.sond_loss import SondObjective, pooled_activity
from speakerdiar.postprocessing.power_set_encoding import PowerSetEncoding
from speakerdiar.training.config import OptimConfig
from speakerdiar.training.learner import Learner
from speakerdiar.training.simulated_conversations import Example

GRID = FrameGrid(0.01)
"""Frames of the filter bank."""
Active = NDArray[np.bool_]


class SondLearner(Learner):
    """Teaches SOND on batches of `Example`s of one length, and judges it by the turns that it finds.

    Args:
        network: what learns.
        optim: how its weights move.
        steps: of the whole training.
        objective: weights of the losses.
        frozen_encoder: the encoder stays as it is, as in the first phase of training (Wang et al. 2023,
            arXiv:2303.05397), so that it goes on to match the profiles.
    """

    def __init__(
        self,
        network: SondNetwork,
        optim: OptimConfig,
        steps: int,
        objective: SondObjective | None = None,
        frozen_encoder: bool = True,
    ) -> None:
        super().__init__(network, optim, steps)
        self.frozen_encoder, self.objective = frozen_encoder, objective or SondObjective()
        self.encoding = PowerSetEncoding(network.shape.speakers, network.shape.at_once)
        network.encoder.requires_grad_(not frozen_encoder)
        for unused in (network.encoder.resnet1_bn, network.encoder.resnet2_dense, network.encoder.resnet2_bn):
            unused.requires_grad_(False)

    network: SondNetwork

    def on_train_batch_start(self, batch: Example, index: int) -> None:
        """Keep a frozen encoder in eval mode, so that its batch norms don't move."""
        if self.frozen_encoder:
            self.network.encoder.eval()

    def losses(self, batch: Example) -> dict[str, torch.Tensor]:
        """Return the loss of a batch, and its parts."""
        features, labels, profiles = batch
        lengths = torch.full((len(features),), features.shape[1])
        encoded, present = self.network.profiles(profiles)
        scores = self.network.scores(self.network.frames(features, lengths), encoded, present, lengths)
        logits = self.network.logits(scores, lengths)
        active = pooled_activity(labels)
        counts = torch.full((len(active),), active.shape[1])
        losses = self.objective(logits, scores, encoded, active, counts, self.encoding)
        return {"loss": losses.total, "classes": losses.classes, "dependent": losses.dependent}

    def observed(self, batch: Example) -> list[tuple[Active, Active]]:
        """Return who speaks and who is heard, (T, S) each, in the conversations of a batch."""
        truth, heard = (batch.labels > 0).cpu().numpy(), self.spoken(batch).cpu().numpy()
        return list(zip(truth, heard, strict=True))

    def judged(self, observations: list[Any]) -> dict[str, float]:
        """Return the error rates of all conversations: `der` pairs speakers for the best, `named` goes by profiles."""
        pairs = [pair for batch in observations for pair in batch]
        rate = DiarizationErrorRate()
        for index, (truth, heard) in enumerate(pairs):
            rate.add(as_turns(truth, index), as_turns(heard, index))
        truths, found = (np.concatenate(part) for part in zip(*pairs, strict=True))
        return {"der": rate.total.rate, "named": named_error(truths, found)}

    def spoken(self, batch: Example) -> torch.Tensor:
        """Return whom of those with a profile the network hears in each frame of the filter bank: bool, (B, T, S)."""
        features, _, profiles = batch
        with inference_state(self.network):
            logits = self.network(features, torch.full((len(features),), features.shape[1]), profiles)
        members = torch.from_numpy(self.encoding.members).to(logits.device)  # (classes, S)
        absent = torch.linalg.vector_norm(profiles, dim=2) == 0  # (B, S)
        impossible = (members[None] & absent[:, None]).any(dim=2)  # (B, classes)
        classes = logits.masked_fill(impossible[:, None], -torch.inf).argmax(dim=2)
        return members[classes].repeat_interleave(REDUCTION, dim=1)[:, : features.shape[1]]


def as_turns(active: Active, index: int) -> Diarization:
    """Return who is active in which frame, (T, S), as turns of a conversation of that number."""
    found = [
        Turn(part.start, part.end, f"slot{slot}")
        for slot, column in enumerate(active.T)
        for part in segments_of(column, GRID)
    ]
    return Diarization(f"{index}", GRID.time(len(active)), tuple(found))


def named_error(truth: Active, heard: Active) -> float:
    """Return missed, false and confused time over the time of all speakers, (T, S), with names as they are."""
    wrong = np.maximum(truth.sum(axis=1), heard.sum(axis=1)) - (truth & heard).sum(axis=1)
    return float(wrong.sum() / max(1, truth.sum()))
