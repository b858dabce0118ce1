"""Crops are of whom they say; profiles are what the network gives for each clip."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from speakerdiar.errors import ConfigError, InputError
from speakerdiar.nn.kaldi_fbank import FbankOptions, KaldiFbank
from speakerdiar.nn.preact_resnet import TrunkShape
from speakerdiar.nn.sond import SondSpeakerNetwork
from speakerdiar.nn.sond_shape import SondSpeakerShape
from speakerdiar.training.config import OptimConfig
from speakerdiar.training.sond_speakers import SondSpeakerLearner, VoiceCrops, equal_error, profile_vectors

TRUNK = TrunkShape((4, 4, 8, 8), (1, 1, 1, 1), 24, 8)


def network() -> SondSpeakerNetwork:
    torch.manual_seed(0)
    return SondSpeakerNetwork(SondSpeakerShape(TRUNK, 8, 8, 2))


def people() -> list[torch.Tensor]:
    """Features whose rows count frames, 1000 apart from person to person."""
    return [torch.arange(length)[:, None] + 1000.0 * index for index, length in enumerate((50, 80, 30))]


def test_crops_are_stretches_of_whom_they_say() -> None:
    crops = list(islice(VoiceCrops(people(), frames=30, level_spread=0), 60))
    assert {person for _, person in crops} == {0, 1, 2}
    for features, person in crops:
        assert features.shape == (30, 1)
        assert torch.equal(features.diff(dim=0), torch.ones(29, 1))
        assert 1000 * person <= features[0] <= 1000 * person + len(people()[person]) - 30
    assert len({float(features[0]) for features, person in crops if person == 1}) > 5


def test_levels_of_crops_differ_as_asked() -> None:
    silent = [torch.zeros(10, 1)]
    levels = torch.stack([features[0] for features, _ in islice(VoiceCrops(silent, 10, level_spread=6), 500)])
    assert 20 / np.log(10) * levels.std() / 2 == pytest.approx(6, rel=0.1)


def test_the_seed_decides() -> None:
    one, same, other = (next(iter(VoiceCrops(people(), 20, seed=seed)))[0] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_too_little_speech() -> None:
    with pytest.raises(InputError, match="30 frames of speech"):
        VoiceCrops(people(), frames=31)
    with pytest.raises(InputError, match="0 frames"):
        VoiceCrops([])


def test_one_person_cannot_be_told_apart() -> None:
    with pytest.raises(ConfigError, match="people=1"):
        SondSpeakerLearner(network(), OptimConfig(), 10, 1)


def test_a_validation_is_the_equal_error_rate_of_pairs() -> None:
    learner = SondSpeakerLearner(network(), OptimConfig(), 10, 3)
    features, owners = torch.randn(6, 40, 24), torch.tensor([0, 0, 1, 1, 2, 2])
    vectors, found = learner.observed((features, owners))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert found.tolist() == owners.tolist()
    apart = np.eye(3, dtype=np.float32).repeat(2, axis=0)
    assert learner.judged([(apart[:4], found[:4]), (apart[4:], found[4:])]) == {"eer": 0.0}
    assert equal_error(apart, np.array([0, 1, 2, 0, 1, 2])) > 0.2


def test_profiles_are_those_of_clips() -> None:
    fbank = KaldiFbank(FbankOptions(sample_rate=8000, mel_bins=24, snip_edges=False))
    rng = np.random.default_rng(0)
    clips = {"A": [rng.standard_normal(n).astype(np.float32) for n in (4000, 2500)], "B": [np.ones(3000, np.float32)]}
    model = network()
    assert model.training
    found = profile_vectors(model, fbank, clips)
    assert model.training
    assert {name: vectors.shape for name, vectors in found.items()} == {"A": (2, 8), "B": (1, 8)}
    features = fbank(torch.from_numpy(clips["A"][1]))
    with torch.no_grad():
        again = model.eval()(features[None], torch.tensor([len(features)]))[0]
    np.testing.assert_allclose(found["A"][1], again.numpy(), rtol=1e-5)
