"""How a streaming Sortformer cuts a recording: chunks, contexts and memories, by name or by number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from speakerdiar.config import checked_options, is_count
from speakerdiar.errors import ConfigError

FRAME_SECONDS = 0.08


@dataclass(frozen=True)
class SortformerLatency:
    """Lengths in frames of 80 ms, by NeMo's names. A decision comes `chunk_len + chunk_right_context` frames later.

    Args:
        chunk_len: frames that a step decides, 1 or more.
        chunk_right_context: frames heard ahead.
        fifo_len: newest frames kept as they are, in front of the chunk.
        spkcache_update_period: frames that leave the FIFO for the speaker cache at a time, at least; 1 or more.
        spkcache_len: frames of the speaker cache; the model's speakers and silence must fit into it.
        chunk_left_context: frames before the chunk that are heard again.

    Raises:
        ConfigError: a length isn't a whole number, or is below its bound.
    """

    chunk_len: int
    chunk_right_context: int
    fifo_len: int
    spkcache_update_period: int
    spkcache_len: int = 188
    chunk_left_context: int = 1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = 1 if name in ("chunk_len", "spkcache_update_period", "spkcache_len") else 0
            if not is_count(value, least=least):
                raise ConfigError(f"{name}={value!r}: give a whole number of 80 ms frames, {least} or more.")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> SortformerLatency:
        """Make a preset from a mapping.

        Raises:
            UnknownOptionError: a name that doesn't exist; the message has the closest.
            ConfigError: a length is missing, or can't be used.
        """
        given = checked_options(cls, values)
        missing = [name for name in ("chunk_len", "chunk_right_context", "fifo_len") if name not in given]
        if missing:
            raise ConfigError(f"latency={dict(values)!r} lacks {', '.join(missing)}: give frames of 80 ms.")
        return cls(**{"spkcache_update_period": given["chunk_len"], **given})

    @property
    def seconds(self) -> float:
        """Algorithmic latency: the sound that must have been heard before a chunk's first frame is decided."""
        return round((self.chunk_len + self.chunk_right_context) * FRAME_SECONDS, 6)


LATENCIES: Mapping[str, SortformerLatency] = {
    "30.4s": SortformerLatency(340, 40, fifo_len=40, spkcache_update_period=300),
    "10s": SortformerLatency(124, 1, fifo_len=124, spkcache_update_period=124),
    "1.04s": SortformerLatency(6, 7, fifo_len=188, spkcache_update_period=144),
    "0.64s": SortformerLatency(6, 2, fifo_len=188, spkcache_update_period=144),
    "0.32s": SortformerLatency(3, 1, fifo_len=188, spkcache_update_period=144),
}
"""Presets by their algorithmic latency; all but `0.64s` are those of the model card of streaming Sortformer v2."""
