"""Sessions for Sortformer: labels by arrival, cuts that take their turns along, padding."""

from __future__ import annotations

from itertools import islice

import numpy as np
import torch

from speakerdiar.annotation import Turn
from speakerdiar.models.diarizers.sortformer import session_features
from speakerdiar.nn.log_mel import LogMel
from speakerdiar.simulation import Conversation
from speakerdiar.training.sortformer_data import DrawnSessions, Session, SessionCutter, Sessions

MEL = LogMel(16)
CUTTER = SessionCutter(MEL, speakers=3, seconds=(1.6, 1.6), normalize=False, scale_peak=False)


def conversation(seconds: float = 1.6) -> Conversation:
    """Noise, in which Bob comes first."""
    samples = np.random.default_rng(0).standard_normal(round(seconds * 16000), dtype=np.float32) / np.float32(10)
    turns = (Turn(0.08, 0.4, "Bob"), Turn(0.24, 0.8, "Ann"), Turn(0.96, 1.6, "Bob"))
    return Conversation(samples, turns)


def test_labels_come_in_order_of_arrival() -> None:
    session = CUTTER.cut(conversation(), np.random.default_rng(0))
    assert session.mels.shape == (160, 16)
    assert session.labels.shape == (20, 3)
    assert session.labels[:, 0].nonzero()[:, 0].tolist() == [1, 2, 3, 4, *range(12, 20)]
    assert session.labels[:, 1].nonzero()[:, 0].tolist() == list(range(3, 10))
    assert not session.labels[:, 2].any()


def test_of_more_people_than_channels_the_first_are_heard() -> None:
    turns = [Turn(0.08 * index, 1.6, f"{9 - index}") for index in range(5)]
    labels = CUTTER.labels(turns, 20)
    assert labels.sum(dim=0).tolist() == [20, 19, 18]


def test_features_are_those_of_the_diarizer() -> None:
    for normalize in (False, True):
        cutter = SessionCutter(MEL, 3, (1.6, 1.6), normalize, scale_peak=normalize)
        wanted = session_features(
            MEL, torch.from_numpy(conversation().samples), normalize=normalize, scale_peak=normalize
        )
        assert torch.equal(cutter.cut(conversation(), np.random.default_rng(0)).mels, wanted)


def test_a_stretch_takes_its_turns_along() -> None:
    cutter = SessionCutter(MEL, 3, (0.4, 0.8), normalize=False, scale_peak=False)
    loud = np.zeros(32000, dtype=np.float32)
    loud[16000:] = np.random.default_rng(0).standard_normal(16000) / 10
    whole = Conversation(loud, (Turn(1.0, 2.0, "Ann"),))
    lengths = set()
    for session in islice(DrawnSessions([lambda rng: iter([whole] * 99)], cutter).stream(np.random.default_rng(0)), 20):
        lengths.add(len(session.mels))
        heard = session.mels.mean(dim=1)[: len(session.mels) // 8 * 8].reshape(-1, 8).mean(dim=1) > -10
        agrees = heard == (session.labels[: len(heard), 0] > 0)
        assert agrees.float().mean() > 0.85
        assert session.labels[:, 1:].sum() == 0
    assert len(lengths) > 5
    assert 39 <= min(lengths) <= max(lengths) <= 80


def test_shorter_sessions_are_padded() -> None:
    rows = [Session(torch.ones(frames, 16), torch.ones(-(-frames // 8), 3)) for frames in (20, 9)]
    together = Sessions.of(rows)
    assert together.mels.shape == (2, 20, 16)
    assert together.labels.sum(dim=(1, 2)).tolist() == [9, 6]
    assert together.lengths.tolist() == [20, 9]
    assert together.frames.tolist() == [3, 2]


def test_sources_come_alike() -> None:
    sources = [
        lambda rng, turns=turns: iter([Conversation(conversation().samples, turns)] * 200)
        for turns in ((), (Turn(0, 1, "a"),))
    ]
    drawn = islice(DrawnSessions(sources, CUTTER).stream(np.random.default_rng(0)), 60)
    spoken = sum(bool(session.labels.any()) for session in drawn)
    assert 15 < spoken < 45
