"""What lies between a room and a file: bands, codecs, clipping and levels. Length and timing stay as they are."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speakerdiar.audio.loudness import levelled
from speakerdiar.errors import ConfigError

Samples = NDArray[np.float32]


class Codec(NamedTuple):
    """A codec as libsndfile names it, and the rate it is used at; 0 for the rate of the sound."""

    container: str
    subtype: str
    rate: int = 0


CODECS = {
    "ulaw": Codec("WAV", "ULAW", 8000),
    "alaw": Codec("WAV", "ALAW", 8000),
    "gsm": Codec("WAV", "GSM610", 8000),
    "adpcm": Codec("WAV", "IMA_ADPCM"),
    "mp3": Codec("MP3", "MPEG_LAYER_III"),
    "vorbis": Codec("OGG", "VORBIS"),
    "opus": Codec("OGG", "OPUS"),
}
"""Codecs by the names that `Channel.codecs` takes."""
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
"""Those that Opus takes (RFC 6716, 2.1.3)."""
TELEPHONE_HERTZ = (300.0, 3400.0)
"""What a telephone line lets through (ITU-T G.712)."""
LEAST_COMPRESSION, MOST_COMPRESSION = 0.6, 0.95
"""From libsndfile's best quality (0) to its smallest files (1)."""


@dataclass(frozen=True, kw_only=True)
class Channel:
    """How a conversation is sent and stored. Ranges are (least, most); each conversation draws from them.

    Attributes:
        telephone: chance of a telephone's band.
        codec: chance of a codec.
        codecs: which ones, alike.
        clipping: chance that the loudest samples are clipped.
        level: of what is heard, in dBFS (root mean square, exceeded a twentieth of the time).
        bits: samples are rounded to so many; 0 for not at all.
    """

    telephone: float = 0.0
    codec: float = 0.0
    codecs: tuple[str, ...] = ("ulaw", "gsm", "mp3")
    clipping: float = 0.0
    level: tuple[float, float] = (-26.0, -26.0)
    bits: int = 16

    def __post_init__(self) -> None:
        for name in ("telephone", "codec", "clipping"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)!r}: give a chance from 0 to 1.")
        unknown = [name for name in self.codecs if name not in CODECS]
        if unknown or (self.codec > 0 and not self.codecs):
            raise ConfigError(f"codecs={self.codecs!r}: give one or more of {', '.join(CODECS)}.")
        if not -90 <= self.level[0] <= self.level[1] <= 0:
            raise ConfigError(f"level={self.level!r}: give (least, most) in dBFS, from -90 to 0.")
        if not (self.bits == 0 or 8 <= self.bits <= 24):
            raise ConfigError(f"bits={self.bits!r}: give 8 to 24, or 0 for no rounding.")


def sent(samples: Samples, rate: int, rng: np.random.Generator, channel: Channel) -> Samples:
    """Return samples (n,) as they come out at the other end of a channel: (n,)."""
    sound = np.asarray(samples, dtype=np.float32)
    if rng.random() < channel.telephone:
        sound = telephone(sound, rate)
    if rng.random() < channel.codec:
        sound = coded(sound, rate, CODECS[channel.codecs[int(rng.integers(len(channel.codecs)))]], rng)
    sound = levelled(sound, rate, float(rng.uniform(*channel.level)))
    if rng.random() < channel.clipping:
        sound = np.clip(sound, *_limits(sound, rng))
    loudest = float(np.abs(sound).max(initial=0.0))
    if loudest > 1:
        sound = np.clip(sound, -1, 1)
    return rounded(sound, channel.bits)


def telephone(samples: Samples, rate: int) -> Samples:
    """Keep the band of a telephone, without delay: a Butterworth filter of order 4, forwards and backwards."""
    from scipy.signal import butter, sosfiltfilt

    top = min(TELEPHONE_HERTZ[1], 0.45 * rate)
    sections = butter(4, (TELEPHONE_HERTZ[0], top), btype="bandpass", fs=rate, output="sos")
    if len(samples) <= 6 * len(sections) * 3:  # shorter than what the filter pads
        return samples
    return np.asarray(sosfiltfilt(sections, samples), dtype=np.float32)


def coded(samples: Samples, rate: int, codec: Codec, rng: np.random.Generator) -> Samples:
    """Encode and decode samples (n,) at a drawn quality: (n,)."""
    import soundfile
    import soxr

    if not len(samples):
        return samples
    used = _opus_rate(rate) if codec.subtype == "OPUS" else codec.rate or rate
    given = samples if used == rate else soxr.resample(samples, rate, used)
    options = {}
    if codec.container in ("MP3", "OGG"):
        options["compression_level"] = float(rng.uniform(LEAST_COMPRESSION, MOST_COMPRESSION))
    file = io.BytesIO()
    soundfile.write(file, np.clip(given, -1, 1), used, format=codec.container, subtype=codec.subtype, **options)
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    back = decoded if used == rate else soxr.resample(decoded, used, rate)
    out = np.zeros(len(samples), dtype=np.float32)  # block codecs round the length up
    out[: len(back)] = back[: len(out)]
    return out


def _opus_rate(rate: int) -> int:
    return next((known for known in OPUS_RATES if known >= rate), OPUS_RATES[-1])


def rounded(samples: Samples, bits: int) -> Samples:
    """Round samples to what an integer of so many bits can hold; 0 bits for not at all."""
    if not bits:
        return samples
    steps = np.float32(1 << (bits - 1))
    return np.asarray(np.clip(np.rint(samples * steps), -steps, steps - 1) / steps, dtype=np.float32)


def _limits(samples: Samples, rng: np.random.Generator) -> tuple[float, float]:
    loudest = float(np.abs(samples).max(initial=0.0)) * rng.uniform(0.3, 0.9)
    return -loudest, loudest
