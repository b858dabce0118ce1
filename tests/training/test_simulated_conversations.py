"""Examples say who speaks under whose profile, in slots that chance draws, the same for the same seed."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from speakerdiar.errors import ConfigError, InputError
from speakerdiar.nn.kaldi_fbank import FbankOptions, KaldiFbank
from speakerdiar.simulation import Acoustics, TurnTaking
from speakerdiar.training.simulated_conversations import ConversationRecipe, Example, SimulatedConversations

RATE = 8000
FBANK = KaldiFbank(FbankOptions(sample_rate=RATE, mel_bins=40, snip_edges=False))
HERTZ = {"Ana": 300.0, "Ben": 700.0, "Cy": 1400.0, "Di": 2800.0}
RECIPE = ConversationRecipe(seconds=4.0, speakers=(1, 3), absent=(0, 2), slots=5, talk=TurnTaking(turn_length=1.0))


def tone(hertz: float) -> NDArray[np.float32]:
    return np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE).astype(np.float32)


def profiles() -> dict[str, NDArray[np.float32]]:
    """Profiles that say in their first number whose they are, and in their second which take."""
    return {name: np.array([[hertz, take] for take in range(4)], np.float32) for name, hertz in HERTZ.items()}


def made(recipe: ConversationRecipe = RECIPE, seed: int = 0, **options: Any) -> SimulatedConversations:
    voices = {name: [tone(hertz)] for name, hertz in HERTZ.items()}
    return SimulatedConversations(voices, profiles(), FBANK, recipe, seed, **options)


def examples(count: int, recipe: ConversationRecipe = RECIPE, **options: Any) -> list[Example]:
    return list(islice(made(recipe, **options), count))


def test_shapes_and_values() -> None:
    for features, labels, placed in examples(20):
        assert features.shape == (400, 40)
        assert labels.shape == (400, 5)
        assert placed.shape == (5, 2)
        assert set(labels.flatten().tolist()) <= {0.0, 1.0}
        there = placed[:, 0] > 0
        assert 1 <= there.sum() <= 4
        assert not labels[:, ~there].any()


def test_who_is_labelled_is_who_sounds() -> None:
    """Where one speaks alone, the loudest band is that of the tone whose profile stands in their slot."""
    bands = {round(hertz): int(FBANK(torch.from_numpy(tone(hertz)))[50].argmax()) for hertz in HERTZ.values()}
    dry = ConversationRecipe(seconds=4.0, speakers=(1, 3), slots=5, takes=(1, 1), talk=RECIPE.talk)
    right = []
    for features, labels, placed in examples(20, dry):
        alone = labels.sum(dim=1) == 1
        wanted = [bands[round(float(placed[slot, 0]))] for slot in labels[alone].argmax(dim=1)]
        right.append((features[alone].argmax(dim=1) == torch.tensor(wanted)).float())
    assert len(torch.cat(right)) > 1000
    assert torch.cat(right).mean() > 0.97  # frames at the borders hear two turns


def test_slots_and_people_are_drawn_anew() -> None:
    places: dict[float, set[int]] = {}
    counts = set()
    for _, labels, placed in examples(60):
        for slot in placed[:, 0].nonzero()[:, 0].tolist():
            places.setdefault(float(placed[slot, 0]), set()).add(slot)
        counts.add((int((placed[:, 0] > 0).sum()), int(labels.any(dim=0).sum())))
    assert places == {hertz: set(range(5)) for hertz in HERTZ.values()}
    assert {there for there, _ in counts} == {1, 2, 3, 4}
    assert any(there > speaking for there, speaking in counts)


def test_profiles_are_means_of_takes() -> None:
    one = ConversationRecipe(seconds=1.0, slots=4, takes=(1, 1))
    assert {float(take) for _, _, placed in examples(30, one) for take in placed[:, 1]} == {0.0, 1.0, 2.0, 3.0}
    every = ConversationRecipe(seconds=1.0, slots=4, takes=(9, 9))
    for _, _, placed in examples(5, every):
        assert set(placed[placed[:, 0] > 0, 1].tolist()) == {1.5}


def test_noise_is_heard() -> None:
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    loud = ConversationRecipe(seconds=2.0, slots=4, acoustics=Acoustics(snr=(0, 0)))
    quiet, noisy = examples(1, loud)[0], examples(1, loud, noises=[noise])[0]
    assert noisy.features.min() > quiet.features.min() + 5


def test_the_seed_decides() -> None:
    one, same, other = (examples(2, seed=seed)[1] for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one.features, other.features)


def test_batches() -> None:
    batch = next(iter(DataLoader(made(), batch_size=3)))
    assert isinstance(batch, Example)
    assert batch.features.shape == (3, 400, 40)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speakers": (0, 2)}, "speakers=.*1 or more"),
        ({"absent": (3, 2)}, "absent"),
        ({"takes": (0, 1)}, "takes"),
        ({"speakers": (1, 4), "slots": 3}, "a slot for each"),
        ({"seconds": 0}, "seconds=0"),
    ],
)
def test_recipes_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ConversationRecipe(**options)


def test_people_without_profiles_and_too_few_people() -> None:
    voices = {"Ana": [tone(300)], "Eve": [tone(500)]}
    with pytest.raises(InputError, match="Eve"):
        SimulatedConversations(voices, profiles(), FBANK, RECIPE)
    with pytest.raises(InputError, match="1 voices for up to 3"):
        SimulatedConversations({"Ana": [tone(300)]}, profiles(), FBANK, RECIPE)
