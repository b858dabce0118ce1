"""SOND and its speaker network learn: the loss falls, and whom SOND names is right more often than before."""

from __future__ import annotations

from functools import cache
from itertools import islice

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset
from voice_clips import RATE, voice

from speakerdiar.nn.kaldi_fbank import FbankOptions, KaldiFbank
from speakerdiar.nn.sond import SondNetwork, SondSpeakerNetwork
from speakerdiar.nn.sond_loss import SondObjective
from speakerdiar.nn.sond_shape import SondShape, SondSpeakerShape
from speakerdiar.training.config import OptimConfig
from speakerdiar.training.simulated_conversations import ConversationRecipe, Example, SimulatedConversations
from speakerdiar.training.sond import SondLearner, as_turns, named_error
from speakerdiar.training.sond_speakers import SondSpeakerLearner, VoiceCrops, profile_vectors, start_encoder

# Lightning's own: the small loaders of these tests need no workers, and torch renames what Lightning calls.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
]

HELD_OUT = 6
FBANK = KaldiFbank(FbankOptions(sample_rate=RATE, mel_bins=24, snip_edges=False))
SHAPE = SondShape(
    filters=(4, 4, 8, 8),
    blocks=(1, 1, 1, 1),
    mel_bins=24,
    pooled=16,
    dimension=16,
    last=16,
    window=4,
    momentum=0.1,
    speakers=3,
    at_once=2,
    speaker_encoder=None,
    normalize_speech_speaker=True,
    cd_layers=1,
    cd_heads=2,
    cd_inner=32,
    fsmn_layers=1,
    fsmn_units=32,
    fsmn_inner=32,
    fsmn_kernel=5,
)
RECIPE = ConversationRecipe(seconds=2.4, speakers=(1, 2), absent=(0, 1), slots=3)
OPTIM = OptimConfig(rate=1e-2, warmup=0.2)
OBJECTIVE = SondObjective(smoothing=0.0, distance=0.0, scores=0.1)


class Losses(pl.Callback):
    def __init__(self) -> None:
        self.all: list[float] = []

    def on_train_batch_end(self, trainer: object, module: object, outputs: object, batch: object, index: int) -> None:
        assert isinstance(outputs, dict)
        self.all.append(float(outputs["loss"]))


def fit(module: pl.LightningModule, data: IterableDataset[object], steps: int, batch: int) -> list[float]:
    losses = Losses()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=steps,
        max_epochs=-1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[losses],
    )
    loader = DataLoader(data, batch_size=batch)
    trainer.fit(module, loader, loader)
    return losses.all


@cache
def voices() -> dict[str, list[NDArray[np.float32]]]:
    return {f"v{seed}": voice(seed) for seed in range(24)}


def speaker_network() -> SondSpeakerNetwork:
    torch.manual_seed(0)
    return SondSpeakerNetwork(SondSpeakerShape(SHAPE.trunk, SHAPE.dimension, SHAPE.last, 2))


@cache
def trained_speakers() -> tuple[SondSpeakerNetwork, list[float]]:
    """Return a network that has learned to tell all but the held-out voices apart, and its losses."""
    known = sorted(voices())[HELD_OUT:]
    features = [torch.cat([FBANK(torch.from_numpy(clip)) for clip in voices()[name]]) for name in known]
    network = speaker_network()
    module = SondSpeakerLearner(network, OPTIM, 60, len(features))
    return network, fit(module, VoiceCrops(features, frames=40), 60, 16)


def learner(
    steps: int, speakers: SondSpeakerNetwork, frozen_encoder: bool = True
) -> tuple[SondLearner, SimulatedConversations, list[Example]]:
    """Return a module, conversations to learn from, and some of people who aren't among those."""
    profiles = profile_vectors(speakers, FBANK, {name: clips[:2] for name, clips in voices().items()})
    talk = {name: clips[2:] for name, clips in voices().items()}
    known, held_out = (
        {name: talk[name] for name in names} for names in (sorted(talk)[HELD_OUT:], sorted(talk)[:HELD_OUT])
    )
    judged = list(islice(SimulatedConversations(held_out, profiles, FBANK, RECIPE, 1), 24))
    torch.manual_seed(0)
    network = SondNetwork(SHAPE)
    start_encoder(network, speakers)
    module = SondLearner(network, OPTIM, steps, OBJECTIVE, frozen_encoder)
    return module, SimulatedConversations(known, profiles, FBANK, RECIPE), judged


