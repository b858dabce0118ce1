"""What may befall profiles, and how often it does."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from speakerdiar.nn.profile_augmentation import ProfileAugmentation

NEVER = {"disturb": 0.0, "split": 0.0, "merge": 0.0}


def batch(count: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Three speakers of whom two talk, one after the other, and an empty slot."""
    profiles = torch.cat([5 * torch.eye(3, 8), torch.zeros(1, 8)])
    activity = torch.zeros(10, 4)
    activity[:4, 0] = activity[6:, 1] = 1
    return profiles.expand(count, -1, -1), activity.expand(count, -1, -1)


def run(**chances: float) -> tuple[torch.Tensor, torch.Tensor]:
    return ProfileAugmentation(**{**NEVER, **chances})(*batch(), torch.Generator().manual_seed(3))


def test_without_chances_profiles_are_scaled() -> None:
    raw, activity = batch()
    profiles, talk = run()
    torch.testing.assert_close(profiles, functional.normalize(raw, dim=2))
    assert torch.equal(talk, activity)


def test_what_is_given_stays_and_seeds_repeat() -> None:
    raw, activity = batch(5)
    before = raw.clone(), activity.clone()
    augment = ProfileAugmentation(1.0, 1.0, 1.0)
    first, again = (augment(raw, activity, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(raw, before[0])
    assert torch.equal(activity, before[1])


def test_disturbed_profiles_stay_near() -> None:
    profiles, talk = run(disturb=0.5)
    original = functional.normalize(batch()[0], dim=2)
    cosines = (profiles * original).sum(2)
    changed = cosines[:, :3] < 1 - 1e-6
    # Half of the recordings; one in three of those draws the speaker whose profile it is.
    assert int(changed.sum()) == pytest.approx(400 / 3, rel=0.2)
    assert not changed[:, 2].any()
    assert changed[:, 0].any()
    assert changed[:, 1].any()
    assert float(cosines[:, :2].min()) > 0.8 / (0.8**2 + 0.2**2) ** 0.5 - 1e-6
    assert torch.equal(talk, batch()[1])
    torch.testing.assert_close(profiles.norm(dim=2)[:, :3], torch.ones(400, 3))


def test_a_noisy_copy_takes_the_slot_of_one_who_does_not_talk() -> None:
    profiles, talk = run(split=1.0)
    original = functional.normalize(batch()[0], dim=2)
    assert torch.equal(talk, batch()[1])
    assert torch.equal(profiles[:, :2], original[:, :2])
    changed = (profiles != original).any(2)
    assert changed.sum(1).tolist() == [1] * 400
    assert {2, 3} == set(changed.nonzero()[:, 1].tolist())
    copies = profiles[changed]
    nearest = (copies @ original[0, :2].T).max(1).values
    assert (nearest > 0.97).all()
    assert (nearest < 1).all()


def test_merged_speakers_are_one() -> None:
    profiles, talk = run(merge=1.0)
    original, activity = functional.normalize(batch()[0], dim=2), batch()[1]
    gone = (original != 0).any(2) & (profiles == 0).all(2)
    # One in three draws one speaker twice.
    assert int(gone.sum()) == pytest.approx(400 * 2 / 3, rel=0.2)
    assert gone.sum(1).max() == 1
    assert not talk[gone[:, None].expand_as(talk)].any()
    assert torch.equal(talk.sum((1, 2)), activity.sum((1, 2)))
    both = (talk.sum(1) == 8).any(1)
    assert both.any()
    assert torch.equal(profiles.any(2).sum(1), 3 - gone.sum(1))


def test_no_one_talks_and_no_one_is_there() -> None:
    raw, activity = batch(20)
    augment, generator = ProfileAugmentation(1.0, 1.0, 0.0), torch.Generator().manual_seed(0)
    torch.testing.assert_close(augment(raw, activity * 0, generator)[0], functional.normalize(raw, dim=2))
    assert not ProfileAugmentation(1.0, 0.0, 1.0)(raw * 0, activity, generator)[0].any()
