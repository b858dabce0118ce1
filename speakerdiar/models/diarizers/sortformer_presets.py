"""Post-processing of Sortformers: the published parameters, by the data they were chosen on, and ours.

Source of the published ones: NeMo, examples/speaker_tasks/diarization/conf/post_processing. An offset above the onset
is meant: scores in between toggle (`speakerdiar.postprocessing.binarize`).
"""

from __future__ import annotations

from collections.abc import Mapping

from speakerdiar.config import PostProcessingParams

_READABLE = PostProcessingParams(min_duration_on=0.16, min_duration_off=0.24)

POSTPROCESSING_V1: Mapping[str, PostProcessingParams] = {
    "none": PostProcessingParams(),
    "callhome": PostProcessingParams(0.53, 0.49, 0.23, 0.01, 0.42, 0.34),
    "dihard3": PostProcessingParams(0.64, 0.74, 0.06, 0.0, 0.1, 0.15),
    "readable": _READABLE,
}
"""For `diar_sortformer_4spk-v1`: on CALLHOME part 1, on the DIHARD3 dev set."""

POSTPROCESSING_V2: Mapping[str, PostProcessingParams] = {
    "none": PostProcessingParams(),
    "callhome": PostProcessingParams(0.641, 0.561, 0.229, 0.079, 0.511, 0.296),
    "dihard3": PostProcessingParams(0.56, 1.0, 0.063, 0.002, 0.007, 0.151),
    "readable": _READABLE,
}
"""For `diar_streaming_sortformer_4spk-v2` and v2.1: on CALLHOME part 1, on the DIHARD3 dev set.

`none` keeps each score above 0.5, as NeMo does by default. `readable` is ours: it drops turns of a single frame and
closes gaps of one or two, for people who read the turns; it was chosen for that, not on data.
"""
