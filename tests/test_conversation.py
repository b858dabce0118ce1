"""The demo conversation is what its page says: four voices, exact turns, some overlap."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import speakerdiar
from speakerdiar import Diarization

Audio = tuple[NDArray[np.float64], int]
DATA = Path(__file__).resolve().parents[1] / "examples/data"


@pytest.fixture(scope="module")
def reference() -> Diarization:
    [found] = speakerdiar.load(DATA / "conversation.rttm")
    return found


@pytest.fixture(scope="module")
def audio() -> Audio:
    samples, rate = soundfile.read(DATA / "conversation.flac")
    return samples, rate


def test_format(audio: Audio) -> None:
    samples, rate = audio
    assert rate == 16_000
    assert samples.ndim == 1
    assert 50 < len(samples) / rate < 70
    assert np.abs(samples).max() < 0.99
    assert (DATA / "conversation.flac").stat().st_size < 1_200_000


def test_four_speakers_with_some_overlap(reference: Diarization) -> None:
    assert set(reference.speakers) == {"ada", "ben", "cleo", "duncan"}
    assert min(reference.durations().values()) > 10
    overlap = sum(part.duration for part in reference.overlap) / sum(part.duration for part in reference.speech)
    assert 0.05 < overlap < 0.08


def test_sound_begins_and_ends_with_the_turns(reference: Diarization, audio: Audio) -> None:
    """Where someone begins after silence, the level rises at the very frame that the reference names."""
    samples, rate = audio
    step = rate // 100
    level = 10 * np.log10(np.mean(samples[: len(samples) // step * step].reshape(-1, step) ** 2, axis=1) + 1e-12)
    silence = np.median(level[:50])
    speech = reference.speech
    quiet_starts = [b.start for a, b in pairwise(speech) if b.start - a.end > 0.3]
    assert len(quiet_starts) >= 5
    for start in (speech[0].start, *quiet_starts):
        frame = round(start * 100)
        assert level[frame : frame + 10].max() > silence + 10
        assert level[frame - 3 : frame].max() < silence + 12
    assert level[round(speech[-1].end * 100) + 40 :].max() < silence + 10
