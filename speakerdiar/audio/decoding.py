"""Picks the decoder of a source, and closes it.

A decoder reads forward in pieces of at most as many frames as it is asked for, so memory doesn't grow with the length.
A frame is one sample of every channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from speakerdiar.audio.array_decoding import ArrayDecoder
from speakerdiar.audio.av_decoding import AvDecoder
from speakerdiar.audio.codecs import check_codec
from speakerdiar.audio.containers import Family, identify
from speakerdiar.audio.headers import read_layout
from speakerdiar.audio.info import AudioInfo
from speakerdiar.audio.limits import AudioLimits
from speakerdiar.audio.opus_pages import with_mended_pages
from speakerdiar.audio.source import Window, name_of, opened
from speakerdiar.recording import Recording


class Decoder(Protocol):
    """Reads a source forward.

    Attributes:
        info: what the header says.
        promised_frames: frames that the header promises, None where it makes no promise that one can hold it to.
    """

    info: AudioInfo
    promised_frames: int | None

    def read(self, frames: int) -> np.ndarray:
        """Return the next (n, channels) float32 samples, n <= frames; none only at the end."""

    def skip(self, frames: int) -> int:
        """Move `frames` forward; return how many there were to skip."""

    def close(self) -> None:
        """Let go of the decoder. The file stays open: it belongs to whoever opened it."""


@contextmanager
def decoding(recording: Recording, limits: AudioLimits) -> Iterator[Decoder]:
    """Open a recording's source and yield its decoder; everything opened is closed at the end.

    Raises:
        AudioError: see `speakerdiar.audio.source.opened`.
        AudioDecodeError: not audio, or of a codec that is refused.
        AudioLimitError: a rate or number of channels beyond the limits.
        MissingExtraError: the format needs PyAV, which isn't installed.
    """
    if isinstance(recording.source, np.ndarray):
        yield ArrayDecoder(recording.source, recording.sample_rate, recording.id, limits)
        return
    with opened(recording, limits) as window:
        decoder = _decoder(window, limits)
        try:
            limits.check_format(decoder.info.sample_rate, decoder.info.channels, name_of(recording))
            yield decoder
        finally:
            decoder.close()


def _decoder(window: Window, limits: AudioLimits) -> Decoder:
    # Imported here because it loads libsndfile, which arrays and `import speakerdiar.audio` do without.
    from speakerdiar.audio.soundfile_decoding import SoundfileDecoder

    container = identify(window)
    body = window.part(container.start, window.size)
    if container.family is Family.AV:
        return AvDecoder(body, container.demuxer, limits)
    if container.family is Family.SNDFILE:
        return SoundfileDecoder(with_mended_pages(body), None, limits)
    layout = read_layout(window)
    limits.check_format(layout.sample_rate, layout.channels, window.name)
    check_codec(layout.codec, window.name, limits)
    return SoundfileDecoder(window, layout if layout.is_plain else None, limits)
