"""Windows over speech that goes on come to the windows over speech that is over."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from fakes_roles import FakeEmbedder
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.models.diarizers.live_windows import LEAST_TAIL, LiveAudio, LiveWindow, SpeechWindows
from speakerdiar.models.diarizers.windows import WindowPlan

PLAN = WindowPlan()


@given(start=st.floats(0, 100), steps=st.lists(st.floats(0.01, 3), min_size=1, max_size=12))
def test_windows_cover_speech_however_it_grows(start: float, steps: list[float]) -> None:
    growing, ends = SpeechWindows(PLAN), start + np.cumsum(steps)
    fresh = []
    for end in ends[:-1].tolist():
        new, passing = growing.lay(start, end, closed=False)
        fresh += new
        assert all(window.end <= end for window in new)
        for window in passing:
            assert window.end <= max(end, start + PLAN.shortest + PLAN.inset) + 1e-6
    new, passing = growing.lay(start, float(ends[-1]), closed=True)
    fresh += new
    whole, _ = SpeechWindows(PLAN).lay(start, float(ends[-1]), closed=True)
    assert fresh == whole
    assert not passing
    assert fresh
    assert all(b.start - a.start <= PLAN.hop + 1e-6 for a, b in pairwise(fresh))
    if ends[-1] - start > PLAN.shortest + 2 * PLAN.inset:
        assert fresh[-1].end >= ends[-1] - PLAN.inset - LEAST_TAIL - 1e-6


@given(seconds=st.floats(0.1, 1.6))
def test_a_short_stretch_has_the_window_it_has_offline(seconds: float) -> None:
    [window], _ = SpeechWindows(PLAN).lay(2.0, 2.0 + seconds, closed=True)
    offline = PLAN.lay(np.array([[2.0, 2.0 + seconds]])).spans
    assert [window.start, window.end] == pytest.approx(offline[0].tolist())


def test_a_new_stretch_begins_anew() -> None:
    windows = SpeechWindows(PLAN)
    assert len(windows.lay(0.0, 2.1, closed=True)[0]) == 2
    [window], passing = windows.lay(3.0, 4.7, closed=False)
    assert window == pytest.approx((3.05, 4.65, 3.0))
    assert not passing


def test_forgotten_audio_changes_no_vector() -> None:
    embedder = FakeEmbedder()
    samples = np.random.default_rng(0).normal(0, 0.1, 16000 * 4).astype(np.float32)
    whole, short = LiveAudio(16000, 1), LiveAudio(16000, 1)
    for block in np.split(samples, 4):
        whole.push(block)
        short.push(block)
        short.forget(short.seconds - 2)
    windows = [LiveWindow(2.2, 3.8, 2.0), LiveWindow(3.1, 3.5, 3.0)]
    assert len(short.samples) < 2.2 * 16000
    assert short.seconds == whole.seconds == 4
    np.testing.assert_allclose(short.embed(embedder, windows), whole.embed(embedder, windows), atol=1e-6)
    assert whole.embed(embedder, []).shape == (0, embedder.dimension)
