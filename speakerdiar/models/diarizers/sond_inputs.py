"""What SOND may be handed: recordings, FunASR's lists of a recording and clips, and FunASR's pairs of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from speakerdiar.errors import ConfigError, InputError
from speakerdiar.formats import funasr_inputs
from speakerdiar.formats.kaldi_ark import MatrixPlace
from speakerdiar.mixins.sources import manifest_path
from speakerdiar.recording import Recording, as_recordings, is_one

PROFILES, FEATURES = "profiles", "features"
"""Names in a recording's `extra`: of the profiles that are its own, and of features in place of audio."""
MISSING = (
    "nobody's profile is given: give profiles={'Ana': 'ana.wav', ...}, or a list of the recording and a clip of each "
    "person."
)


def profiled_recordings(audio: Any, profiles: Any, sample_rate: int | None, rate: int, *, default: bool) -> Any:
    """Return the recordings of what a call was handed, with the profiles that are their own in `extra`.

    Args:
        audio: a pair of files (`speakerdiar.formats.funasr_inputs`); without `profiles`, a list of a recording and
            clips, `[recording, clip, ...]`, or a list of such lists; else what every model takes. A dict may have an
            entry `profiles`.
        profiles: those of the call; None where there are none.
        sample_rate: Hz of samples without a rate; raw bytes are 16-bit samples at this rate, or at the model's.
        rate: Hz of the model.
        default: whether the model has profiles of its own, for calls that give none.

    Raises:
        InputError: a recording without profiles.
        ConfigError: profiles beside a pair of files, which has its own.
    """
    if funasr_inputs.is_funasr_input(audio):
        if profiles is not None:
            raise ConfigError("profiles: this pair of files names the profiles: leave profiles= out.")
        return [_of_files(item, rate) for item in funasr_inputs.load(audio)]
    if profiles is not None or default or isinstance(audio, DataLoader) or manifest_path(audio) is not None:
        return audio
    rows = _rows(audio)
    if rows is None:
        recordings = as_recordings(audio, sample_rate)
        lacking = [recording.id for recording in recordings if PROFILES not in recording.extra]
        if lacking:
            raise InputError(f"{lacking[0]}: {MISSING}")
        return recordings
    if any(len(row) < 2 for row in rows):
        raise InputError(f"A list holds a recording alone: {MISSING}")
    clips = [[_decoded(item, sample_rate or rate) for item in row] for row in rows]
    recordings = as_recordings([row[0] for row in clips], sample_rate)
    return [replace(r, extra={**r.extra, PROFILES: row[1:]}) for r, row in zip(recordings, clips, strict=True)]


def _rows(audio: Any) -> list[Sequence[Any]] | None:
    """Return FunASR's lists of a recording and clips; None where this isn't one or several of them."""
    if not isinstance(audio, list | tuple) or is_one(audio) or not audio:
        return None
    if all(isinstance(item, list) for item in audio):
        return list(audio)
    if any(_has_profiles(item) for item in audio):
        return None
    return [audio]


def _has_profiles(item: Any) -> bool:
    return PROFILES in item.extra if isinstance(item, Recording) else isinstance(item, Mapping) and PROFILES in item


def _decoded(item: Any, rate: int) -> Any:
    """Return raw bytes, 16-bit samples, as samples; anything else as it is."""
    if not isinstance(item, bytes):
        return item
    if len(item) % 2:
        raise InputError(f"{len(item)} raw bytes: 16-bit samples have two each; open files instead of reading them.")
    return np.frombuffer(item, dtype="<i2").astype(np.float32) / 32768, rate


def _of_files(item: funasr_inputs.ProfiledInput, rate: int) -> Recording:
    extra: dict[str, Any] = {PROFILES: item.profile}
    if isinstance(item.speech, MatrixPlace):
        return Recording(item.key, np.zeros(0, np.float32), rate, extra={**extra, FEATURES: item.speech})
    return Recording(item.key, item.speech, extra=extra)
