"""A diarizer that clusters local speakers, live: one speaker at a time, decided on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fakes import RATE, tones
from fakes_live import check_promises, stream
from fakes_local import tone_pipeline
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.models.diarizers.online_clustering import OnlineLatency
from speakerdiar.updates import joined

TALK = tones([(0.3, 4, 0), (4.2, 9, 1), (9.8, 12, 0), (12, 15, 2), (15.2, 18.5, 1)], 19.0)


@pytest.mark.parametrize("latency", ["1s", "2s", "5s", OnlineLatency(0.7, 0.4)])
def test_finals_never_change(latency: Any) -> None:
    updates = stream(tone_pipeline(), TALK, latency)
    check_promises(updates, 19.0)
    assert len(joined(updates).speakers) == 3


def test_with_time_to_wait_borders_are_right() -> None:
    found = joined(stream(tone_pipeline(), TALK, "5s"))
    assert [turn.speaker for turn in found] == [f"SPEAKER_0{who}" for who in (0, 1, 0, 2, 1)]
    assert [turn.start for turn in found] == pytest.approx([0.3, 4.2, 9.8, 12.0, 15.2], abs=0.45)


@settings(max_examples=6)
@given(cuts=st.lists(st.integers(0, len(TALK)), max_size=8), latency=st.sampled_from(["1s", "1.04s", "5s"]))
def test_cuts_change_nothing(cuts: list[int], latency: str) -> None:
    model = tone_pipeline()
    session = model.stream(latency)
    updates = [session.push(part) for part in np.split(TALK, sorted(cuts))]
    updates.append(session.finish())
    [whole] = model.diarize(TALK, sample_rate=RATE, latency=latency)
    assert joined(updates).turns == whole.turns
    assert whole.turns


def test_a_recording_without_latency_is_heard_whole() -> None:
    overlapping = tones([(0.5, 4, 0), (3, 6, 1)], 7.0)
    [offline] = tone_pipeline().diarize(overlapping, sample_rate=RATE)
    [live] = tone_pipeline().diarize(overlapping, sample_rate=RATE, latency="2s")
    assert offline.overlap
    assert not live.overlap
