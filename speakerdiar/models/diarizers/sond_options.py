"""The options of a call of SOND, with FunASR's names and defaults."""

from __future__ import annotations

import numbers
import os
from dataclasses import dataclass
from typing import Any

from speakerdiar.config import DiarizeConfig, is_count, require

OUT_FORMATS = (None, "vad", "rttm")
OOV = ("nearest", "mask")


@dataclass
class SondConfig(DiarizeConfig):
    """Options of `SondDiarizer.diarize()`."""

    profiles: Any = None
    """Who may talk: a mapping from names to a clip (path, samples, (samples, rate)), several clips, or a vector."""
    smooth_size: int = 83
    """Frames of 10 ms of the median filter over each speaker's activity; 1 for none."""
    dur_threshold: float = 10
    """Turns of so many frames of 10 ms, or fewer, are dropped."""
    out_format: str | None = None
    """None for `Diarization`s; vad or rttm for FunASR's texts, as {"key", "value"} (FunASR's own default is vad)."""
    legacy: bool = False
    """Write RTTM lines as FunASR does: with the end in place of the duration, and channel 0."""
    oov: str = "nearest"
    """What to do where the likeliest set has speakers without profile: take the nearest frame's, or mask such sets."""
    ngpu: int | None = None
    """0 for the CPU, 1 for the first GPU (the CPU where there is none); None for where the model lies."""
    output_dir: str | os.PathLike[str] | None = None
    """Folder to write FunASR's result.txt and labels.txt to."""
    _network: Any = None
    """The networks of the call, where `ngpu` asks for another device than the model lies on."""

    def validate(self) -> None:
        """Raise ConfigError, naming the value and the remedy, for an option that can't be used."""
        super().validate()
        require(is_count(self.smooth_size, least=1), "smooth_size", self.smooth_size, "give frames, 1 or more")
        long = isinstance(self.dur_threshold, numbers.Real) and self.dur_threshold >= 0
        require(long, "dur_threshold", self.dur_threshold, "give frames, 0 or more")
        require(self.out_format in OUT_FORMATS, "out_format", self.out_format, "give None, 'vad' or 'rttm'")
        require(self.oov in OOV, "oov", self.oov, "give 'nearest' or 'mask'")
        one = self.ngpu is None or (is_count(self.ngpu, least=0) and self.ngpu <= 1)
        require(
            one, "ngpu", self.ngpu, "a recording takes one GPU: give 0 or 1, and run a process for each further GPU"
        )
        alone = self.voiceprints is None or self.profiles is None
        require(alone, "voiceprints", self.voiceprints, "SOND looks for these, or for profiles: give one of the two")
