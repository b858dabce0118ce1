"""Windows of real recordings with their reference turns, to learn from and to be judged by."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from speakerdiar.annotation import Turn
from speakerdiar.audio import load, probe
from speakerdiar.config import is_count
from speakerdiar.errors import AudioError, ConfigError, FormatError, InputError
from speakerdiar.formats import load_recordings, rttm
from speakerdiar.recording import Recording
from speakerdiar.simulation import Conversation
from speakerdiar.training.chance import DrawnExamples


@dataclass(frozen=True)
class ReferencedRecording:
    """A recording whose turns are known.

    Attributes:
        recording: where the audio is.
        seconds: its length from `recording.offset` on.
        turns: who speaks when, in seconds from the start of the file.
    """

    recording: Recording
    seconds: float
    turns: tuple[Turn, ...]

    def window(self, start: float, seconds: float, rate: int) -> Conversation:
        """Return `seconds` from `start` (seconds after `recording.offset`) on, behind the end filled with silence."""
        first = self.recording.offset + start
        left = max(1 / rate, min(seconds, self.seconds - start))
        found = load(replace(self.recording, offset=first, duration=left), rate)
        samples = np.zeros(round(seconds * rate), dtype=np.float32)
        kept = min(len(found), len(samples))
        samples[:kept] = found[:kept]
        spans = ((max(0.0, turn.start - first), min(left, turn.end - first), turn.speaker) for turn in self.turns)
        return Conversation(samples, tuple(sorted(Turn(*span) for span in spans if span[1] > span[0])))


class RecordedConversations(DrawnExamples[Conversation]):
    """Windows of recordings, without end, each from a random place; a recording is drawn in proportion to its length.

    Audio is read window by window, so memory doesn't grow with it.

    Args:
        manifests: manifests of recordings (`speakerdiar.formats.load_recordings`) with `rttm_filepath`.
        seconds: length of a window; what a shorter recording lacks is silence.
        rate: samples a second.
        seed: where chance begins.

    Raises:
        ConfigError: a length or a rate that can't be.
        InputError: no manifest, or one that can't be read; a recording without turns or of unknown length.
    """

    def __init__(self, manifests: Sequence[str], seconds: float, rate: int = 16000, seed: int = 0) -> None:
        super().__init__(seed)
        if not (math.isfinite(seconds) and seconds > 0):
            raise ConfigError(f"seconds={seconds!r}: give a length above 0 s.")
        if not is_count(rate, least=1):
            raise ConfigError(f"rate={rate!r}: give a rate in Hz, e.g. 16000.")
        self.seconds, self.rate = seconds, rate
        self.recordings = [referenced(one) for manifest in manifests for one in load_recordings(manifest)]
        if not self.recordings:
            raise InputError(f"{', '.join(manifests) or 'no manifest'}: give manifests of recordings with their RTTM.")
        lengths = np.array([one.seconds for one in self.recordings])
        self._shares = lengths / lengths.sum()

    def stream(self, rng: np.random.Generator) -> Iterator[Conversation]:
        """Yield windows from random places of random recordings."""
        while True:
            one = self.recordings[int(rng.choice(len(self.recordings), p=self._shares))]
            start = rng.uniform(0, max(0.0, one.seconds - self.seconds))
            yield one.window(start, self.seconds, self.rate)

    def windows(self) -> Iterator[Conversation]:
        """Yield all windows once, side by side and in order; behind the end of a recording is silence."""
        for one in self.recordings:
            for index in range(max(1, math.ceil(one.seconds / self.seconds - 1e-6))):
                yield one.window(index * self.seconds, self.seconds, self.rate)


def referenced(recording: Recording) -> ReferencedRecording:
    """Return a recording of a manifest with its length and its turns.

    Raises:
        InputError: no RTTM, or one that has no turns of this recording; an RTTM that can't be read.
        AudioError: audio that can't be read, or of unknown length.
    """
    return ReferencedRecording(recording, length_of(recording), reference_turns(recording))


def length_of(recording: Recording) -> float:
    """Return the seconds of audio that a recording stands for, by the header of its file.

    Raises:
        AudioError: audio that can't be read, whose header doesn't say how long it is, or that ends before the offset.
    """
    whole = probe(recording).duration
    if whole is None:
        raise AudioError(
            f"{recording.path or recording.id}: its header doesn't say how long it is: make it WAV or FLAC."
        )
    if whole <= recording.offset:
        raise AudioError(
            f"{recording.path or recording.id}: offset={recording.offset:g} s lies beyond its end at {whole:.3f} s: "
            "give a smaller offset."
        )
    return min(whole - recording.offset, recording.duration or math.inf)


def reference_turns(recording: Recording) -> tuple[Turn, ...]:
    """Return a recording's turns by its `rttm_filepath`: those of its id, or all of a file that has only one id.

    Raises:
        InputError: no RTTM, one that can't be read, or one that holds several recordings and not this one.
    """
    if recording.rttm_filepath is None:
        raise InputError(f"{recording.id}: has no rttm_filepath: add it to its line of the manifest.")
    found = {one.recording_id: one.turns for one in rttm.load(recording.rttm_filepath)}
    if recording.id in found or not found:
        return found.get(recording.id, ())
    if len(found) > 1:
        message = f"has no turns of {recording.id!r}, but of {len(found)} others: give each recording its own file."
        raise FormatError(message, path=recording.rttm_filepath)
    return next(iter(found.values()))
