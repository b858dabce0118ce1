"""What happens between the networks: which local speakers are embedded, who they are, and who talks in each frame.

    segment -> count -> embed -> cluster -> assign -> reconstruct -> binarize

One method a stage, so that another toolkit's decisions are another class: `PyannoteStages` here, and
`speakerdiar.models.diarizers.sherpa_stages`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from speakerdiar.annotation import Turn
from speakerdiar.clustering.slot_any import AnySlots
from speakerdiar.clustering.slots import SlotClusterer, SlotClusters
from speakerdiar.config import PostProcessingParams, SpeakerCount
from speakerdiar.postprocessing.frame_turns import frame_turns
from speakerdiar.postprocessing.local_speech import LocalSpeech
from speakerdiar.postprocessing.powerset import members_of
from speakerdiar.postprocessing.reconstruction import activations, reconstruct, speakers_at_once


@dataclass(frozen=True, eq=False)
class Masks:
    """What is embedded of each local speaker.

    Attributes:
        windows: int64 (N,), index of the window.
        slots: int64 (N,), which local speaker of it.
        frames: bool (N, F), on which frames.
    """

    windows: NDArray[np.int64]
    slots: NDArray[np.int64]
    frames: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.windows)


class Stages(ABC):
    """The decisions of a diarizer that clusters local speakers."""

    @abstractmethod
    def masks(self, bits: NDArray[np.uint8], speakers: int) -> Masks:
        """Say which local speakers of some windows are embedded, on which frames; windows in order.

        Args:
            bits: (windows, frames), who talks (`LocalSpeech.bits`).
            speakers: local speakers of a window.
        """

    @abstractmethod
    def count(self, speech: LocalSpeech, count: SpeakerCount) -> NDArray[np.uint8]:
        """Say how many talk in each frame of the recording: (T,)."""

    @abstractmethod
    def cluster(self, speech: LocalSpeech, embeddings: NDArray[np.floating[Any]], count: SpeakerCount) -> SlotClusters:
        """Say who the local speakers are.

        Args:
            speech: of the whole recording; somebody talks in it.
            embeddings: (windows, speakers, D); NaN for those that weren't embedded.
            count: how many people there may be.

        Raises:
            SpeakerCountError: more are asked for than can be told apart.
        """

    @abstractmethod
    def reconstruct(
        self, speech: LocalSpeech, clusters: SlotClusters, count: NDArray[np.uint8], asked: SpeakerCount
    ) -> NDArray[np.bool_]:
        """Say who talks in each frame: (T, K)."""

    @abstractmethod
    def turns(self, active: NDArray[np.bool_], speech: LocalSpeech, params: PostProcessingParams) -> tuple[Turn, ...]:
        """Make turns of frames; people are named by their column."""

    def tunable_parts(self) -> Mapping[str, Any]:
        """Return the dataclasses whose fields may be tuned, by name; see `speakerdiar.mixins.tunable`."""
        return {}

    def with_parts(self, parts: Mapping[str, Any]) -> Self:
        """Return the same stages with these parts, named as in `tunable_parts`."""
        return self


@dataclass(frozen=True, kw_only=True)
class PyannoteStages(Stages):
    """The stages of pyannote.audio's `SpeakerDiarization` (versions 3.1 and 4).

    Attributes:
        clusterer: tells people apart.
        least_frames: a local speaker who talks alone in more frames than these is embedded there alone.
        exclude_overlap: embed local speakers where they talk alone, if that is enough.
        exact: decide as pyannote does, its faults included.
    """

    clusterer: SlotClusterer
    least_frames: int
    exclude_overlap: bool = True
    exact: bool = False

    def masks(self, bits: NDArray[np.uint8], speakers: int) -> Masks:
        """All who talk: on the frames in which they talk alone if these are enough, else on all of theirs."""
        active = members_of(bits, speakers).transpose(0, 2, 1)  # (windows, speakers, frames)
        windows, slots = np.nonzero(active.any(axis=2))
        frames = active[windows, slots]
        if self.exclude_overlap:
            alone = bits[windows] == (1 << slots)[:, None]
            enough = alone.sum(axis=1) > self.least_frames
            frames[enough] = alone[enough]
        return Masks(windows, slots, frames)

    def count(self, speech: LocalSpeech, count: SpeakerCount) -> NDArray[np.uint8]:
        """The mean over the windows that see a frame, rounded; no more than there may be people."""
        return speakers_at_once(speech, most=count.most)

    def cluster(self, speech: LocalSpeech, embeddings: NDArray[np.floating[Any]], count: SpeakerCount) -> SlotClusters:
        """As the clusterer does."""
        spoken, alone = speech.spoken(), speech.alone()
        return self.clusterer.cluster(embeddings, alone, spoken, speech.grid.frames, count, exact=self.exact)

    def reconstruct(
        self, speech: LocalSpeech, clusters: SlotClusters, count: NDArray[np.uint8], asked: SpeakerCount
    ) -> NDArray[np.bool_]:
        """Those whom most windows hear; everyone who was asked for talks somewhere."""
        people = len(clusters.centroids)
        active = reconstruct(speech, clusters.labels, people, count, exact=self.exact)
        return active if self.exact else with_everyone(active, speech, clusters, asked)

    def turns(self, active: NDArray[np.bool_], speech: LocalSpeech, params: PostProcessingParams) -> tuple[Turn, ...]:
        """From the middle of a turn's first frame to that of the first one behind it."""
        names = [str(person) for person in range(active.shape[1])]
        return frame_turns(active, speech.grid, params=params, end=speech.seconds, names=names)

    def tunable_parts(self) -> Mapping[str, Any]:
        """Return the clusterer; one that is put to this use, itself."""
        return {"clusterer": self.clusterer.clusterer if isinstance(self.clusterer, AnySlots) else self.clusterer}

    def with_parts(self, parts: Mapping[str, Any]) -> Self:
        """Return the same stages with another clusterer."""
        own, clusterer = self.clusterer, parts["clusterer"]
        return replace(self, clusterer=replace(own, clusterer=clusterer) if isinstance(own, AnySlots) else clusterer)


def with_everyone(
    active: NDArray[np.bool_], speech: LocalSpeech, clusters: SlotClusters, asked: SpeakerCount
) -> NDArray[np.bool_]:
    """Let people who never come first talk too, where most windows hear them, until there are as many as asked for.

    Somebody may be one of the speakers of some windows and yet always be beaten to the frame by others.
    """
    heard = active.any(axis=0)
    missing = [person for person in np.flatnonzero(~heard) if (clusters.labels == person).any()]
    wanted = asked.least - int(heard.sum())
    if wanted <= 0 or not missing:
        return active
    found = active.copy()
    scores = activations(speech, clusters.labels, len(clusters.centroids))[: _frames_inside(speech)]
    for person in sorted(missing, key=lambda one: -scores[:, one].sum())[:wanted]:
        found[: len(scores), person] = (scores[:, person] > 0) & (scores[:, person] >= scores[:, person].max())
    return found


def _frames_inside(speech: LocalSpeech) -> int:
    """Frames whose middles lie inside the recording."""
    grid = speech.grid
    return max(1, math.ceil((speech.seconds - float(grid.middle(0))) / grid.frame_seconds))
