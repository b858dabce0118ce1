"""A small SOND trained for some hundred steps on simulated conversations, judged on people it never heard.

    python benchmarks/sond_training.py --speech POOL [--speaker-steps N] [--steps N] [--seed N]

POOL is a folder of single-speaker clips with a `manifest.jsonl` whose lines hold `audio`, `speaker` and `utterances`
(start and end in seconds). Every sixth person is held out. A first training tells the others apart and gives profiles
and SOND's encoder; a second one, with the encoder frozen, teaches SOND who speaks when. Profiles and conversations are
made of different clips. The table is about conversations of held-out people: `named` is the share of speaker time that
is missed, false or given to another name; `DER` pairs speakers so that it comes out best; `right name` is the share of
frames with one speaker in which that one, and nobody else, is heard.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torch.utils.data import DataLoader

from speakerdiar.audio import load
from speakerdiar.metrics import DiarizationErrorRate
from speakerdiar.mixins.neural import inference_state
from speakerdiar.nn.kaldi_fbank import FbankOptions, KaldiFbank
from speakerdiar.nn.preact_resnet import REDUCTION
from speakerdiar.nn.sond import SondNetwork, SondSpeakerNetwork
from speakerdiar.nn.sond_loss import SondObjective
from speakerdiar.nn.sond_shape import SondShape, SondSpeakerShape
from speakerdiar.training.config import OptimConfig
from speakerdiar.training.simulated_conversations import ConversationRecipe, Example, SimulatedConversations
from speakerdiar.training.sond import SondLearner, as_turns, named_error
from speakerdiar.training.sond_speakers import (
    SondSpeakerLearner,
    VoiceCrops,
    equal_error,
    profile_vectors,
    start_encoder,
)

RATE = 16000
PIECE_SECONDS = 4.0
LEAST_SECONDS = 1.0
EVERY = 6
SHAPE = SondShape(
    filters=(8, 16, 32, 64),
    blocks=(1, 1, 1, 1),
    pooled=64,
    dimension=64,
    last=64,
    momentum=0.1,
    speakers=4,
    at_once=2,
    speaker_encoder=None,
    normalize_speech_speaker=True,
    cd_layers=2,
    cd_inner=128,
    fsmn_layers=2,
    fsmn_units=64,
    fsmn_inner=64,
    fsmn_kernel=15,
)
RECIPE = ConversationRecipe(seconds=6.4, speakers=(2, 3), absent=(0, 2), slots=4)
OBJECTIVE = SondObjective(smoothing=0.0, distance=0.0, scores=0.1)

Samples = NDArray[np.float32]


class Person(NamedTuple):
    """Clips of one person: some to enrol with, others to talk with."""

    enrolment: list[Samples]
    talk: list[Samples]


def main() -> None:
    """Train both networks and print how they learn and what they do with people they never heard."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--speaker-steps", type=int, default=400)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--conversations", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    pl.seed_everything(arguments.seed, verbose=False)
    fbank = KaldiFbank(FbankOptions(sample_rate=RATE, mel_bins=SHAPE.mel_bins, snip_edges=False))
    people = pool(arguments.speech)
    names = sorted(people)
    held_out = {name: people[name] for name in names[::EVERY]}
    known = {name: people[name] for name in names if name not in held_out}
    print(f"{len(known)} people to learn from, {len(held_out)} held out")

    speakers = trained_speakers(known, fbank, arguments)
    profiles = profile_vectors(speakers, fbank, {name: person.enrolment for name, person in people.items()})
    print(f"equal error rate of clips of {PIECE_SECONDS:g} s: {100 * pair_error(held_out, profiles):.1f} % held out\n")

    heard = conversations(known, profiles, fbank, seed=arguments.seed)
    unheard = conversations(held_out, profiles, fbank, seed=arguments.seed + 1)
    judged = list(islice(unheard, arguments.conversations))
    network = SondNetwork(SHAPE)
    start_encoder(network, speakers)
    module = SondLearner(network, OptimConfig(rate=3e-3, warmup=0.2), arguments.steps, OBJECTIVE)
    table = {"before training": spoken(module, judged)}
    fit(module, heard, arguments.steps, arguments.batch)
    table["trained"] = found = spoken(module, judged)
    random = np.random.default_rng(arguments.seed)
    table["trained, names shuffled"] = [
        shuffled(one, example, random) for one, example in zip(found, judged, strict=True)
    ]
    table["one name always"] = [one_name(example, random) for example in judged]
    table["nearest profile, speech known"] = [nearest(network, example) for example in judged]
    report(table, judged)


