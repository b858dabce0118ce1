"""Reads ahead: the next blocks are decoded while the last ones are worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

ItemT = TypeVar("ItemT")

_WAIT = 0.05  # seconds between two looks at whether anyone still wants items


def prefetched(items: Iterable[ItemT], ahead: int = 2) -> Iterator[ItemT]:
    """Yield the items in order, made in a thread of their own, at most `ahead` of them before they are asked for.

    What making them raises is raised here, at its place. When this is closed or dropped, the thread ends, and a
    generator of items is closed.
    """
    ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(ahead)
    over = threading.Event()
    thread = threading.Thread(target=_make, args=(items, ready, over), name="speakerdiar-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        over.set()
        thread.join()


def _make(items: Iterable[Any], ready: queue.Queue[tuple[Any, BaseException | None]], over: threading.Event) -> None:
    """Put the items into the queue, and behind them what ended them."""

    def put(item: Any, error: BaseException | None) -> bool:
        while not over.is_set():
            try:
                ready.put((item, error), timeout=_WAIT)
                return True
            except queue.Full:
                continue
        return False

    source = iter(items)
    try:
        if all(put(item, None) for item in source):
            put(None, StopIteration())
    except BaseException as error:
        put(None, error)
    finally:
        if hasattr(source, "close"):
            source.close()
