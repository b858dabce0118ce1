"""Who spoke when, with any published approach behind one template.

>>> import speakerdiar
>>> model = speakerdiar.load_model()                     # doctest: +SKIP
>>> for diarization in model.diarize(["a.wav"]):         # doctest: +SKIP
...     for turn in diarization:
...         print(turn.start, turn.end, turn.speaker)

Names are imported when they are first used, so that `import speakerdiar` itself costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from speakerdiar.annotation import Diarization, Segment, Turn
    from speakerdiar.config import DiarizeConfig, PostProcessingParams
    from speakerdiar.errors import SpeakerdiarError
    from speakerdiar.formats import load, save
    from speakerdiar.frames import FrameGrid, FrameScores
    from speakerdiar.metrics import score_files
    from speakerdiar.mixins import SpkDiarizationMixin, audio_dataloader, scores_to_diarization
    from speakerdiar.models import load_model
    from speakerdiar.recording import Recording
    from speakerdiar.updates import StreamingUpdate
    from speakerdiar.voiceprints import VoiceprintStore

_HOMES = {
    "Diarization": "speakerdiar.annotation",
    "DiarizeConfig": "speakerdiar.config",
    "FrameGrid": "speakerdiar.frames",
    "FrameScores": "speakerdiar.frames",
    "PostProcessingParams": "speakerdiar.config",
    "Recording": "speakerdiar.recording",
    "Segment": "speakerdiar.annotation",
    "SpeakerdiarError": "speakerdiar.errors",
    "SpkDiarizationMixin": "speakerdiar.mixins",
    "StreamingUpdate": "speakerdiar.updates",
    "Turn": "speakerdiar.annotation",
    "VoiceprintStore": "speakerdiar.voiceprints",
    "audio_dataloader": "speakerdiar.mixins",
    "load": "speakerdiar.formats",
    "load_model": "speakerdiar.models",
    "save": "speakerdiar.formats",
    "score_files": "speakerdiar.metrics",
    "scores_to_diarization": "speakerdiar.mixins",
}

__all__ = [
    "Diarization",
    "DiarizeConfig",
    "FrameGrid",
    "FrameScores",
    "PostProcessingParams",
    "Recording",
    "Segment",
    "SpeakerdiarError",
    "SpkDiarizationMixin",
    "StreamingUpdate",
    "Turn",
    "VoiceprintStore",
    "__version__",
    "audio_dataloader",
    "load",
    "load_model",
    "save",
    "score_files",
    "scores_to_diarization",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'speakerdiar' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