def accuracy(module: SondLearner, judged: list[Example]) -> float:
    """Return the share of frames with one speaker in which that one alone is heard."""
    batch = Example(*(torch.stack(parts) for parts in zip(*judged, strict=True)))
    heard, truth = module.spoken(batch), batch.labels > 0
    alone = truth.sum(dim=2) == 1
    return float((heard == truth).all(dim=2)[alone].float().mean())


def exchanged(example: Example) -> Example:
    """Return a conversation in which everyone stands under the profile of another one."""
    slots = example.profiles.abs().sum(dim=1).nonzero()[:, 0]
    profiles = example.profiles.clone()
    profiles[slots] = example.profiles[slots.roll(1)]
    return example._replace(profiles=profiles)


def test_the_speaker_network_learns_to_tell_people_apart() -> None:
    _, losses = trained_speakers()
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_sond_learns_to_name_voices_that_it_never_heard() -> None:
    module, data, judged = learner(80, trained_speakers()[0])
    before = accuracy(module, judged)
    losses = fit(module, data, 80, 8)
    after = accuracy(module, judged)
    several = [example for example in judged if (example.profiles.abs().sum(dim=1) > 0).sum() > 1]
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:10])
    assert after > max(0.7, before + 0.2)
    # It goes by the profiles: those who stand under another's name are given that name.
    assert accuracy(module, [exchanged(example) for example in several]) < 0.5 * after


def test_the_seed_decides() -> None:
    runs = []
    for _ in range(2):
        module, data, _ = learner(3, speaker_network())
        runs.append(fit(module, data, 3, 2))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_encoder_stays_as_it_was(frozen: bool) -> None:
    module, data, _ = learner(3, speaker_network(), frozen)
    before = {name: weight.clone() for name, weight in module.network.encoder.state_dict().items()}
    fit(module, data, 3, 2)
    after = module.network.encoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before) == frozen


def test_only_those_with_a_profile_are_heard() -> None:
    module, _, judged = learner(3, speaker_network())
    without = Example(judged[0].features[None], judged[0].labels[None], judged[0].profiles[None].clone())
    without.profiles[0, 1:] = 0
    without.profiles[0, 0] = 1
    heard = module.spoken(without)
    assert heard.shape == without.labels.shape
    assert not heard[..., 1:].any()


def test_hearing_leaves_modes_alone() -> None:
    module, _, judged = learner(3, speaker_network())
    module.train()
    module.network.decoder.eval()
    modes = {name: part.training for name, part in module.named_modules()}
    module.spoken(Example(*(part[None] for part in judged[0])))
    assert {name: part.training for name, part in module.named_modules()} == modes


def test_sond_begins_with_the_speaker_network() -> None:
    """A window that sees the whole of a short sound gives its profile."""
    speakers = speaker_network().eval()
    network = SondNetwork(SHAPE).eval()
    start_encoder(network, speakers)
    features = torch.randn(1, 8, SHAPE.mel_bins)
    lengths = torch.tensor([8])
    torch.testing.assert_close(network.frames(features, lengths)[:, 0], speakers(features, lengths))


def test_a_validation_pairs_speakers_and_knows_their_names() -> None:
    module, _, judged = learner(3, speaker_network())
    truth = judged[0].labels.numpy() > 0
    right = module.judged([[(truth, truth)], [(truth, truth)]])
    assert right == {"der": 0.0, "named": 0.0}
    renamed = module.judged([[(truth, np.roll(truth, 1, axis=1))]])
    assert renamed["der"] == 0.0
    assert renamed["named"] > 0.5
    silent = module.judged([[(truth, np.zeros_like(truth))]])
    assert silent == {"der": pytest.approx(1.0), "named": 1.0}
    observed = module.observed(Example(*(torch.stack(parts) for parts in zip(*judged[:3], strict=True))))
    assert [(one.shape, other.shape) for one, other in observed] == [(truth.shape, truth.shape)] * 3
    assert {turn.speaker for turn in as_turns(truth, 0)} == {
        f"slot{slot}" for slot in np.flatnonzero(truth.any(axis=0))
    }
    assert named_error(truth, truth) == 0


def test_all_free_weights_take_part_in_the_loss() -> None:
    """Training on several devices waits for the gradients of all of them."""
    module, data, _ = learner(3, speaker_network(), frozen_encoder=False)
    batch = Example(*(torch.stack(parts) for parts in zip(*islice(data, 4), strict=True)))
    speakers = SondSpeakerLearner(speaker_network(), OPTIM, 3, 2)
    for one, losses in (
        (module, module.losses(batch)),
        (speakers, speakers.losses((batch.features, torch.arange(4) % 2))),
    ):
        torch.autograd.backward(losses["loss"])
        assert [name for name, weight in one.named_parameters() if weight.requires_grad and weight.grad is None] == []
