"""Local speakers of windows, a byte a frame."""

from __future__ import annotations

import numpy as np
import pytest

from speakerdiar.errors import InputError
from speakerdiar.postprocessing.local_speech import LocalSpeech
from speakerdiar.windows import WindowGrid

GRID = WindowGrid(rate=100, window=100, step=50, frames=4, frame_step=25, receptive=25)


def test_who_talks_comes_back_and_is_counted() -> None:
    active = np.zeros((3, 4, 2), dtype=bool)
    active[0, :2, 0] = active[0, 1:, 1] = active[2, 3, 1] = True
    speech = LocalSpeech.of(active, GRID, 200)
    assert (speech.active() == active).all()
    assert (speech.active(slice(2, 3)) == active[2:]).all()
    assert speech.spoken().tolist() == [[2, 3], [0, 0], [0, 1]]
    assert speech.alone().tolist() == [[1, 2], [0, 0], [0, 1]]
    assert (len(speech), speech.seconds) == (3, 2.0)


@pytest.mark.parametrize(
    "bits", [np.zeros((2, 4), dtype=np.uint8), np.zeros((3, 5), dtype=np.uint8), np.zeros((3, 4), dtype=np.int64)]
)
def test_other_shapes_are_refused(bits: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"give \(3, 4\)"):
        LocalSpeech(bits, 2, GRID, 200)
