"""Threads with a batch each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from speakerdiar.nn.threads import map_over_threads, one_thread


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_order_from_single_threads_and_the_count_is_back(threads: int) -> None:
    def work(item: int) -> tuple[int, int, bool]:
        return item * item, torch.get_num_threads(), torch.is_inference_mode_enabled()

    assert map_over_threads(work, range(7)) == [(i * i, 1, False) for i in range(7)]
    with torch.inference_mode():
        assert map_over_threads(work, range(2)) == [(0, 1, True), (1, 1, True)]
    assert map_over_threads(work, []) == []
    assert torch.get_num_threads() == threads


def test_the_count_is_back_after_an_error(threads: int) -> None:
    with pytest.raises(ZeroDivisionError):
        map_over_threads(lambda item: 1 // item, [1, 0, 2])
    with pytest.raises(KeyError), one_thread():
        raise KeyError
    assert torch.get_num_threads() == threads
