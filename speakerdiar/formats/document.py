"""What a JSON document of a diarization may hold, as strict pydantic models.

Imported only where a document is read or served, since pydantic takes its time to load.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


Name = Annotated[str, Field(min_length=1)]


class TurnEntry(_Strict):
    """One turn; times in seconds on the recording's clock."""

    start: float
    end: float
    speaker: Name
    confidence: float | None = None

    @model_validator(mode="after")
    def _has_length(self) -> TurnEntry:
        if self.end <= self.start:
            raise ValueError(f"the turn ends at {self.end}, not after its start {self.start}")
        return self


class SpeakerEntry(_Strict):
    """One speaker with the seconds that they speak."""

    name: Name
    seconds: Annotated[float, Field(ge=0)]


class ConfidenceEntry(_Strict):
    """Frame-wise confidence: `scores[i]` holds from `i * resolution` seconds on."""

    resolution: Annotated[float, Field(gt=0)]
    scores: list[float]


class Document(_Strict):
    """A diarization as JSON."""

    version: Literal[1]
    recording_id: str
    duration: Annotated[float, Field(ge=0)]
    offset: float = 0.0
    speakers: list[SpeakerEntry] = []
    turns: list[TurnEntry]
    confidence: ConfidenceEntry | None = None
    embeddings: dict[Name, list[float]] = {}
    identified: dict[Name, float] = {}

    @classmethod
    def entries(cls) -> dict[str, type[BaseModel]]:
        """The models of what stands inside, by key."""
        return {"turns": TurnEntry, "speakers": SpeakerEntry, "confidence": ConfidenceEntry}
