"""Losses of voices: margins are angles, and a teacher is followed in directions or in relations."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from speakerdiar.errors import ConfigError
from speakerdiar.nn.aam import AamSoftmax, direction_loss, relation_loss

VECTORS = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
CLASSES = torch.tensor([0, 1, 2, 2, 1, 0])


def at_angle(angle: float) -> tuple[AamSoftmax, torch.Tensor]:
    """Two classes at right angles, and a vector at an angle to the first, away from the second."""
    head = AamSoftmax(2, 2, margin=0.3, scale=10.0)
    head.weight.data = torch.eye(2)
    return head, torch.tensor([[math.cos(angle), -math.sin(angle)]]) * 7


def test_without_a_margin_it_is_a_softmax_of_cosines() -> None:
    head = AamSoftmax(5, 3, margin=0.0, scale=8.0)
    cosines = functional.cosine_similarity(VECTORS[:, None], head.weight[None], dim=2)
    torch.testing.assert_close(head(VECTORS, CLASSES), functional.cross_entropy(8 * cosines, CLASSES))


def test_the_margin_is_added_to_the_angle() -> None:
    head, vector = at_angle(0.5)
    wanted = functional.cross_entropy(10 * torch.tensor([[math.cos(0.8), -math.sin(0.5)]]), torch.tensor([0]))
    torch.testing.assert_close(head(vector, torch.tensor([0])), wanted)


def test_a_share_of_the_margin_is_added() -> None:
    head, vector = at_angle(0.5)
    wanted = functional.cross_entropy(10 * torch.tensor([[math.cos(0.65), -math.sin(0.5)]]), torch.tensor([0]))
    torch.testing.assert_close(head(vector, torch.tensor([0]), 0.5), wanted)


def test_a_greater_angle_costs_more_up_to_the_opposite() -> None:
    head = AamSoftmax(3, 2, margin=0.3, scale=10.0)
    head.weight.data = torch.tensor([[1.0, 0, 0], [0, 0, 1]])
    angles = torch.linspace(0, math.pi, 50)
    vectors = torch.stack([angles.cos(), angles.sin(), torch.zeros(50)], dim=1)
    losses = torch.stack([head(vector[None], torch.tensor([0])) for vector in vectors])
    assert (losses.diff() > 0).all()


def test_slopes_are_numbers_where_a_vector_is_its_class_or_the_opposite() -> None:
    head = AamSoftmax(2, 2)
    head.weight.data = torch.eye(2)
    vectors = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    head(vectors, torch.tensor([0, 0])).backward()
    assert vectors.grad is not None
    assert vectors.grad.isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"classes": 1}, "classes=1"), ({"classes": 2, "margin": 2.0}, "margin"), ({"classes": 2, "scale": 0}, "scale")],
)
def test_what_cannot_be_is_refused(arguments: dict[str, float], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        AamSoftmax(4, **arguments)  # type: ignore[arg-type]


def test_directions_are_followed_whatever_the_length() -> None:
    assert float(direction_loss(VECTORS, 3 * VECTORS)) == pytest.approx(0, abs=1e-6)
    assert float(direction_loss(VECTORS, -VECTORS)) == pytest.approx(2)


def test_relations_are_kept_by_a_turn_and_lost_by_a_mixture() -> None:
    turn = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(2))).Q
    assert float(relation_loss(VECTORS, VECTORS @ turn)) == pytest.approx(0, abs=1e-6)
    assert float(relation_loss(VECTORS, VECTORS.flip(0))) > 0.01
