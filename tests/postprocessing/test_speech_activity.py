"""Speech, overlap, changes and counts without clustering."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar.annotation import Segment
from speakerdiar.config import PostProcessingParams
from speakerdiar.errors import ConfigError
from speakerdiar.postprocessing.local_speech import LocalSpeech
from speakerdiar.postprocessing.speech_activity import (
    ChangeParams,
    changes_of_windows,
    speaker_changes,
    speech_activity,
)
from speakerdiar.windows import WindowGrid

# Frames of 0.1 s, centred on 0.05 s, 0.15 s, ...; windows of 4 s every second.
GRID = WindowGrid(rate=100, window=400, step=100, frames=40, frame_step=10, receptive=10)


def conversation(windows: int, *spans: tuple[int, int, int]) -> LocalSpeech:
    """Spans are first frame, last frame + 1 and person; each window has slots of its own for the people in it."""
    frames = int(GRID.first_frame(windows - 1)) + GRID.frames
    talks = np.zeros((frames, 3), dtype=bool)
    for first, last, person in spans:
        talks[first:last, person] = True
    starts = [int(GRID.first_frame(window)) for window in range(windows)]
    local = [np.roll(talks[at : at + GRID.frames], window, axis=1) for window, at in enumerate(starts)]
    return LocalSpeech.of(np.stack(local), GRID, GRID.window + (windows - 1) * GRID.step)


def sets(text: str) -> NDArray[np.uint8]:
    return np.array([[int(sign) for sign in text]], dtype=np.uint8)


def near(times: tuple[float, ...]) -> object:
    return pytest.approx(times, abs=1e-9)


def test_speech_overlap_and_counts() -> None:
    heard = speech_activity(conversation(4, (5, 30, 0), (25, 50, 1)))
    assert [tuple(piece) for piece in heard.speech] == [pytest.approx((0.55, 5.05))]
    assert [tuple(piece) for piece in heard.overlap] == [pytest.approx((2.55, 3.05))]
    assert heard.count.tolist() == [0] * 5 + [1] * 20 + [2] * 5 + [1] * 20 + [0] * 20
    assert (heard.duration, heard.grid) == (7.0, GRID.frame_grid)


def test_changes_are_where_other_people_talk() -> None:
    speech = conversation(4, (5, 30, 0), (25, 50, 1))
    assert speech_activity(speech).changes == near((2.55, 3.05))


def test_a_change_lies_in_the_middle_of_a_pause() -> None:
    speech = conversation(4, (5, 30, 0), (34, 60, 1))
    assert speech_activity(speech).changes == near((3.25,))
    assert speech_activity(speech, changes=ChangeParams(pause=0.3)).changes == ()


def test_a_pause_alone_is_no_change() -> None:
    assert speech_activity(conversation(4, (5, 30, 0), (34, 60, 0))).changes == ()


def test_windows_see_changes_of_their_own() -> None:
    assert changes_of_windows(sets("0110022033"), 1).nonzero()[1].tolist() == [7]
    assert changes_of_windows(sets("0110022033"), 2).nonzero()[1].tolist() == [4, 7]
    assert not changes_of_windows(sets("0110011100"), 9).any()
    both = np.concatenate((sets("0011"), sets("2200")))
    assert not changes_of_windows(both, 9).any(), "what one window ends with and the next begins with is no change"


def test_a_change_that_few_windows_see_is_dropped() -> None:
    speech = conversation(4, (0, 70, 0))
    bits = speech.bits.copy()
    bits[1, 25:] = 4  # frame 35 of the recording, which windows 0 to 3 all hear
    alone = replace(speech, bits=bits)
    assert speaker_changes(alone, ChangeParams(agreement=0.3)).tolist() == []
    assert speaker_changes(alone, ChangeParams(agreement=0.25)).tolist() == near((3.55,))


def test_windows_that_see_it_a_little_apart_agree_on_the_middle() -> None:
    speech = conversation(4, (0, 70, 0))
    bits = speech.bits.copy()
    for window, at in enumerate((34, 35, 35, 36)):
        bits[window, at - 10 * window :] = 8
    found = speaker_changes(replace(speech, bits=bits, speakers=4), ChangeParams(agreement=0.7, reach=0.3))
    assert found.tolist() == near((3.55,))


def test_durations_and_pads_apply() -> None:
    speech = conversation(4, (5, 20, 0), (22, 30, 0))
    filled = speech_activity(speech, PostProcessingParams(min_duration_off=0.3, pad_onset=0.1))
    assert [tuple(piece) for piece in filled.speech] == [pytest.approx((0.45, 3.05))]


@pytest.mark.parametrize("windows", [0, 1, 5])
def test_silence_has_nothing(windows: int) -> None:
    bits = np.zeros((windows, GRID.frames), dtype=np.uint8)
    heard = speech_activity(LocalSpeech(bits, 3, GRID, 300 + 100 * windows if windows else 0))
    assert (heard.speech, heard.overlap, heard.changes) == ((), (), ())
    assert not heard.count.any()
    assert len(heard.count) == round(heard.duration * 10)


@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(1, 9), st.integers(1, 99))
def test_blocks_never_change_the_result_and_nothing_lies_past_the_end(
    seed: int, windows: int, size: int, lacking: int
) -> None:
    rng = np.random.default_rng(seed)
    bits = np.repeat(rng.integers(0, 4, (windows, GRID.frames // 5), dtype=np.uint8), 5, axis=1)
    speech = LocalSpeech(bits, 3, GRID, GRID.window + (windows - 1) * GRID.step - lacking)
    whole, parts = speech_activity(speech), speech_activity(speech, windows_at_once=size)
    assert (whole.speech, whole.overlap, whole.changes) == (parts.speech, parts.overlap, parts.changes)
    np.testing.assert_array_equal(whole.count, parts.count)
    latest = [*whole.changes, *(piece.end for piece in (*whole.speech, *whole.overlap)), 0.0]
    assert max(latest) <= speech.seconds
    assert list(whole.changes) == sorted(whole.changes)
    assert all(any(piece & outer == piece for outer in whole.speech) for piece in whole.overlap)
    assert all(isinstance(piece, Segment) for piece in whole.speech)


@pytest.mark.parametrize(
    "wrong", [{"pause": -1.0}, {"agreement": 0.0}, {"agreement": 1.1}, {"reach": 0.0}, {"reach": float("nan")}]
)
def test_options_outside_their_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ChangeParams(**wrong)
