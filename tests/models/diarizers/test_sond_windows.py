"""SOND's windows over the frames of a recording, whichever stretches these come in."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.models.diarizers.sond_windows import SondPlan, Stretch, batches, windows_of


def stretches(lengths: list[int], loud: torch.Tensor) -> list[Stretch]:
    """Frames that bear their own numbers, in stretches of some lengths."""
    frames, found, end = torch.arange(len(loud))[:, None], [], 0
    for length in lengths:
        end += length
        found.append(Stretch(frames[end - length : end], loud[end - length : end], end * 0.08 - 0.01))
    return found


@given(
    lengths=st.lists(st.integers(1, 15), min_size=1, max_size=6),
    size=st.integers(1, 12),
    step=st.integers(1, 12),
    data=st.data(),
)
def test_windows_are_parts_of_the_whole(lengths: list[int], size: int, step: int, data: st.DataObject) -> None:
    step, total = min(size, step), sum(lengths)
    loud = torch.tensor(data.draw(st.lists(st.booleans(), min_size=total, max_size=total)))
    plan = SondPlan(window=size * 0.08, step=step * 0.08)
    found = list(windows_of(stretches(lengths, loud), plan))
    assert len(found) == 1 + max(0, -(-(total - size) // step))
    for index, window in enumerate(found):
        assert window.first == index * step
        inside = slice(window.first, window.first + size)
        assert window.frames[:, 0].tolist() == list(range(total))[inside]
        assert window.silent == (not loud[inside].any())
    assert [window.end for window in found[:-1]] == pytest.approx([(w.first + size) * 0.08 for w in found[:-1]])
    assert found[-1].end == total * 0.08 - 0.01


def test_nothing_has_no_windows() -> None:
    assert list(windows_of([], SondPlan())) == []


def test_windows_that_are_alike_go_together() -> None:
    loud = torch.tensor([True] * 8 + [False] * 6 + [True] * 5)
    windows = windows_of(stretches([19], loud), SondPlan(window=0.16, step=0.16))
    firsts = [[window.first for window in batch] for batch in batches(windows, 3)]
    assert firsts == [[0, 2, 4], [6], [8, 10, 12], [14, 16], [18]]


def test_a_stretch_holds_a_window_at_least() -> None:
    assert (SondPlan(encode=8.0).stretch_frames, SondPlan(window=24.0).stretch_frames) == (200, 300)
    assert SondPlan(encode=64.0).stretch_frames == 800
