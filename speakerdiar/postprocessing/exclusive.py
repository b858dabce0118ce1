"""One speaker at a time, frame by frame. `Diarization.exclusive` is the same for turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def exclusive(scores: NDArray[Any]) -> NDArray[Any]:
    """Keep in every frame only the strongest speaker's score and set the others to 0.

    Of equally strong speakers the first column stays.

    Args:
        scores: (frames, speakers), 0 or above.

    Returns:
        A new array of the same shape and type.

    Raises:
        InputError: scores of another shape.
    """
    array = np.asarray(scores)
    if array.ndim != 2:
        raise InputError(f"Scores have shape {array.shape}: give (frames, speakers).")
    if array.size == 0:
        return array.copy()
    strongest = array.argmax(axis=1)[:, None]
    return np.where(np.arange(array.shape[1]) == strongest, array, np.zeros((), dtype=array.dtype))
