"""The microphone, with a sound card that the test plays itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fakes_streaming import ToneStreamer

from speakerdiar.errors import AudioError, ConfigError, MissingExtraError
from speakerdiar.streaming import Microphone, microphone, microphones
from speakerdiar.updates import SampleChunk


class PortAudioError(Exception):
    """As sounddevice has it."""


class SoundCard:
    """Stands in for the sounddevice package: one input device at 48 kHz, which records what `play` is given."""

    PortAudioError = PortAudioError

    def __init__(self, rates: tuple[int, ...] = (16000, 48000)) -> None:
        self.rates = rates
        self.active = False
        self.closed = False
        self.on_start: Callable[[], None] = lambda: None

    def query_devices(self, device: int | str | None, kind: str) -> dict[str, float]:
        if device not in (None, 0, "USB"):
            raise ValueError(f"No {kind} device matching {device!r}")
        return {"default_samplerate": 48000.0}

    def check_input_settings(self, device: Any, channels: int, dtype: str, samplerate: int) -> None:
        if samplerate not in self.rates:
            raise PortAudioError("Invalid sample rate")

    def InputStream(self, **options: Any) -> SoundCard:
        self.options = options
        return self

    def start(self) -> None:
        self.active = True
        self.on_start()

    def close(self) -> None:
        self.closed, self.active = True, False
        self.options["finished_callback"]()

    def stop_by_itself(self) -> None:
        self.active = False
        self.options["finished_callback"]()

    def play(self, samples: np.ndarray, overflow: bool = False) -> None:
        """Hand over a block the way PortAudio does: in memory that is used again."""
        memory = samples[:, None].astype(np.float32)
        self.options["callback"](memory, len(memory), None, SimpleNamespace(input_overflow=overflow))
        memory[:] = np.nan

    def record(self, blocks: list[np.ndarray]) -> None:
        for block in blocks:
            self.play(block)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> SoundCard:
    card = SoundCard()
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    return card


def played(card: SoundCard, source: Microphone, blocks: list[np.ndarray]) -> list[SampleChunk]:
    """What the source yields for blocks that come before anyone takes one."""
    card.on_start = lambda: card.record(blocks)
    chunks = []
    for chunk in source:
        chunks.append(chunk)
        if chunk.samples[-1] == blocks[-1][-1]:
            source.close()
    return chunks


def blocks_of(count: int, size: int = 1600) -> list[np.ndarray]:
    return [np.full(size, (index + 1) / 128, np.float32) for index in range(count)]


def test_blocks_come_as_they_were_recorded(card: SoundCard) -> None:
    with microphone("USB", block_seconds=0.1) as source:
        assert (source.sample_rate, source.is_live) == (16000, True)
        assert not card.active, "recording begins with the iteration"
        chunks = played(card, source, blocks_of(5))
    assert card.options["device"] == "USB"
    assert card.options["blocksize"] == 1600
    np.testing.assert_array_equal(np.concatenate([chunk.samples for chunk in chunks]), np.concatenate(blocks_of(5)))
    assert not any(chunk.overrun or chunk.lost for chunk in chunks)
    assert card.closed
    assert list(source) == [], "a closed source gives nothing"


def test_a_slow_listener_is_told_how_much_was_dropped(card: SoundCard) -> None:
    source = microphone(queue_seconds=0.35)
    first, *others = played(card, source, blocks_of(10))
    assert first.overrun
    assert first.lost == pytest.approx(0.7)
    np.testing.assert_array_equal(first.samples, blocks_of(10)[7])
    assert [(chunk.overrun, chunk.lost) for chunk in others] == [(False, 0.0)] * 2


def test_a_block_longer_than_the_queue_is_kept(card: SoundCard) -> None:
    [only] = played(card, microphone(queue_seconds=0.01), blocks_of(2))
    assert only.lost == pytest.approx(0.1)


def test_an_overflow_of_the_sound_card_is_reported(card: SoundCard) -> None:
    source = microphone()
    card.on_start = lambda: card.play(np.zeros(160), overflow=True)
    chunk = next(iter(source))
    assert (chunk.overrun, chunk.lost) == (True, 0.0)


def test_a_device_that_cannot_do_the_rate_records_at_its_own(card: SoundCard) -> None:
    card.rates = (48000,)
    source = microphone(block_seconds=0.1)
    assert source.sample_rate == 48000
    assert (card.options["samplerate"], card.options["blocksize"]) == (48000, 4800)


def test_an_unplugged_device_is_an_error(card: SoundCard) -> None:
    source = iter(microphone())
    card.on_start = lambda: card.play(np.zeros(160))
    next(source)
    card.stop_by_itself()
    with pytest.raises(AudioError, match="default microphone: stopped by itself"):
        next(source)


def test_a_device_that_stalls_is_an_error(card: SoundCard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphones, "_STALL_SECONDS", 0.01)
    with pytest.raises(AudioError, match=r"gave no samples for 0\.01 s"):
        next(iter(microphone()))


def test_an_unknown_device_is_refused_with_the_way_to_list_them(card: SoundCard) -> None:
    with pytest.raises(AudioError, match=r"'Studio'.*No input device matching.*python -m sounddevice"):
        microphone("Studio")


@pytest.mark.parametrize("call", ["InputStream", "start"])
def test_a_device_that_refuses_is_an_error(card: SoundCard, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: Any) -> None:
        raise PortAudioError("Device unavailable")

    monkeypatch.setattr(card, call, refuse)
    with pytest.raises(AudioError, match="Device unavailable"):
        next(iter(microphone()))


def test_without_the_package_the_pip_line_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtraError, match=r'pip install "speakerdiar\[mic\]"'):
        microphone()


def test_without_portaudio_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, path: Any, target: Any = None) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(AudioError, match=r"PortAudio library not found.*libportaudio2"):
        microphone()


@pytest.mark.parametrize("options", [{"sample_rate": 0}, {"block_seconds": 0}, {"queue_seconds": float("nan")}])
def test_values_that_cannot_be_are_refused(card: SoundCard, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        microphone(**options)


def test_what_was_lost_shows_up_as_events(card: SoundCard) -> None:
    source = microphone(queue_seconds=0.35)
    card.on_start = lambda: card.record(blocks_of(10))
    events = []
    for update in ToneStreamer().diarize_generator(source):
        events += update.events
        source.close()
    assert [(event.kind, event.time) for event in events] == [("gap", 0.0), ("overrun", 0.0)]
    assert events[0].seconds == pytest.approx(0.7)
