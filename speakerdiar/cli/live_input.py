"""What `speakerdiar stream` listens to: a file, a microphone, a pipe; and how a person ends that."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, TypeVar

from speakerdiar.errors import ConfigError
from speakerdiar.recording import id_of_path

MICROPHONE, STANDARD_INPUT = "mic", "-"

_PACED_SECONDS = 0.08  # of a block, as of a microphone's
_ChunkT = TypeVar("_ChunkT")


@dataclass(frozen=True)
class RawPcm:
    """How samples without a header are stored."""

    sample_rate: int
    channels: int
    dtype: str


@dataclass(frozen=True)
class LiveInput:
    """Something to listen to.

    Attributes:
        id: of the recording.
        sample_rate: Hz of its samples; None where it gives any.
        chunks: from the rate to the chunks.
    """

    id: str
    sample_rate: int | None
    chunks: Callable[[int], Iterable[Any]]


def open_input(name: str, raw: RawPcm, pace: bool, opened: ExitStack) -> LiveInput:
    """Return what is named: an audio file, `mic` or `mic:DEVICE`, `-` for standard input, or the path of a pipe.

    Raises:
        ConfigError: a pace for what is live.
        SpeakerdiarError: it can't be opened.
    """
    kind, _, device = name.partition(":")
    live = kind == MICROPHONE or name == STANDARD_INPUT or _is_pipe(name)
    if pace and live:
        raise ConfigError(f"--pace with {name}: what is live has its own pace; leave it out.")
    if kind == MICROPHONE:
        return _of_microphone(device, opened)
    if live:
        return _of_pipe(name, raw, opened)
    return _of_file(name, pace)


def _is_pipe(name: str) -> bool:
    try:
        mode = os.stat(name).st_mode
    except (OSError, ValueError):
        return False  # whoever reads it says so
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def _of_microphone(device: str, opened: ExitStack) -> LiveInput:
    from speakerdiar.streaming import microphone

    source = opened.enter_context(microphone(int(device) if device.isdecimal() else device or None))
    return LiveInput("microphone", source.sample_rate, lambda rate: source)


def _of_pipe(name: str, raw: RawPcm, opened: ExitStack) -> LiveInput:
    from speakerdiar.streaming import pipe_source

    stream: BinaryIO
    if name == STANDARD_INPUT:
        id, stream = "stdin", sys.stdin.buffer
    else:
        id, stream = id_of_path(name), Path(name).open("rb")  # noqa: SIM115 (closed with all that is opened)
        opened.enter_context(stream)
    source = opened.enter_context(pipe_source(stream, raw.sample_rate, raw.channels, raw.dtype))
    return LiveInput(id, source.sample_rate, lambda rate: source)


def _of_file(path: str, pace: bool) -> LiveInput:
    from speakerdiar.audio import probe, read_blocks
    from speakerdiar.streaming import paced

    probe(path)  # what can't be read is reported before a model is loaded

    def chunks(rate: int) -> Iterable[Any]:
        blocks = read_blocks(path, rate, _PACED_SECONDS)
        return paced(blocks, rate) if pace else blocks

    return LiveInput(id_of_path(path), None, chunks)


class CtrlC:
    """Lets Ctrl-C end a loop over chunks without breaking off what is done with one. A second one breaks off.

    Attributes:
        pressed: whether it was.
    """

    def __init__(self) -> None:
        self.pressed = False
        self._waiting = False
        self._stopped = False

    def until(self, chunks: Iterable[_ChunkT]) -> Iterator[_ChunkT]:
        """Yield chunks until they end or Ctrl-C is pressed."""
        before = signal.signal(signal.SIGINT, self._press)
        try:
            source = iter(chunks)
            while not self._stopped:
                self._waiting = True
                try:
                    chunk = next(source)
                except (StopIteration, KeyboardInterrupt):
                    return
                finally:
                    self._waiting = False
                yield chunk
        finally:
            signal.signal(signal.SIGINT, before)

    def stop(self) -> None:
        """End the loop for another reason."""
        self._stopped = True

    def _press(self, number: int, frame: FrameType | None) -> None:
        again, self.pressed, self._stopped = self.pressed, True, True
        if self._waiting or again:
            raise KeyboardInterrupt
