"""How Nemotron-3-Diarization cuts a recording: chunks, contexts and memories, by name or by number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from speakerdiar.config import checked_options, is_count
from speakerdiar.errors import ConfigError

FRAME_SECONDS = 0.08
"""Length of an encoder frame, which chunks and memories are counted in."""
_LEAST = {"chunk_length": 1, "speaker_cache_update_period": 1, "speaker_cache_length": 1}


@dataclass(frozen=True)
class NemotronLatency:
    """Lengths in encoder frames of 80 ms, by the names of transformers. None takes what the checkpoint says of streams.

    A decision comes `chunk_length + chunk_right_context` frames after what it is about.

    Args:
        chunk_length: frames that a step decides, 1 or more.
        chunk_right_context: frames heard ahead.
        chunk_left_context: frames before the chunk that are heard again.
        fifo_length: newest frames kept as they are, in front of the chunk.
        speaker_cache_update_period: frames that leave the FIFO for the speaker cache at a time, at least; 1 or more.
        speaker_cache_length: frames of the speaker cache; at least one for each speaker beside the silence kept there.
        end_at_once: decide in one step what is left at the end (a chunk and its right context at most), as sessions of
            transformers' processor do; else chunk by chunk, as its offline forward does.

    Raises:
        ConfigError: a length isn't a whole number, or is below its bound.
    """

    chunk_length: int
    chunk_right_context: int = 0
    chunk_left_context: int = 0
    fifo_length: int | None = None
    speaker_cache_update_period: int | None = None
    speaker_cache_length: int | None = None
    end_at_once: bool = False

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = _LEAST.get(name, 0)
            if name == "end_at_once":
                if not isinstance(value, bool):
                    raise ConfigError(f"end_at_once={value!r}: give True or False.")
            elif not is_count(value, least=least) and not (value is None and name.startswith(("fifo", "speaker"))):
                raise ConfigError(f"{name}={value!r}: give a whole number of 80 ms frames, {least} or more.")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> NemotronLatency:
        """Make a preset from a mapping.

        Raises:
            UnknownOptionError: a name that doesn't exist; the message has the closest.
            ConfigError: `chunk_length` is missing, or a length can't be used.
        """
        given = checked_options(cls, values)
        if "chunk_length" not in given:
            raise ConfigError(f"latency={dict(values)!r} lacks chunk_length: give frames of 80 ms.")
        return cls(**given)

    @property
    def seconds(self) -> float:
        """Algorithmic latency: the sound that must have been heard before a chunk's first frame is decided."""
        return round((self.chunk_length + self.chunk_right_context) * FRAME_SECONDS, 6)


LATENCIES: Mapping[str, NemotronLatency] = {
    "30.4s": NemotronLatency(340, 40, fifo_length=40, speaker_cache_update_period=300),
    "1.04s": NemotronLatency(9, 4, end_at_once=True),
    "0.64s": NemotronLatency(6, 2, end_at_once=True),
    "0.32s": NemotronLatency(3, 1, end_at_once=True),
}
"""The presets of the model card by their algorithmic latency. `30.4s` is what the released checkpoint does offline."""
