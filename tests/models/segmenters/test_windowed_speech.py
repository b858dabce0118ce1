"""Speech from the windows of a local segmentation model, block by block and live."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import RATE, tones
from fakes_local import ToneSegmenter
from numpy.typing import NDArray

from speakerdiar.frames import runs
from speakerdiar.models.segmenters.windowed_speech import WindowedSpeech

TALK = tones([(0.3, 4, 0), (4.2, 9, 1), (8, 9, 2)], 10.05)


class LevelledTones(ToneSegmenter):
    """Hears tones only where they are as loud as it wants them."""

    level = -20.0


def spoken(scores: NDArray[np.float32]) -> list[tuple[float, float]]:
    return [(float(first) / 10, float(last) / 10) for first, last in runs(scores[:, 0] > 0.5)]


def test_speech_is_where_anybody_talks() -> None:
    found = WindowedSpeech(ToneSegmenter()).segment((TALK, RATE))
    assert len(found.data) == 101
    assert spoken(found.data) == [(0.3, 4.0), (4.2, 9.0)]


@pytest.mark.parametrize("frames", [1, 3, 40])
def test_live_it_says_the_same_as_in_blocks(frames: int) -> None:
    speech = WindowedSpeech(ToneSegmenter())
    parts, state = [], None
    for first in range(0, len(TALK), frames * RATE // 10):
        scores, state = speech.score_next(TALK[first : first + frames * RATE // 10], state)
        parts.append(scores)
    assert spoken(np.concatenate(parts)) == [(0.3, 4.0), (4.2, 9.0)]


def test_a_state_may_be_used_twice() -> None:
    speech = WindowedSpeech(LevelledTones())
    _, state = speech.score_next(TALK[: RATE * 3], None)
    once, twice = (speech.score_next(TALK[RATE * 3 : RATE * 4], state)[0] for _ in range(2))
    np.testing.assert_array_equal(once, twice)


def test_faint_recordings_are_brought_to_the_level_of_the_model() -> None:
    faint = TALK * np.float32(0.01)
    assert not spoken(WindowedSpeech(ToneSegmenter()).segment((faint, RATE)).data)
    assert spoken(WindowedSpeech(LevelledTones()).segment((faint, RATE)).data) == [(0.3, 4.0), (4.2, 9.0)]
    live = WindowedSpeech(LevelledTones())
    _, state = live.score_next(faint[: RATE * 6], None)
    assert spoken(live.score_next(faint[RATE * 6 :], state)[0]) == [(0.0, 3.0)]


def test_silence_stays_silent() -> None:
    for model in (ToneSegmenter(), LevelledTones()):
        assert not spoken(WindowedSpeech(model).segment((np.zeros(RATE * 3, np.float32), RATE)).data)
