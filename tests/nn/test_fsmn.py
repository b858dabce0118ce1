"""Memory, residuals and masks of the sequential memory network."""

from __future__ import annotations

import pytest
import torch

from speakerdiar.nn.fsmn import FsmnEncoder, FsmnLayer, FsmnMemory, FsmnShape

SHAPE = FsmnShape(inputs=6, outputs=5, layers=3, dense=2, units=8, inner=10, kernel=5)


@pytest.mark.parametrize("kernel", [1, 4, 5])
def test_memory_adds_what_lies_around(kernel: int) -> None:
    memory, rows = FsmnMemory(2, kernel), torch.randn(1, 9, 2)
    left = (kernel - 1) // 2
    for frame in range(9):
        places = [place for place in range(frame - left, frame - left + kernel) if 0 <= place < 9]
        taps = [place - frame + left for place in places]
        wanted = rows[0, frame] + (rows[0, places] * memory.fsmn_block.weight[:, 0, taps].T).sum(0)
        torch.testing.assert_close(memory(rows, None)[0, frame], wanted)


def test_input_is_added_where_sizes_agree() -> None:
    rows = torch.randn(2, 7, 8)
    for inputs in (6, 8):
        layer = FsmnLayer(inputs, SHAPE)
        torch.nn.init.zeros_(layer.ffn.w_2.weight)
        wanted = rows if inputs == 8 else torch.zeros_like(rows)
        torch.testing.assert_close(layer(rows[..., :inputs], None), wanted)


def test_padding_changes_nothing() -> None:
    network, rows = FsmnEncoder(SHAPE), torch.randn(2, 20, 6)
    valid = torch.arange(20) < torch.tensor([20, 13])[:, None]
    found = network(rows, valid)
    assert found.shape == (2, 20, 5)
    torch.testing.assert_close(found[0], network(rows[:1])[0])
    torch.testing.assert_close(found[1, :13], network(rows[1:, :13])[0])