def pool(folder: Path) -> dict[str, Person]:
    """Return the people of a folder; each utterance is cut into pieces, of which every other one is for enrolment."""
    people = {}
    for line in (folder / "manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        samples = load(str(folder / entry["audio"]), RATE)
        clips = [piece for start, end in entry["utterances"] for piece in pieces(samples, start, end)]
        if len(clips) >= 2:
            people[entry["speaker"]] = Person(clips[::2], clips[1::2])
    return people


def pieces(samples: Samples, start: float, end: float) -> list[Samples]:
    """Cut an utterance into equal parts of `PIECE_SECONDS` at most; none of one that is too short."""
    if end - start < LEAST_SECONDS:
        return []
    count = int(np.ceil((end - start) / PIECE_SECONDS))
    return np.array_split(samples[round(start * RATE) : round(end * RATE)], count)


def trained_speakers(known: dict[str, Person], fbank: KaldiFbank, arguments: Any) -> SondSpeakerNetwork:
    """Return a network that tells people apart."""
    features = [
        torch.cat([fbank(torch.from_numpy(clip)) for clip in person.enrolment + person.talk])
        for person in known.values()
    ]
    network = SondSpeakerNetwork(SondSpeakerShape(SHAPE.trunk, SHAPE.dimension, SHAPE.last, len(known)))
    optim = OptimConfig(rate=5e-3, warmup=0.2)
    module = SondSpeakerLearner(network, optim, arguments.speaker_steps, len(known))
    fit(module, VoiceCrops(features, seed=arguments.seed), arguments.speaker_steps, batch=32)
    return network


def conversations(
    people: dict[str, Person], profiles: dict[str, Samples], fbank: KaldiFbank, seed: int
) -> SimulatedConversations:
    """Return conversations of some people."""
    return SimulatedConversations({name: one.talk for name, one in people.items()}, profiles, fbank, RECIPE, seed)


class Progress(pl.Callback):
    """Prints the mean loss of each so many steps."""

    def __init__(self, every: int = 50) -> None:
        self.every = every
        self.losses: list[float] = []
        self.began = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        """Note a loss; print."""
        self.losses.append(float(outputs["loss"]))
        if trainer.global_step % self.every == 0:
            mean, seconds = np.mean(self.losses[-self.every :]), time.perf_counter() - self.began
            print(f"{type(module).__name__} step {trainer.global_step:5} loss {mean:.3f} ({seconds:.0f} s)", flush=True)


def fit(module: pl.LightningModule, data: Any, steps: int, batch: int) -> None:
    """Train for so many steps."""
    quiet: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=steps,
        max_epochs=-1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        callbacks=[Progress()],
        **quiet,
    )
    loader = DataLoader(data, batch_size=batch)
    trainer.fit(module, loader, loader)


def pair_error(people: dict[str, Person], profiles: dict[str, Samples]) -> float:
    """Return the equal error rate of pairs of clips of some people."""
    vectors = np.concatenate([profiles[name] for name in people])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    owner = np.repeat(np.arange(len(people)), [len(profiles[name]) for name in people])
    return equal_error(vectors, owner)


def spoken(module: SondLearner, judged: Sequence[Example]) -> list[NDArray[np.bool_]]:
    """Return whom SOND hears, (T, S), in each conversation."""
    return [module.spoken(Example(*(part[None] for part in example)))[0].numpy() for example in judged]


def shuffled(active: NDArray[np.bool_], example: Example, random: np.random.Generator) -> NDArray[np.bool_]:
    """Return the same with the names of those who have a profile drawn anew."""
    slots = np.flatnonzero(example.profiles.abs().sum(dim=1).numpy())
    drawn = np.zeros_like(active)
    drawn[:, random.permutation(slots)] = active[:, slots]
    return drawn


def one_name(example: Example, random: np.random.Generator) -> NDArray[np.bool_]:
    """Return that one of those who have a profile, drawn at random, speaks all the time."""
    slots = np.flatnonzero(example.profiles.abs().sum(dim=1).numpy())
    active = np.zeros(example.labels.shape, dtype=bool)
    active[:, random.choice(slots)] = True
    return active


def nearest(network: SondNetwork, example: Example) -> NDArray[np.bool_]:
    """Return whose profile is nearest to each frame of the encoder, where truth has speech: what training must beat."""
    count = len(example.features)
    with inference_state(network):
        frames = network.frames(example.features[None], torch.tensor([count]))[0]
    cosines = functional.normalize(frames, dim=1) @ functional.normalize(example.profiles, dim=1).T
    cosines[:, example.profiles.abs().sum(dim=1) == 0] = -torch.inf
    best = cosines.argmax(dim=1).repeat_interleave(REDUCTION)[:count]
    active = functional.one_hot(best, example.labels.shape[1]).bool() & example.labels.any(dim=1, keepdim=True)
    return np.asarray(active.numpy())


def report(table: dict[str, list[NDArray[np.bool_]]], judged: Sequence[Example]) -> None:
    """Print a line for each list of who was heard."""
    truth = [example.labels.numpy() > 0 for example in judged]
    spoken = np.concatenate(truth)
    overlap = (spoken.sum(axis=1) > 1).sum() / spoken.any(axis=1).sum()
    profiles = np.mean([int((example.profiles.abs().sum(dim=1) > 0).sum()) for example in judged])
    print(
        f"\n{len(judged)} conversations of held-out people, {profiles:.1f} profiles each, {100 * overlap:.0f} % overlap"
    )
    print(f"{'':32} {'named':>7} {'DER':>7} {'right name':>10}")
    for name, found in table.items():
        rate = DiarizationErrorRate()
        for index, (right, active) in enumerate(zip(truth, found, strict=True)):
            rate.add(as_turns(right, index), as_turns(active, index))
        heard = np.concatenate(found)
        alone = spoken.sum(axis=1) == 1
        accuracy = (heard == spoken)[alone].all(axis=1).mean()
        print(f"{name:32} {named_error(spoken, heard):7.3f} {rate.total.rate:7.3f} {100 * accuracy:8.1f} %")


if __name__ == "__main__":
    main()
