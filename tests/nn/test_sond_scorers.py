"""Pairs that are scored, and the context-dependent scorer's masks."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from speakerdiar.nn.sond_scorers import ContextScorer, pairs


@given(arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 6))))
def test_each_present_speaker_and_one_absent_of_each_recording(there: object) -> None:
    present = torch.tensor(there)
    recordings, speakers, place = pairs(present)
    assert len(recordings) == int((present.sum(1) + (~present).any(1)).sum())
    for recording in range(len(present)):
        for speaker in range(present.shape[1]):
            pair = int(place[recording, speaker])
            assert recordings[pair] == recording
            own = int(speakers[pair])
            assert own == speaker if present[recording, speaker] else not present[recording, own]


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    scorer, rows = ContextScorer(8, 2, 2, 12), torch.randn(2, 20, 8)
    valid = torch.arange(20) < torch.tensor([20, 13])[:, None]
    found = scorer(rows, valid)
    assert found.shape == (2, 20, 1)
    torch.testing.assert_close(found[0], scorer(rows[:1])[0])
    torch.testing.assert_close(found[1, :13], scorer(rows[1:, :13])[0])


def test_a_frame_sees_all_others_and_no_order() -> None:
    torch.manual_seed(0)
    scorer, rows = ContextScorer(8, 2, 2, 12), torch.randn(1, 10, 8)
    found = scorer(rows)
    torch.testing.assert_close(scorer(rows.flip(1)).flip(1), found)
    rows[:, 9] = -2 * rows[:, 9]
    assert ((scorer(rows) - found)[:, :9].abs() > 1e-6).all()
