"""The template of diarizers that read recordings block by block instead of whole."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch.utils.data import DataLoader

from speakerdiar.annotation import Diarization
from speakerdiar.audio import rereadable
from speakerdiar.config import DiarizeConfig
from speakerdiar.mixins.batches import waveforms_of
from speakerdiar.mixins.diarization import SpkDiarizationMixin
from speakerdiar.mixins.neural import inference_state
from speakerdiar.recording import Recording


@dataclass(frozen=True)
class Job:
    """A recording of a batch, with the options and the memory of its call."""

    recording: Recording
    diarcfg: DiarizeConfig

    def tell(self, stage: str, artifact: Any, done: float, total: float | None) -> None:
        """Tell the caller's hook how far this recording is."""
        if self.diarcfg.hook is not None:
            self.diarcfg.hook(stage, artifact, done, total)


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What a model has made of a recording; models add what that is.

    Attributes:
        recording: its duration is known.
    """

    recording: Recording


class BlockwiseDiarizationMixin(SpkDiarizationMixin):
    """Hands a model the recordings themselves, so that it never holds one whole.

    A subclass has a `sample_rate` and writes two steps:

        _hear(jobs)               -> what it makes of each recording, in eval and inference mode
        _decide(heard, diarcfg)   -> the `Diarization` of one

    A DataLoader that is handed in as audio yields (waveforms (B, T), lengths (B,)) at `sample_rate`.
    """

    sample_rate: int

    @abstractmethod
    def _hear(self, jobs: Sequence[Job]) -> list[Any]:
        """Read the recordings of a batch and run the model: one `Heard` for each, in order."""

    @abstractmethod
    def _decide(self, heard: Any, diarcfg: DiarizeConfig) -> Diarization:
        """Return the result of one recording from what `_hear` made of it."""

    def _diarize_input_processing(self, audio: Any, diarcfg: DiarizeConfig) -> DataLoader[Any]:
        """Hand on the recordings: they are read in the forward."""
        assert diarcfg._internal is not None
        return self._setup_diarize_dataloader({"recordings": diarcfg._internal.recordings.values(), "diarcfg": diarcfg})

    def _setup_diarize_dataloader(self, config: dict[str, Any]) -> DataLoader[Any]:
        diarcfg = config["diarcfg"]
        jobs = [Job(recording, diarcfg) for recording in config["recordings"]]
        return DataLoader(jobs, batch_size=diarcfg.batch_size, collate_fn=list)  # type: ignore[arg-type]

    def _diarize_forward(self, batch: Any) -> Any:
        if not (isinstance(batch, list) and all(isinstance(job, Job) for job in batch)):
            return batch  # from a caller's loader; the options that hearing it takes come with the next hook
        return self._hear([replace(job, recording=rereadable(job.recording)) for job in batch])

    def _diarize_output_processing(
        self, outputs: Any, uniq_ids: list[str], diarcfg: DiarizeConfig
    ) -> list[Diarization]:
        if not (isinstance(outputs, list) and all(isinstance(heard, Heard) for heard in outputs)):
            outputs = self._hear_rows(outputs, uniq_ids, diarcfg)
        return [self._decide(heard, diarcfg) for heard in outputs]

    def _hear_rows(self, batch: Any, uniq_ids: list[str], diarcfg: DiarizeConfig) -> list[Any]:
        """Hear the rows of (waveforms, lengths), whose samples are at the model's rate."""
        assert diarcfg._internal is not None
        known = diarcfg._internal.recordings
        rate = self.sample_rate
        rows = list(zip(uniq_ids, waveforms_of(batch), strict=True))
        recordings = [known.get(id, Recording(id, samples, rate)) for id, samples in rows]
        sources = [
            replace(recording, source=samples, sample_rate=rate, offset=0.0, duration=None, channel="mix")
            for recording, (_, samples) in zip(recordings, rows, strict=True)
        ]
        with inference_state(self):
            found = self._hear([Job(source, diarcfg) for source in sources])
        return [
            replace(heard, recording=replace(recording, duration=heard.recording.duration))
            for heard, recording in zip(found, recordings, strict=True)
        ]
