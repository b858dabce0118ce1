"""From a model's frame scores to the `Diarization` that a caller gets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from speakerdiar.annotation import Confidence, Diarization, Turn
from speakerdiar.config import DiarizeConfig, PostProcessingParams, SpeakerCount
from speakerdiar.frames import FrameGrid, FrameScores
from speakerdiar.postprocessing.binarize import to_turns
from speakerdiar.postprocessing.confidence import with_confidence
from speakerdiar.recording import Recording


def scores_to_diarization(
    recording: Recording, scores: FrameScores, diarcfg: DiarizeConfig, *, subframe: int = 1
) -> Diarization:
    """Make the result of one recording from its frame scores.

    Thresholds and durations are `diarcfg.postprocessing_params`. Of more columns than `max_speakers` or `num_speakers`
    (the call's, or the recording's) allows, those with the most speech stay. No turn runs past the audio's end.

    Args:
        recording: what the scores belong to; its `duration` must be known (an `AudioBatch` knows it).
        scores: (frames, speakers), in 0..1, on a clock that starts at the recording's `offset`.
        diarcfg: the call's options.
        subframe: equal parts that each frame is cut into (`speakerdiar.postprocessing.binarize`).
    """
    seconds = recording.duration or 0.0
    params = diarcfg.postprocessing_params or PostProcessingParams()
    kept = _most_active(scores, speaker_count(recording, diarcfg).most, params.onset)
    turns = to_turns(kept, params, subframe=subframe, end=seconds)
    if diarcfg.confidence:
        turns = with_confidence(kept, turns)
    return finished(recording, turns, diarcfg, scores=kept)


def finished(
    recording: Recording,
    turns: tuple[Turn, ...],
    diarcfg: DiarizeConfig,
    *,
    scores: FrameScores | None = None,
    embeddings: dict[str, np.ndarray] | None = None,
    alone: tuple[Turn, ...] | None = None,
    confidence: Confidence | None = None,
    places: int | None = 6,
    named: bool = False,
) -> Diarization:
    """Put turns on the recording's clock, cut them at its end and name the speakers by first appearance.

    Args:
        recording: its `duration` must be known, its `offset` is added to the turns.
        turns: on a clock that starts at the recording's `offset`.
        diarcfg: `include_tensor_outputs` attaches the scores, `confidence` the frame-wise confidence.
        scores: frame scores, (frames, speakers), columns named as in the turns.
        embeddings: a vector for each speaker.
        alone: the turns of one speaker at a time, where the model knows better than their order.
        confidence: frame-wise; by default that of the scores.
        places: decimals of times, in seconds; None leaves them as they are, for who must print another toolkit's.
        named: the turns bear people's names, which stay.
    """
    result = Diarization(
        recording.id,
        recording.duration or 0.0,
        _placed(turns, recording, places),
        recording.offset,
        embeddings=embeddings or {},
        alone=None if alone is None else _placed(alone, recording, places),
    )
    names = {old: old if named else f"SPEAKER_{index:02d}" for index, old in enumerate(result.speakers)}
    result = result.renamed(names)
    if diarcfg.confidence:
        sure = frame_confidence(scores) if confidence is None and scores is not None else confidence
        result = replace(result, confidence=sure)
    if diarcfg.include_tensor_outputs and scores is not None:
        result = replace(result, scores=_renamed_scores(scores, names, recording.offset))
    return result


def _placed(turns: tuple[Turn, ...], recording: Recording, places: int | None) -> tuple[Turn, ...]:
    """Turns on the recording's clock, cut at its end; nothing is left of those behind it."""
    last = recording.offset + (recording.duration or 0.0)

    def on_clock(time: float) -> float:
        """A time on the recording's clock, rounded (what is finer comes of adding floats), not past its end."""
        placed = time + recording.offset
        return min(placed if places is None else round(placed, places), last)

    spans = [(on_clock(turn.start), on_clock(turn.end)) for turn in turns]
    pairs = zip(turns, spans, strict=True)
    return tuple(replace(turn, start=start, end=end) for turn, (start, end) in pairs if start < end)


def speaker_count(recording: Recording, diarcfg: DiarizeConfig) -> SpeakerCount:
    """The number of speakers that the caller asks for; else the one that comes with the recording."""
    asked = diarcfg.speaker_count
    return SpeakerCount.of(recording.num_speakers) if asked == SpeakerCount() else asked


def frame_confidence(scores: FrameScores) -> Confidence:
    """How far each frame's least certain speaker is from the threshold: 0 on the fence, 1 sure."""
    if not scores.data.size:
        return Confidence((), scores.grid.step)
    certain = np.abs(scores.data - 0.5).min(axis=1) * 2
    return Confidence(tuple(float(value) for value in np.clip(certain, 0, 1)), scores.grid.step)


def _most_active(scores: FrameScores, most: int | None, onset: float) -> FrameScores:
    if most is None or scores.data.shape[1] <= most:
        return scores
    speech = (scores.data > onset).sum(axis=0)
    columns = np.sort(np.argsort(-speech, kind="stable")[:most])
    return FrameScores(scores.data[:, columns], scores.grid, tuple(scores.speakers[c] for c in columns))


def _renamed_scores(scores: FrameScores, names: dict[str, str], offset: float) -> FrameScores:
    """Columns of speakers that have turns, in the order of their new names."""
    column = {name: index for index, name in enumerate(scores.speakers)}
    order = [column[old] for old in names]
    grid = FrameGrid(scores.grid.step, scores.grid.start + offset)
    return FrameScores(scores.data[:, order], grid, tuple(names.values()))
