"""Live audio from a microphone, or any other input of a sound card."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from speakerdiar.config import is_count
from speakerdiar.errors import AudioError, ConfigError, MissingExtraError
from speakerdiar.streaming.block_queue import BlockQueue
from speakerdiar.streaming.live_source import LiveSource
from speakerdiar.updates import SampleChunk

_LIST_DEVICES = "list the devices with `python -m sounddevice`"
_STALL_SECONDS = 5.0  # without a block, after which a device counts as gone


class Microphone(LiveSource):
    """An input device, which records from the first iteration on. Made by `microphone(...)`."""

    def __init__(self, sounddevice: Any, device: int | str | None, rate: int, block: float, queue: float) -> None:
        self._name = "the default microphone" if device is None else f"microphone {device!r}"
        self.sample_rate = _device_rate(sounddevice, device, rate, self._name)
        self._blocks = BlockQueue(self.sample_rate, queue)
        self._closed = False
        self._refusal: type[Exception] = sounddevice.PortAudioError
        try:
            self._stream = sounddevice.InputStream(
                samplerate=self.sample_rate,
                blocksize=max(1, round(block * self.sample_rate)),
                device=device,
                channels=1,
                dtype="float32",
                callback=self._heard,
                finished_callback=self._blocks.end,
            )
        except self._refusal as error:
            raise AudioError(f"{self._name}: can't be opened: {error}; {_LIST_DEVICES}.") from error

    def __iter__(self) -> Iterator[SampleChunk]:
        if not self._closed:
            self._start()
        while not self._closed:
            try:
                chunk = self._blocks.take(_STALL_SECONDS)
            except TimeoutError:
                raise AudioError(
                    f"{self._name}: gave no samples for {_STALL_SECONDS:g} s: is it still plugged in, and may this "
                    f"program record? Else {_LIST_DEVICES}."
                ) from None
            if chunk is None and not self._closed:
                raise AudioError(f"{self._name}: stopped by itself: is it still plugged in? Else {_LIST_DEVICES}.")
            if chunk is not None and not self._closed:
                yield chunk

    def close(self) -> None:
        """Stop recording and let go of the device; an iteration that waits ends."""
        if not self._closed:
            self._closed = True
            self._stream.close()
            self._blocks.end()

    def _start(self) -> None:
        if self._stream.active:
            return
        try:
            self._stream.start()
        except self._refusal as error:
            raise AudioError(f"{self._name}: can't record: {error}; {_LIST_DEVICES}.") from error

    def _heard(self, samples: np.ndarray, frames: int, time: Any, status: Any) -> None:
        """Take a block (frames, 1), on PortAudio's own thread, which uses its memory again afterwards."""
        self._blocks.put(samples[:, 0].copy(), bool(status.input_overflow))


def microphone(
    device: int | str | None = None,
    sample_rate: int = 16000,
    block_seconds: float = 0.08,
    queue_seconds: float = 30.0,
) -> Microphone:
    """Listen to a microphone. Needs the `mic` extra.

    Recording begins with the iteration. A block that the sound card had to drop, or that waited longer than
    `queue_seconds` for its listener, is reported (`SampleChunk.overrun`, `SampleChunk.lost`).

    Args:
        device: number or part of the name of an input device, as `python -m sounddevice` lists them; None for the
            system's default.
        sample_rate: Hz to ask for. A device that can't do that records at its own rate: see `Microphone.sample_rate`.
        block_seconds: length of a block.
        queue_seconds: how much is kept for a listener who can't keep up, before the oldest is dropped.

    Raises:
        MissingExtraError: sounddevice isn't installed; the message is the pip line.
        AudioError: no PortAudio on this system, no such device, or one that can't be opened; and from the iteration,
            where the device stops.
        ConfigError: a rate or a length that can't be.
    """
    if not is_count(sample_rate, least=1):
        raise ConfigError(f"sample_rate={sample_rate!r}: give a rate in Hz, e.g. 16000.")
    for name, value in (("block_seconds", block_seconds), ("queue_seconds", queue_seconds)):
        if not 0 < value < float("inf"):
            raise ConfigError(f"{name}={value!r}: give seconds above 0.")
    return Microphone(_sounddevice(), device, int(sample_rate), block_seconds, queue_seconds)


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise MissingExtraError("sounddevice", "mic", "Listening to a microphone") from error
    except OSError as error:  # raised by the package itself where it doesn't find the library
        raise AudioError(
            f"Listening to a microphone needs PortAudio ({error}): install it with your system's packages, e.g. "
            "apt install libportaudio2, or brew install portaudio."
        ) from error
    return sounddevice


def _device_rate(sounddevice: Any, device: int | str | None, wanted: int, name: str) -> int:
    """Return the wanted rate where the device can do it, else the device's own."""
    try:
        found = sounddevice.query_devices(device, "input")
    except (ValueError, sounddevice.PortAudioError) as error:
        raise AudioError(f"{name}: there is no such input device ({error}): {_LIST_DEVICES}.") from error
    try:
        sounddevice.check_input_settings(device=device, channels=1, dtype="float32", samplerate=wanted)
    except sounddevice.PortAudioError:
        return int(found["default_samplerate"])
    return wanted
