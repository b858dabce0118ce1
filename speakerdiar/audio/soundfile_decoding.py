"""Decodes through libsndfile: FLAC, OGG, MP3, CAF, SPHERE, and the samples of plain containers."""

from __future__ import annotations

from typing import Any

import numpy as np
import soundfile

from speakerdiar.audio.codecs import check_codec
from speakerdiar.audio.headers import PlainLayout
from speakerdiar.audio.info import AudioInfo
from speakerdiar.audio.limits import AudioLimits
from speakerdiar.audio.source import Window
from speakerdiar.errors import AudioDecodeError

_UNKNOWN_FRAMES = 2**62  # libsndfile gives its largest count where a header doesn't say
_SKIPPED_AT_ONCE = 2**16


class _ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is read forward.

    `SoundFile.read` seeks to where it is after every read of a file that can seek, which fails where the length isn't
    known (FLAC written to a pipe).
    """

    def seekable(self) -> bool:
        return False


class SoundfileDecoder:
    """Decodes a whole file, or the headerless samples that a `PlainLayout` points at.

    Raises:
        AudioDecodeError: libsndfile can't make sense of it, or its codec is refused.
    """

    def __init__(self, window: Window, layout: PlainLayout | None, limits: AudioLimits) -> None:
        self._name = window.name
        self._window = window if layout is None else window.part(layout.start, layout.size)
        self._window.seek(0)
        self._file = _open(self._window, layout)
        self._position = 0
        self._ended = False
        frames = None if self._file.frames >= _UNKNOWN_FRAMES else int(self._file.frames)
        container, codec = self._file.format, self._file.subtype
        if layout is not None:
            container, codec, frames = layout.container, layout.codec, layout.frames
        self.info = AudioInfo.of_frames(self._file.samplerate, self._file.channels, frames, container, codec)
        self.promised_frames = frames if layout is None else layout.promised_frames
        try:
            check_codec(codec, self._name, limits)
        except AudioDecodeError:
            self.close()
            raise

    def read(self, frames: int) -> np.ndarray:
        """Return the next (n, channels) float32 samples, n <= frames; none only at the end.

        What can be had of a file that was cut short is returned.

        Raises:
            AudioDecodeError: nothing at all can be decoded, or there are bytes behind a place that can't be.
            AudioError: the file couldn't be read.
        """
        if self._ended:
            return np.zeros((0, self.info.channels), np.float32)
        buffer = np.empty((frames, self.info.channels), np.float32)
        try:
            samples: np.ndarray = self._file.read(out=buffer)
        except soundfile.LibsndfileError as error:
            # What was decoded up to the failing place is in the buffer, and the position tells how much that is.
            samples = buffer[: max(0, self._file.tell() - self._position)]
            self._end_at(self._position + len(samples), error)
        self._window.check()
        self._position += len(samples)
        return samples

    def skip(self, frames: int) -> int:
        """Move `frames` forward; return how many there were to skip."""
        if self.info.frames is None or not soundfile.SoundFile.seekable(self._file):
            return self._read_past(frames)
        target = min(self._position + frames, self.info.frames)
        try:
            skipped = int(self._file.seek(target)) - self._position
        except soundfile.LibsndfileError as error:
            self._window.check()
            raise AudioDecodeError(
                f"{self._name}: can't be read from {target / self.info.sample_rate:.2f} s on: it was cut short before "
                f"that, or is broken ({error.error_string})."
            ) from error
        self._position += skipped
        return skipped

    def close(self) -> None:
        """Let go of libsndfile's state; the file stays open."""
        self._file.close()

    def _read_past(self, frames: int) -> int:
        skipped = 0
        while skipped < frames and (count := len(self.read(min(_SKIPPED_AT_ONCE, frames - skipped)))):
            skipped += count
        return skipped

    def _end_at(self, position: int, error: Any) -> None:
        self._ended = True
        self._window.check()
        if position == 0 or self._window.tell() < self._window.size:
            raise AudioDecodeError(
                f"{self._name}: is broken {position / self.info.sample_rate:.2f} s from its start "
                f"({error.error_string}): get it anew, or convert it with a tool that mends it."
            ) from error


def _open(window: Window, layout: PlainLayout | None) -> Any:
    try:
        if layout is None:
            return _ForwardFile(window)
        return _ForwardFile(
            window, "r", layout.sample_rate, layout.channels, layout.codec, "LITTLE" if layout.little_endian else "BIG",
            "RAW",
        )  # fmt: skip
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        window.check()
        reason = getattr(error, "error_string", str(error))
        raise AudioDecodeError(f"{window.name}: can't be decoded: {reason} It is broken, or was cut short.") from error
