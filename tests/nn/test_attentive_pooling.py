"""Attentive pooling: the sums of the paper by hand, and what attends to nothing in particular."""

from __future__ import annotations

import pytest
import torch

from speakerdiar.nn.attentive_pooling import AttentiveStatistics

FRAMES = torch.randn(2, 5, 30, generator=torch.Generator().manual_seed(4))


def even(**options: bool | float) -> AttentiveStatistics:
    """A pooling that attends to all frames alike."""
    pooling = AttentiveStatistics(5, 3, **options).eval()  # type: ignore[arg-type]
    torch.nn.init.zeros_(pooling.second.weight)
    return pooling


@pytest.mark.parametrize("options", [{}, {"context": False}, {"norm": False}, {"unbiased": True}])
@torch.inference_mode()
def test_even_attention_gives_mean_and_deviation(options: dict[str, bool]) -> None:
    found = even(**options)(FRAMES)
    wanted = torch.cat([FRAMES.mean(-1), FRAMES.std(-1, correction=0)], dim=1)
    torch.testing.assert_close(found, wanted)


@torch.inference_mode()
def test_weighs_frames_by_what_each_channel_attends_to() -> None:
    torch.manual_seed(5)
    pooling = AttentiveStatistics(5, 3).eval()
    seen = torch.cat([FRAMES, *(s[..., None].expand_as(FRAMES) for s in (FRAMES.mean(-1), FRAMES.std(-1, False)))], 1)
    weight, bias = pooling.state_dict()["first.weight"][..., 0], pooling.state_dict()["first.bias"]
    hidden = torch.relu(torch.einsum("ac,bct->bat", weight, seen) + bias[:, None])
    hidden = torch.tanh(hidden / (1 + 1e-5) ** 0.5)  # a batch norm that has seen nothing
    weights = torch.softmax(torch.einsum("ca,bat->bct", pooling.second.weight[..., 0], hidden), dim=-1)
    mean = (weights * FRAMES).sum(-1)
    deviation = ((weights * FRAMES**2).sum(-1) - mean**2).sqrt()
    torch.testing.assert_close(pooling(FRAMES), torch.cat([mean, deviation], dim=1))


@torch.inference_mode()
def test_what_never_changes_deviates_by_the_floor() -> None:
    found = even(floor=1e-4)(torch.full((1, 5, 9), 2.0))
    torch.testing.assert_close(found, torch.tensor([[2.0] * 5 + [1e-2] * 5]))
