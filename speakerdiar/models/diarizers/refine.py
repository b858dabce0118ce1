"""RefineDiarizer: any diarizer finds the speakers, and one that looks for known voices decides who talks when."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from speakerdiar.annotation import Diarization
from speakerdiar.config import DiarizeConfig, PostProcessingParams, is_count
from speakerdiar.errors import ConfigError
from speakerdiar.mixins import SpkDiarizationMixin
from speakerdiar.mixins.blockwise import BlockwiseDiarizationMixin, Heard, Job
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.mixins.naming import speaker_vectors, spoken_alone
from speakerdiar.models.embedders import make_embedder
from speakerdiar.ranges import Range
from speakerdiar.recording import Recording

MOST_PROFILES = 16
"""People whom `second` is asked to look for, where it doesn't say itself how many it takes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Heard(Heard):
    """What both diarizers made of a recording, with their names of speakers."""

    result: Diarization


class RefineDiarizer(BlockwiseDiarizationMixin):
    """A first pass finds the speakers; a second one, which looks for their voices, decides who talks when.

    Of what each speaker says alone, by the first pass, a profile is made, and `second` is given these. With several
    rounds, profiles are made anew of what `second` said (TOLD: Wang et al. 2023, arXiv:2303.05397, where a network
    with attractors goes first).

    - Speaker counts go to `first`, and so does post-processing. Whom `second` doesn't hear anywhere is gone, though.
    - Who says less than `least_seconds` alone gets no profile, so nobody would look for them: they keep the turns of
      the first pass. So do those beyond the most talkative 16, or as many as `second` takes.
    - Where nobody gets a profile, the result is that of the first pass.

    Frame scores and confidence are those of `second`. Both models read the recording.

    Args:
        first: any diarizer, loaded.
        second: one whose `diarize` takes `profiles=`, a mapping of names to vectors, and whose turns bear these names;
            such as `SondDiarizer`.
        rounds: how often `second` decides; it ends earlier when nothing changes.
        least_seconds: a profile is made of so much speech of nobody else, or more.
        embedder: makes the profiles; by default `second.embedder`.

    Raises:
        ConfigError: an option has a value that can't be used, or there is no embedder.
    """

    TUNABLE: ClassVar[Mapping[str, Range]] = {}

    def __init__(
        self,
        first: SpkDiarizationMixin,
        second: SpkDiarizationMixin,
        rounds: int = 1,
        *,
        least_seconds: float = 1.0,
        embedder: str | EmbeddingMixin | None = None,
    ) -> None:
        for name, part in (("first", first), ("second", second)):
            if not isinstance(part, SpkDiarizationMixin):
                raise ConfigError(f"{name}={part!r:.60}: give a diarizer, such as load_model() returns.")
        if not hasattr(second.DIARIZE_CONFIG(), "profiles"):
            raise ConfigError(f"second: {type(second).__name__} takes no profiles: give a SondDiarizer or alike.")
        if not is_count(rounds, least=1):
            raise ConfigError(f"rounds={rounds!r}: give a whole number, 1 or more.")
        if not 0 <= least_seconds < math.inf:
            raise ConfigError(f"least_seconds={least_seconds!r}: give seconds, 0 or more.")
        self.first, self.second = first, second
        self.rounds, self.least_seconds = rounds, least_seconds
        self.embedder = _embedder(embedder, second)
        self.sample_rate = int(getattr(first, "sample_rate", None) or 16000)

    @property
    def speaker_capacity(self) -> int | None:
        """Most speakers that the first pass can tell apart."""
        return self.first.speaker_capacity

    def _diarize_postprocessing(self, diarcfg: DiarizeConfig) -> PostProcessingParams:
        return self.first._diarize_postprocessing(diarcfg)

    def _hear(self, jobs: Sequence[Job]) -> list[_Heard]:
        return [self._hear_one(job) for job in jobs]

    def _hear_one(self, job: Job) -> _Heard:
        config = job.diarcfg
        shown: dict[str, Any] = {
            "include_tensor_outputs": config.include_tensor_outputs,
            "confidence": config.confidence,
        }
        counts: dict[str, Any] = {
            name: getattr(config, name) for name in ("num_speakers", "min_speakers", "max_speakers")
        }
        asked: dict[str, Any] = {"latency": config.latency, "postprocessing_params": config.postprocessing_params}
        [found] = self.first.diarize(job.recording, **counts, **asked, **shown)
        found = replace(found, embeddings={})  # they may be of another embedder than the profiles
        job.tell("first", found, 0, self.rounds)
        for done in range(1, self.rounds + 1):
            before, found = found, self._refined(found, job.recording, shown)
            job.tell("refined", found, done, self.rounds)
            if found == before:
                break
        return _Heard(recording=replace(job.recording, duration=found.duration or None), result=found)

    def _refined(self, found: Diarization, recording: Recording, shown: Mapping[str, Any]) -> Diarization:
        """Let `second` look for those who have a profile; the others keep their turns."""
        profiles = self._profiles(found, recording)
        if not profiles:
            return found
        # Names of unknown speakers, such as SPEAKER_00, are refused as names of profiles.
        names = {f"spk{index}": name for index, name in enumerate(profiles, start=1)}
        given = {asked: profiles[name] for asked, name in names.items()}
        [refined] = self.second.diarize(replace(recording, num_speakers=None, extra={}), profiles=given, **shown)
        kept = tuple(turn for turn in found if turn.speaker not in profiles)
        named: Diarization = refined.renamed(names)
        return replace(named, turns=(*named.turns, *kept), embeddings=profiles)

    def _profiles(self, found: Diarization, recording: Recording) -> dict[str, NDArray[np.float32]]:
        """Return the profiles of those who talk alone for long enough, of the most talkative ones."""
        alone = spoken_alone(found, math.inf)
        enough = [name for name, parts in alone.items() if sum(p.duration for p in parts) >= self.least_seconds]
        if not enough:
            return {}
        spoken = found.durations()
        most = self.second.speaker_capacity or MOST_PROFILES
        chosen = sorted(enough, key=lambda name: -spoken[name])[:most]
        vectors = speaker_vectors(found, recording, self.embedder)
        return {name: vectors[name] for name in found.speakers if name in chosen and vectors[name].any()}

    def _decide(self, heard: _Heard, diarcfg: DiarizeConfig) -> Diarization:
        result = heard.result
        if result.offset != heard.recording.offset:  # a loader's samples begin at 0
            result = result.shifted(heard.recording.offset - result.offset)
        return result.renamed()


def _embedder(given: str | EmbeddingMixin | None, second: SpkDiarizationMixin) -> EmbeddingMixin:
    embedder = getattr(second, "embedder", None) if given is None else make_embedder(given)
    if embedder is None:
        raise ConfigError(
            f"{type(second).__name__} has no embedder, which makes the profiles: load it with one, or give embedder=."
        )
    return cast(EmbeddingMixin, embedder)
