"""From recordings of someone to what is kept of them, with hints of how good that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.errors import InputError
from speakerdiar.recording import as_recordings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from speakerdiar.models.verification import Verifier

LEAST_SECONDS = 1.0
"""A clip with less speech is refused: a vector of so little says more about the words than about the voice."""
FEW_SECONDS = 5.0
"""Less speech than this in all clips of someone is warned about."""
HALVES_SECONDS = 10.0
"""From here on the halves of a clip are compared. Thresholds are chosen for sides of 4 s or more; 5 s are on the safe
side: with GE2E, 1 % of the clips of one speaker and 90 % of those of two then fall below it."""
SETTLED_SECONDS = 4.0
"""Length at which a clip's error due to its few words is as large as that due to its room, which no length lessens.

With GE2E, the squared distance from the rest of a recording is 0.04 + 0.6 / seconds. That of two sides of 4 s is thus
0.34, and where rooms differ it is 0.44 (the median; see `THRESHOLDS`), of which 0.1 to 0.15 is the room's.
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
    """

    name: str
    halves: float | None


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
        halves = None
        if seconds >= HALVES_SECONDS:
            middle = len(speech) // 2
            halves = _cosine(*(embed_speech(verifier.embedder, half, name) for half in np.split(speech, [middle])))
        clips.append(HeardClip(vector, seconds, name, halves))
    return clips


def voice_of(clips: Sequence[Clip]) -> NDArray[np.float64]:
    """Return the voice of someone: the mean of their clips' vectors, of any length, (D,).

    A clip weighs t / (t + 4 s), the reciprocal of its error: long ones count more, but none outweighs several others.
    """
    weights = [clip.seconds / (clip.seconds + SETTLED_SECONDS) for clip in clips]
    return np.average([clip.vector for clip in clips], axis=0, weights=weights)


def agreements(clips: Sequence[Clip]) -> list[float]:
    """Return the score of each clip with all others together; nothing for a single one."""
    if len(clips) < 2:
        return []
    return [_cosine(clip.vector, voice_of([*clips[:i], *clips[i + 1 :]])) for i, clip in enumerate(clips)]


def is_among(clip: Clip, clips: Sequence[Clip]) -> bool:
    """Whether a clip is one of these already."""
    return any(_cosine(clip.vector, other.vector) >= SAME_CLIP for other in clips)


def warnings_about(person: str, clips: Sequence[Clip], threshold: float | None) -> list[str]:
    """Return a sentence for each thing that may be wrong with all clips of someone; heard ones are looked at closely.

    Args:
        person: their name.
        clips: those kept, and those heard now.
        threshold: scores from here on count as one voice; None where that isn't known.
    """
    found = []
    total = sum(clip.seconds for clip in clips)
    if total < FEW_SECONDS:
        found.append(f"{person}: {total:.1f} s of speech in all: {FEW_SECONDS:g} s or more make a steadier voice.")
    scores = agreements(clips) or [1.0] * len(clips)
    for clip, score in zip(clips, scores, strict=True):
        if isinstance(clip, HeardClip) and threshold is not None:
            found += _doubts(clip, score, threshold, person)
    return found


def _doubts(clip: HeardClip, score: float, threshold: float, person: str) -> list[str]:
    found = []
    if score < threshold:
        found.append(
            f"{clip.name}: unlike the other clips of {person} (score {score:.2f}, one voice from {threshold:.2f} on): "
            "is it somebody else, or another room or microphone?"
        )
    if clip.halves is not None and clip.halves < threshold:
        found.append(
            f"{clip.name}: its halves are unlike one another (score {clip.halves:.2f}): do two people speak in it?"
        )
    return found


def _cosine(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other)))
