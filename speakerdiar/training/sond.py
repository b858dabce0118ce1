"""Training of SOND: from conversations and profiles to who speaks in each frame."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig

from speakerdiar.mixins.neural import inference_state
from speakerdiar.nn.preact_resnet import REDUCTION
from speakerdiar.nn.sond import SondNetwork
from speakerdiar.nn.sond_loss import SondObjective, pooled_activity
from speakerdiar.postprocessing.power_set_encoding import PowerSetEncoding
from speakerdiar.training.schedules import Schedule
from speakerdiar.training.simulated_conversations import Example


class SondTraining(pl.LightningModule):
    """Teaches SOND on batches of `Example`s of one length.

    Args:
        network: what learns.
        schedule: steps and learning rate.
        objective: weights of the losses.
        frozen_encoder: the encoder stays as it is, as in the first phase of training (Wang et al. 2023,
            arXiv:2303.05397), so that it goes on to match the profiles.
    """

    def __init__(
        self,
        network: SondNetwork,
        schedule: Schedule | None = None,
        objective: SondObjective | None = None,
        frozen_encoder: bool = True,
    ) -> None:
        super().__init__()
        self.network, self.frozen_encoder = network, frozen_encoder
        self.schedule, self.objective = schedule or Schedule(), objective or SondObjective()
        self.encoding = PowerSetEncoding(network.shape.speakers, network.shape.at_once)
        network.encoder.requires_grad_(not frozen_encoder)

    def on_train_batch_start(self, batch: Example, index: int) -> None:
        """Keep a frozen encoder in eval mode, so that its batch norms don't move."""
        if self.frozen_encoder:
            self.network.encoder.eval()

    def training_step(self, batch: Example, index: int) -> torch.Tensor:
        """Return the loss of a batch, and log its parts."""
        features, labels, profiles = batch
        lengths = torch.full((len(features),), features.shape[1])
        encoded, present = self.network.profiles(profiles)
        scores = self.network.scores(self.network.frames(features, lengths), encoded, present, lengths)
        logits = self.network.logits(scores, lengths)
        active = pooled_activity(labels)
        counts = torch.full((len(active),), active.shape[1])
        losses = self.objective(logits, scores, encoded, active, counts, self.encoding)
        self.log_dict({"loss": losses.total, "classes": losses.classes, "dependent": losses.dependent})
        return losses.total

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return what `Schedule.optimizers` makes."""
        return self.schedule.optimizers(self.parameters())

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
