"""The promises that several models keep, one file a role.

`SpkDiarizationMixin` (diarization.py) is the template of every diarizer, `SegmentationMixin` of what finds speech,
`EmbeddingMixin` of what turns windows into vectors. Clusterers keep theirs in `speakerdiar.clustering.base`.
"""

from speakerdiar.config import DiarizeConfig, InternalDiarizeConfig
from speakerdiar.mixins.batches import AudioBatch, audio_dataloader
from speakerdiar.mixins.diarization import SpkDiarizationMixin
from speakerdiar.mixins.results import scores_to_diarization

__all__ = [
    "AudioBatch",
    "DiarizeConfig",
    "InternalDiarizeConfig",
    "SpkDiarizationMixin",
    "audio_dataloader",
    "scores_to_diarization",
]
