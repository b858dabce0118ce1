"""How the process's allocator treats memory that networks free and want again a moment later."""

from __future__ import annotations

import torch

_LARGEST = 31 * 2**20
"""Just below 32 MiB, the largest block from which glibc learns."""


def keep_freed_memory() -> None:
    """Let the allocator keep blocks of up to 31 MiB that are freed, instead of giving them back at once.

    glibc takes large blocks from the system and returns them when they are freed, so that each is filled with zeros,
    page by page, whenever it is wanted again; a step of a large network asks for hundreds. The largest such block that
    was ever freed is what it keeps from then on (mallopt(3), M_MMAP_THRESHOLD). This block is never written to, so it
    costs no memory. Other allocators don't mind.
    """
    torch.empty(_LARGEST, dtype=torch.uint8)  # freed at once
