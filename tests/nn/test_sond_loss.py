"""Labels and losses of SOND against their definitions; `tests/parity/test_sond.py` holds them to FunASR's numbers."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from speakerdiar.errors import InputError
from speakerdiar.nn.sond_loss import (
    SondObjective,
    class_labels,
    class_loss,
    majority_activity,
    pooled_activity,
    score_loss,
    speaker_distance_loss,
)
from speakerdiar.postprocessing.power_set_encoding import PowerSetEncoding

ENCODING = PowerSetEncoding(4, 2)


def test_pooled_activity_takes_whoever_talks_at_all_and_drops_the_rest() -> None:
    activity = torch.zeros(1, 19, 2)
    activity[0, 8, 1] = activity[0, 17, 0] = 1
    assert pooled_activity(activity)[0].tolist() == [[0, 0], [0, 1]]


def test_majority_activity_of_each_length() -> None:
    activity = torch.zeros(2, 12, 1)
    activity[:, 3:6] = 1
    found, counts = majority_activity(activity, torch.tensor([12, 6]), window=4, hop=2)
    # Row 0: frames 2 to 5 hold 3 of 4; row 1 repeats its last two, so that its end does, too.
    assert counts.tolist() == [7, 4]
    assert found[0, :, 0].tolist() == [0, 0, 1, 0, 0, 0, 0]
    assert found[1, :, 0].tolist() == [0, 0, 1, 1, 0, 0, 0]


def test_labels_are_classes_and_crowds_keep_who_began_first() -> None:
    activity = torch.tensor([[[0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 1], [1, 1, 0, 1]]])
    labels = class_labels(activity, ENCODING)
    assert labels.dtype == torch.int64
    assert ENCODING.tokens[labels[0].numpy()].tolist() == [0, 0b10, 0b1010, 0b1010]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_loss_is_the_divergence_from_smoothed_labels(smoothing: float) -> None:
    logits, labels, lengths = torch.randn(2, 5, 7), torch.randint(7, (2, 5)), torch.tensor([5, 2])
    wanted = torch.full((2, 5, 7), smoothing / 6).scatter(2, labels[..., None], 1 - smoothing)
    lost = functional.kl_div(logits.log_softmax(2), wanted, reduction="none").sum(2)
    total = lost[0].sum() + lost[1, :2].sum()
    torch.testing.assert_close(class_loss(logits, labels, lengths, smoothing), total / 7)
    torch.testing.assert_close(class_loss(logits, labels, lengths, smoothing, per_frame=False), total / 2)


def test_class_loss_is_nothing_where_the_network_says_the_label() -> None:
    labels = torch.tensor([[0, 1]])
    said = torch.full((1, 2, 11), 0.01).scatter(2, labels[..., None], 0.9).log()
    assert abs(float(class_loss(said, labels, torch.tensor([2])))) < 1e-6


def test_score_loss_sums_over_speakers() -> None:
    scores, activity = torch.zeros(1, 3, 4), torch.ones(1, 3, 4)
    assert float(score_loss(scores, activity, torch.tensor([2]))) == pytest.approx(4 * math.log(2))


def test_profiles_that_point_one_way_lose_their_length() -> None:
    encoded = torch.tensor([[[3.0, 0.0], [5.0, 0.0], [0.0, 0.0], [-1.0, 0.0]]])
    assert float(speaker_distance_loss(encoded)) == pytest.approx((3 + 5) / 6)
    across = torch.tensor([[[3.0, 0.0], [0.0, 5.0]]])
    assert float(speaker_distance_loss(across)) == 0


def test_a_single_profile_is_near_no_other() -> None:
    encoded = torch.tensor([[[3.0, 1.0], [0.0, 0.0]]], requires_grad=True)
    lost = speaker_distance_loss(encoded)
    assert float(lost.detach()) == 0
    (gradient,) = torch.autograd.grad(lost, encoded)
    assert gradient.isfinite().all()


def test_labels_may_be_two_frames_off_and_no_more() -> None:
    logits, scores, encoded = torch.randn(1, 10, 11), torch.randn(1, 10, 8), torch.randn(1, 4, 3)
    objective = SondObjective(scores=1.0)
    activity = torch.eye(4)[torch.arange(13) % 4][None]
    lost = [
        objective(logits, scores, encoded, activity[:, :frames], torch.tensor([frames]), ENCODING)
        for frames in (10, 11, 12)
    ]
    assert len({float(one.total) for one in lost}) == 1
    parts = lost[0]
    wanted = parts.classes + parts.distance + parts.dependent + parts.independent
    torch.testing.assert_close(parts.total, wanted)
    with pytest.raises(InputError, match="13 frames of labels for 10 frames"):
        objective(logits, scores, encoded, activity, torch.tensor([13]), ENCODING)
