"""Writes audio files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from speakerdiar.errors import AudioError, InputError

_FORMATS = {".wav": "WAV", ".flac": "FLAC"}


def save(path: str | os.PathLike[str], samples: np.ndarray, sample_rate: int, subtype: str = "PCM_16") -> None:
    """Write samples to a WAV or FLAC file, by suffix.

    Args:
        path: ends in .wav or .flac. An existing file is replaced.
        samples: float in [-1, 1], (samples,) or (samples, channels); what lies outside is clipped.
        sample_rate: Hz.
        subtype: "PCM_16", "PCM_24", or (WAV only) "FLOAT", which neither rounds nor clips.

    Raises:
        InputError: another suffix, or samples of another shape.
        AudioError: the file can't be written, or the format can't hold the samples (FLAC: none at all).
    """
    import soundfile

    target = Path(path)
    kind = _FORMATS.get(target.suffix.lower())
    if kind is None:
        raise InputError(f"{target}: the suffix {target.suffix!r} names no format to write: use .wav or .flac.")
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"{target}: samples are {array.dtype} of shape {array.shape}: give floats, (samples,) or "
            "(samples, channels)."
        )
    if kind == "FLAC" and not array.size:
        raise AudioError(f"{target}: a FLAC of no samples would have no header: use .wav.")
    try:
        soundfile.write(os.fspath(target), array, sample_rate, subtype=subtype, format=kind)
    except (soundfile.LibsndfileError, ValueError, OSError) as error:
        raise AudioError(f"{target}: can't be written as {kind} {subtype} at {sample_rate} Hz: {error}") from error
