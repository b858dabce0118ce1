"""Voices of known people, kept in a file.

A `VoiceprintStore` enrols, identifies and forgets; `model.diarize(audio, voiceprints=store)` gives the speakers of any
diarizer the names it knows.
"""

from __future__ import annotations

from speakerdiar.voiceprints.store import VoiceprintStore
from speakerdiar.voiceprints.values import Enrolment, Identification, Person

__all__ = ["Enrolment", "Identification", "Person", "VoiceprintStore"]
