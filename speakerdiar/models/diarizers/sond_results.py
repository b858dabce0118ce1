"""What becomes of what SOND hears: turns, and FunASR's texts and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speakerdiar.annotation import Turn
from speakerdiar.config import PostProcessingParams
from speakerdiar.formats import sond_text
from speakerdiar.frames import FrameScores
from speakerdiar.mixins.blockwise import Heard
from speakerdiar.mixins.results import speaker_count
from speakerdiar.models.diarizers.sond_options import SondConfig
from speakerdiar.models.diarizers.sond_profiles import SondProfiles
from speakerdiar.models.diarizers.sond_windows import FRAME_SECONDS
from speakerdiar.postprocessing import segments as algebra
from speakerdiar.postprocessing.binarize import filter_durations
from speakerdiar.postprocessing.smoothed_activity import long_runs, median_activity
from speakerdiar.recording import Recording

RESULTS, LABELS = "result.txt", "labels.txt"
"""FunASR's names of the files in `output_dir`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SondHeard(Heard):
    """What the network makes of a recording.

    Attributes:
        profiles: whom it was searched for.
        activity: who talks in each frame of 10 ms, (T, N).
        tokens: the set of each of these frames, (T,).
        scores: probabilities in frames of 80 ms, where they were asked for.
    """

    profiles: SondProfiles
    activity: NDArray[np.bool_]
    tokens: NDArray[np.int64]
    scores: FrameScores | None


def spans_of(heard: SondHeard, config: SondConfig) -> dict[str, NDArray[np.float64]]:
    """Return the turns of each speaker who is active anywhere, in seconds from where the recording begins."""
    smooth = median_activity(heard.activity, config.smooth_size)
    spoken = smooth.sum(axis=0)
    most = speaker_count(heard.recording, config).most
    kept = set(np.argsort(-spoken, kind="stable")[:most].tolist())
    spans = long_runs(smooth, FRAME_SECONDS, config.dur_threshold)
    names = heard.profiles.names
    return {names[k]: rows for k, rows in enumerate(spans) if spoken[k] and k in kept}


def turns_of(spans: Mapping[str, NDArray[np.float64]], params: PostProcessingParams, end: float) -> tuple[Turn, ...]:
    """Return turns that end where the audio does, padded and filtered as `postprocessing_params` asks for."""

    def padded(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        wide = algebra.clip(algebra.pad(rows, params.pad_onset, params.pad_offset), start=0.0)
        return algebra.clip(filter_durations(wide, params), end=end)

    return tuple(
        sorted(Turn(start, stop, name) for name, rows in spans.items() for start, stop in padded(rows).tolist())
    )


def text_of(recording: Recording, spans: Mapping[str, NDArray[np.float64]], config: SondConfig) -> str:
    """Return FunASR's text of a recording; turns may end up to 70 ms behind it, as FunASR counts whole frames."""
    placed = {name: (rows + recording.offset).tolist() for name, rows in spans.items()}
    if config.out_format == "rttm":
        return sond_text.rttm_text(recording.id, placed, legacy=config.legacy)
    return sond_text.vad_text(placed)


def write_texts(folder: Path, heard: SondHeard, text: str) -> None:
    """Add a recording to result.txt and labels.txt."""
    labels = sond_text.labels_text(heard.recording.id, heard.tokens)
    for name, line in ((RESULTS, text), (LABELS, labels)):
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n" if line else "")
