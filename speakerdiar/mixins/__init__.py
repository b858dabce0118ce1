"""The promises that several models keep, one file a role.

`SpkDiarizationMixin` (diarization.py) is the template of every diarizer, `SegmentationMixin` of what finds speech,
`EmbeddingMixin` of what turns windows into vectors. `StreamingMixin` (streaming.py) stands beside the template in
diarizers that follow live audio; sessions.py holds their sessions. Clusterers keep theirs in
`speakerdiar.clustering.base`.
"""

from speakerdiar.config import DiarizeConfig, InternalDiarizeConfig
from speakerdiar.mixins.batches import AudioBatch, audio_dataloader
from speakerdiar.mixins.diarization import SpkDiarizationMixin
from speakerdiar.mixins.results import scores_to_diarization
from speakerdiar.mixins.sessions import SessionBatch, StreamingSession
from speakerdiar.mixins.streaming import StreamingMixin, StreamStep

__all__ = [
    "AudioBatch",
    "DiarizeConfig",
    "InternalDiarizeConfig",
    "SessionBatch",
    "SpkDiarizationMixin",
    "StreamStep",
    "StreamingMixin",
    "StreamingSession",
    "audio_dataloader",
    "scores_to_diarization",
]
