"""Recurrent networks on a CPU: several threads with one sequence batch each, instead of many threads in each step.

A step of a small LSTM takes microseconds. Sharing it among threads means a barrier at every step, which costs more than
the step itself as soon as anything else runs on the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use a single thread inside the block; as many as before behind it."""
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def map_over_threads(function: Callable[[ItemT], ResultT], items: Sequence[ItemT]) -> list[ResultT]:
    """Return `[function(item) for item in items]`, run on as many threads as torch may use.

    Torch itself uses one thread inside `function`, and inference mode holds there if it holds for the caller. The
    results are the same whatever the number of threads.
    """
    threads = min(torch.get_num_threads(), len(items))
    inference = torch.is_inference_mode_enabled()

    def run(item: ItemT) -> ResultT:
        with torch.inference_mode(inference):
            return function(item)

    if threads <= 1:
        with one_thread():
            return [run(item) for item in items]
    # A new thread starts with the number of threads that was set last, wherever that was: one_thread() puts it back.
    with one_thread(), ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(run, items))
