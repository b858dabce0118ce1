"""Decodes through FFmpeg (PyAV, extra "av"): MP4/M4A, WebM/Matroska, AAC, WMA, AMR."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from speakerdiar.audio.codecs import check_codec
from speakerdiar.audio.info import AudioInfo
from speakerdiar.audio.limits import AudioLimits
from speakerdiar.audio.source import Window
from speakerdiar.errors import AudioDecodeError, MissingExtraError

_HONEST_LENGTH = ("mov", "matroska")  # the lengths of the others are guesses from the bit rate
_SLACK_SECONDS = 0.25  # encoder delay and the last packet's padding, which lengths may or may not count


class AvDecoder:
    """Decodes the first audio stream of a file. `demuxer` is FFmpeg's name of the container, which isn't guessed.

    Raises:
        MissingExtraError: PyAV isn't installed.
        AudioDecodeError: FFmpeg can't make sense of it, there is no audio in it, or its codec is refused.
    """

    def __init__(self, window: Window, demuxer: str, limits: AudioLimits) -> None:
        self._name = window.name
        self._window = window
        self._position = 0
        window.seek(0)
        self._container = _open(window, demuxer)
        try:
            self._stream = self._audio_stream()
            self.info = self._describe(demuxer)
            check_codec(self.info.codec, self._name, limits)
        except Exception:
            self.close()
            raise
        self.promised_frames = None
        if demuxer in _HONEST_LENGTH and self.info.duration is not None:
            self.promised_frames = max(0, round((self.info.duration - _SLACK_SECONDS) * self.info.sample_rate))
        self._pieces = self._decoded()
        self._rest = np.zeros((0, self.info.channels), np.float32)

    def read(self, frames: int) -> np.ndarray:
        """Return the next (n, channels) float32 samples, n <= frames; none only at the end.

        Raises:
            AudioDecodeError: nothing at all can be decoded, there is more behind a place that can't be, or the rate or
                the number of channels changes.
            AudioError: the file couldn't be read.
        """
        pieces, count = [self._rest], len(self._rest)
        while count < frames and (piece := next(self._pieces, None)) is not None:
            pieces.append(piece)
            count += len(piece)
        self._window.check()
        joined = np.concatenate(pieces)
        self._rest = joined[frames:]
        self._position += min(count, frames)
        return joined[:frames]

    def skip(self, frames: int) -> int:
        """Move `frames` forward by decoding them, which is exact; return how many there were to skip."""
        skipped = 0
        while skipped < frames and (count := len(self.read(min(self.info.sample_rate, frames - skipped)))):
            skipped += count
        return skipped

    def close(self) -> None:
        """Let go of FFmpeg's state; the file stays open."""
        self._container.close()

    def _audio_stream(self) -> Any:
        streams = self._container.streams.audio
        if not streams:
            raise AudioDecodeError(f"{self._name}: has no audio stream in it: was the sound left out?")
        return streams[0]

    def _describe(self, demuxer: str) -> AudioInfo:
        stream, context = self._stream, self._stream.codec_context
        if not context or not stream.sample_rate or not stream.channels:
            raise AudioDecodeError(f"{self._name}: its audio stream has no rate or no channels: it's broken.")
        duration = stream.duration * stream.time_base if stream.duration is not None else None
        if duration is None and self._container.duration is not None:
            duration = self._container.duration / 1_000_000
        seconds = None if duration is None else max(0.0, float(duration))
        container = {"mov": "MP4", "matroska": "WEBM"}.get(demuxer, demuxer.upper())
        return AudioInfo(stream.sample_rate, stream.channels, None, seconds, container, context.name)

    def _decoded(self) -> Iterator[np.ndarray]:
        """Yield what is decoded, (n, channels) float32; a failing packet is fine as long as nothing follows it."""
        failed: Exception | None = None
        count = 0
        for packet in self._packets():
            frames, error = _decode(packet)
            if failed is not None and frames:
                raise self._broken(count, failed)
            for frame in frames:
                piece = self._samples(frame)
                count += len(piece)
                yield piece
            failed = failed or error
        if failed is not None and count == 0:
            raise self._broken(0, failed)

    def _packets(self) -> Iterator[Any]:
        import av

        try:
            yield from self._container.demux(self._stream)
        except av.error.FFmpegError:
            return  # the container ends in the middle: what came before it stands

    def _samples(self, frame: Any) -> np.ndarray:
        if (frame.sample_rate, frame.layout.nb_channels) != (self.info.sample_rate, self.info.channels):
            raise AudioDecodeError(
                f"{self._name}: changes from {self.info.sample_rate} Hz and {self.info.channels} channels to "
                f"{frame.sample_rate} Hz and {frame.layout.nb_channels} within: convert it to one rate first."
            )
        array: np.ndarray = frame.to_ndarray()
        frames = array.T if frame.format.is_planar else array.reshape(-1, self.info.channels)
        if frames.dtype.kind == "f":
            return np.asarray(frames, np.float32)
        silence = 128 if frames.dtype == np.uint8 else 0
        full = 2.0 ** (8 * frames.dtype.itemsize - 1)
        return ((frames.astype(np.float64) - silence) / full).astype(np.float32)

    def _broken(self, position: int, error: Exception) -> AudioDecodeError:
        return AudioDecodeError(
            f"{self._name}: is broken {position / self.info.sample_rate:.2f} s from its start ({error}): get it anew, "
            "or convert it with a tool that mends it."
        )


def _decode(packet: Any) -> tuple[list[Any], Exception | None]:
    import av

    try:
        return packet.decode(), None
    except av.error.FFmpegError as error:
        return [], error


def _open(window: Window, demuxer: str) -> Any:
    try:
        import av
    except ImportError:
        raise MissingExtraError("PyAV", "av", f"Reading {window.name} ({demuxer})") from None
    try:
        # Naming the demuxer keeps FFmpeg from following play lists and other formats that point at other files.
        return av.open(window, format=demuxer, metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as error:
        window.check()
        raise AudioDecodeError(
            f"{window.name}: can't be decoded: {error}. It is broken, or was cut short before its index."
        ) from error
