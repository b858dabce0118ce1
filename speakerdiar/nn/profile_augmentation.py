"""Speaker profiles made worse on purpose, as those are that clustering finds: SOND learns to live with them.

Source: Wang et al. 2023, arXiv:2303.05397, and FunASR's ProfileAug. N profiles of D numbers, T frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True)
class ProfileAugmentation:
    """Chances of what befalls the profiles of a recording; each profile is changed once at most.

    Both speakers of a merge, or those of a disturbance, may turn out to be one: nothing happens then. (FunASR loses a
    speaker who is merged with itself.)

    Attributes:
        disturb: a bit of some profile is mixed into that of someone who talks.
        split: someone who talks is found twice; the second, noisy profile takes the slot of one who doesn't.
        merge: two speakers are found as one.
        strength: greatest share that is mixed in, and length of the noise.
    """

    disturb: float = 0.4
    split: float = 0.05
    merge: float = 0.2
    strength: float = 0.2

    def __call__(
        self, profiles: torch.Tensor, activity: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return other profiles (B, N, D), of length 1 or 0, and who talks then, (B, T, N).

        Args:
            profiles: (B, N, D); zero for a speaker who isn't there.
            activity: who talks, of 0 and 1, (B, T, N).
            generator: of random numbers, on the CPU.
        """
        found = [self._changed(own, talk, generator) for own, talk in zip(profiles, activity, strict=True)]
        return torch.stack([own for own, _ in found]), torch.stack([talk for _, talk in found])

    def _changed(
        self, profiles: torch.Tensor, activity: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        profiles = functional.normalize(profiles, dim=1)
        talks, free = activity.any(0), torch.ones_like(profiles[:, 0], dtype=torch.bool)
        disturb, split, merge, share = torch.rand(4, generator=generator).tolist()
        if disturb < self.disturb and (drawn := _two(talks & free, profiles.any(1), generator)):
            profiles = disturbed(profiles, *drawn, self.strength * share)
            free = _without(free, drawn[0])
        if split < self.split and (drawn := _two(talks & free, ~talks & free, generator)):
            noise = functional.normalize(torch.randn(profiles.shape[1], generator=generator), dim=0)
            profiles = divided(profiles, *drawn, self.strength * noise.to(profiles))
            free = _without(free, *drawn)
        there = profiles.any(1) & free
        if merge < self.merge and (drawn := _two(there, there, generator)) and drawn[0] != drawn[1]:
            profiles, activity = merged(profiles, activity, *drawn)
        return profiles, activity


def disturbed(profiles: torch.Tensor, speaker: int, other: int, share: float) -> torch.Tensor:
    """Return profiles (N, D), the speaker's with a share of the other's mixed in."""
    mixed = (1 - share) * profiles[speaker] + share * profiles[other]
    return _with(profiles, speaker, functional.normalize(mixed, dim=0))


def divided(profiles: torch.Tensor, speaker: int, slot: int, noise: torch.Tensor) -> torch.Tensor:
    """Return profiles (N, D), with the speaker's plus noise (D,) in the slot of one who doesn't talk."""
    return _with(profiles, slot, functional.normalize(profiles[speaker] + noise, dim=0))


def merged(
    profiles: torch.Tensor, activity: torch.Tensor, first: int, second: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return profiles (N, D) and who talks (T, N), of two speakers found as one: the second is gone."""
    mean = functional.normalize(profiles[first] + profiles[second], dim=0)
    talk = torch.maximum(activity[:, first], activity[:, second])
    profiles = _with(_with(profiles, first, mean), second, torch.zeros_like(mean))
    return profiles, _with(_with(activity.T, first, talk), second, torch.zeros_like(talk)).T


def _two(firsts: torch.Tensor, seconds: torch.Tensor, generator: torch.Generator) -> tuple[int, int] | None:
    """Draw one of each (N,) bool; None where one of them has none."""
    drawn = []
    for candidates in (firsts, seconds):
        places: list[int] = candidates.nonzero()[:, 0].tolist()
        if not places:
            return None
        drawn.append(places[int(torch.randint(len(places), (), generator=generator))])
    return drawn[0], drawn[1]


def _with(rows: torch.Tensor, place: int, row: torch.Tensor) -> torch.Tensor:
    return rows.index_copy(0, torch.tensor([place], device=rows.device), row[None])


def _without(free: torch.Tensor, *places: int) -> torch.Tensor:
    left = free.clone()
    left[list(places)] = False
    return left
