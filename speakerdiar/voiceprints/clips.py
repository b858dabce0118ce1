"""From recordings of someone to what is kept of them, with hints of how good that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.errors import InputError
from speakerdiar.recording import as_recordings
from speakerdiar.voiceprint import voice_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from speakerdiar.mixins.embedding import EmbeddingMixin
    from speakerdiar.models.verification import Verifier

LEAST_SECONDS = 1.0
"""A clip with less speech is refused: a vector of so little says more about the words than about the voice."""
FEW_SECONDS = 5.0
"""Less speech than this in all clips of someone is warned about."""
HALVES_SECONDS = 10.0
"""From here on the halves of a clip are compared: of shorter ones, many of a single speaker fall below a threshold that
is made for 4 s or more. With GE2E, 2 % of the clips of 10 s of one speaker do, and 9 in 10 of those of two."""
SETTLED_SECONDS = 4.0
"""Length at which a clip's error due to its few words is as large as that due to its room, which no length lessens.

With GE2E, the squared distance from the rest of a recording is 0.04 + 0.6 / seconds. That of two sides of 4 s is thus
0.34, and where rooms differ it is 0.44 (both medians), of which 0.1 to 0.15 is the room's.
"""
CLEAR_DECIBELS = 9.0
"""A clip whose speech stands out less from its quietest fifth is warned about.

With everyday noise added to clear clips, half of those with 5 dB do, few with 10 dB, none with 20 dB or without. At
5 dB the score of GE2E with the clear clip falls to 0.56.
"""
SAME_CLIP = 1 - 1e-6
"""Cosine from which on two clips of someone are one."""


@dataclass(frozen=True, eq=False)
class Clip:
    """What is kept of a recording of someone.

    Attributes:
        vector: of length 1, (D,).
        seconds: of speech.
    """

    vector: NDArray[np.float32]
    seconds: float


@dataclass(frozen=True, eq=False)
class HeardClip(Clip):
    """A clip that comes from a recording just now.

    Attributes:
        name: of the recording.
        halves: cosine of its first half with its second; None where it is too short for that.
        clearness: decibels by which speech stands out from what is heard in its quietest fifth.
    """

    name: str
    halves: float | None
    clearness: float


def listen(verifier: Verifier, audio: Any, sample_rate: int | None) -> list[HeardClip]:
    """Make a clip of each recording of someone.

    Raises:
        InputError: audio that can't be read, or with too little speech.
    """
    from speakerdiar.models.verification import embed_speech

    rate, clips = verifier.embedder.sample_rate, []
    for recording in as_recordings(audio, sample_rate):
        name = recording.path or recording.id
        speech = verifier.speech(recording)
        vector, seconds = embed_speech(verifier.embedder, speech, name), len(speech) / rate
        if seconds < LEAST_SECONDS:
            raise InputError(
                f"{name}: {seconds:.1f} s of speech heard, and a voice takes {LEAST_SECONDS:g} s at least: give a "
                "longer or clearer recording."
            )
        halves = _halves(verifier.embedder, speech, name) if seconds >= HALVES_SECONDS else None
        clips.append(HeardClip(vector, seconds, name, halves, _clearness(speech, rate)))
    return clips


def _clearness(speech: NDArray[np.float32], rate: int) -> float:
    frames = speech[: len(speech) // (rate // 50) * (rate // 50)].reshape(-1, rate // 50)  # of 20 ms
    power = np.square(frames, dtype=np.float64).mean(axis=1) + 1e-12
    noise = np.quantile(power, 0.2)
    return float(10 * np.log10(np.maximum(power.mean() - noise, 1e-12) / noise))


def _halves(embedder: EmbeddingMixin, speech: NDArray[np.float32], name: str) -> float:
    from speakerdiar.models.verification import embed_speech

    first, second = (embed_speech(embedder, half, name) for half in np.split(speech, [len(speech) // 2]))
    return _score(first, second, embedder.centre)


def voice_of(clips: Sequence[Clip]) -> NDArray[np.float64]:
    """Return the voice of someone: the mean of their clips' vectors, of any length, (D,).

    A clip weighs t / (t + 4 s), the reciprocal of its error: long ones count more, but none outweighs several others.
    """
    weights = [clip.seconds / (clip.seconds + SETTLED_SECONDS) for clip in clips]
    return np.average([clip.vector for clip in clips], axis=0, weights=weights)


def agreements(clips: Sequence[Clip], centre: NDArray[np.float32] | None) -> list[float]:
    """Return the score of each clip with all others together, from the embedder's centre on; nothing for one alone."""
    if len(clips) < 2:
        return []
    return [_score(clip.vector, voice_of([*clips[:i], *clips[i + 1 :]]), centre) for i, clip in enumerate(clips)]


def is_among(clip: Clip, clips: Sequence[Clip]) -> bool:
    """Whether a clip is one of these already."""
    return any(_score(clip.vector, other.vector, None) >= SAME_CLIP for other in clips)


def warnings_about(
    person: str, clips: Sequence[Clip], scores: Sequence[float], threshold: float | None
) -> Iterator[str]:
    """Yield a sentence for each thing that may be wrong with the clips of someone; heard ones are looked at closely.

    Args:
        person: their name.
        clips: those kept, and those heard now.
        scores: their agreements; none for a clip alone.
        threshold: scores from here on count as one voice; None where that isn't known.
    """
    total = sum(clip.seconds for clip in clips)
    if total < FEW_SECONDS:
        yield f"{person}: {total:.1f} s of speech in all: {FEW_SECONDS:g} s or more make a steadier voice."
    for clip, score in zip(clips, scores or [1.0] * len(clips), strict=True):
        if isinstance(clip, HeardClip):
            yield from _doubts(clip, score, -1.0 if threshold is None else threshold, person)


def _doubts(clip: HeardClip, score: float, threshold: float, person: str) -> Iterator[str]:
    if clip.clearness < CLEAR_DECIBELS:
        yield f"{clip.name}: noisy, or music or others in the background: a recording from a quiet place serves better."
    if score < threshold:
        yield (
            f"{clip.name}: unlike the other clips of {person} (score {score:.2f}, one voice from {threshold:.2f} on): "
            "is it somebody else, or another room or microphone?"
        )
    if clip.halves is not None and clip.halves < threshold:
        yield f"{clip.name}: its halves are unlike one another (score {clip.halves:.2f}): do two people speak in it?"


def _score(one: NDArray[Any], other: NDArray[Any], centre: NDArray[np.float32] | None) -> float:
    return float(voice_scores(one[None], other[None], centre)[0, 0])
