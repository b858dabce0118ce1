"""What is known of a piece of audio before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AudioInfo:
    """What a header says of a piece of audio.

    Attributes:
        sample_rate: Hz.
        channels: number of channels.
        frames: samples of each channel, or None where the header doesn't say. Counted from the bytes that are there for
            WAV, AIFF, AU and W64; a claim of the header elsewhere.
        duration: seconds, or None where it isn't known.
        container: file format ("WAV", "FLAC", "OGG", "MP3", "MP4", ...), or "array" for samples.
        codec: how the samples are stored ("PCM_16", "VORBIS", "aac", ...), or the dtype of an array.
    """

    sample_rate: int
    channels: int
    frames: int | None
    duration: float | None
    container: str
    codec: str

    @classmethod
    def of_frames(cls, rate: int, channels: int, frames: int | None, container: str, codec: str) -> AudioInfo:
        """Make an info whose duration follows from its frames."""
        return cls(rate, channels, frames, None if frames is None else frames / rate, container, codec)
