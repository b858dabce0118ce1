"""The promise of models that diarize while the audio comes in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import numpy as np

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.audio import read_blocks
from speakerdiar.config import DiarizeConfig, is_count
from speakerdiar.errors import ConfigError, closest
from speakerdiar.mixins.live import session_of
from speakerdiar.mixins.naming import check_nameless
from speakerdiar.mixins.sessions import SessionBatch, StreamingSession
from speakerdiar.recording import Recording
from speakerdiar.updates import joined


@dataclass(frozen=True)
class StreamStep:
    """What one step of a model says of one live recording. Times are seconds since the stream began.

    Attributes:
        final: complete turns that this step settles; they never change again. Turns may stick out past the audio heard
            so far: the session gives them when the audio has got there, and cuts them off at its end.
        tentative: all turns that may still change.
        final_until: until when it is settled who speaks when.
        relabelled: speakers found to be another one; the turns of this step have their new names already.
    """

    final: tuple[Turn, ...] = ()
    tentative: tuple[Turn, ...] = ()
    final_until: float = 0.0
    relabelled: Mapping[str, str] = field(default_factory=dict)


class StreamingMixin(ABC):
    """Gives a diarizer live sessions: `stream()`, `stream_batch()` and `diarize_generator` of a live source.

    Stands beside `SpkDiarizationMixin`; a streaming diarizer subclasses both. It names its presets and writes three
    hooks, in the order they run:

        _stream_begin(preset, diarcfg)         -> the memory of one live recording
        _stream_need(state)                    -> how many samples the next step takes
        _stream_step(states, blocks, last)     -> one StreamStep for each of several recordings

    All that is known of a live recording lives in its state, nothing on the model, so any number of sessions of one
    model may run side by side, in several threads too.
    """

    LATENCIES: ClassVar[Mapping[str, Any]]
    """The presets by name. A preset is an object of the model's own, with `seconds`, its algorithmic latency."""
    LATENCY: ClassVar[Any] = None
    """Class of presets that may be made by hand; its `of` makes one of a mapping. None: only those of `LATENCIES`."""
    DEFAULT_LATENCY: ClassVar[str]
    """Name of the preset of live use where none is asked for."""

    def stream(self, latency: Any = None, *, sample_rate: int | None = None, **options: Any) -> StreamingSession:
        """Begin to diarize one live recording.

        Args:
            latency: name of a preset, or the model's own preset object; None for the model's default.
            sample_rate: Hz of the samples that will be pushed; None for the model's own rate.
            options: fields of the model's config, such as `max_speakers`.

        Raises:
            ConfigError: an option has a value that can't be used, or there is no such preset.
            UnknownOptionError: an option doesn't exist.
            AudioLimitError: a sampling rate beyond the limits.
        """
        preset, diarcfg = self._stream_call(latency, sample_rate, options)
        return StreamingSession(self, preset, diarcfg, sample_rate=sample_rate)

    def stream_batch(
        self, sessions: int, latency: Any = None, *, sample_rate: int | None = None, **options: Any
    ) -> SessionBatch:
        """Begin to diarize several live recordings, which are stepped together.

        Args:
            sessions: how many, 1 or more.
            latency: name of a preset, or the model's own preset object; None for the model's default.
            sample_rate: Hz of the samples that will be pushed; None for the model's own rate.
            options: fields of the model's config, such as `max_speakers`.

        Raises:
            ConfigError, UnknownOptionError, AudioLimitError: see `stream`.
        """
        if not is_count(sessions, least=1):
            raise ConfigError(f"sessions={sessions!r}: give a whole number, 1 or more.")
        preset, diarcfg = self._stream_call(latency, sample_rate, options)
        return SessionBatch(self, preset, diarcfg, int(sessions), sample_rate=sample_rate)

    def latency_seconds(self, latency: Any = None) -> float:
        """Return the algorithmic latency of a preset, in seconds: its chunk and what it looks ahead.

        What computing adds isn't in it; that is measured (`StreamingSession.stats`).
        """
        return float(self._stream_preset(latency).seconds)

    def diarize_by_streaming(self, recording: Recording, preset: Any, diarcfg: DiarizeConfig) -> Diarization:
        """Diarize a whole recording by running it through a session, in memory that doesn't grow with its length.

        For hooks of models that have no other way: `_diarize_output_processing` may return this for each recording.
        The final turns of the same preset, live, come to the same (`speakerdiar.updates.joined`).

        Args:
            recording: what to read; offset and duration are honoured, and turns are on its clock.
            preset: from `_stream_preset`.
            diarcfg: the call's options.
        """
        session = session_of(self, preset, diarcfg, recording)
        updates = [session.push(block) for block in read_blocks(recording, session.sample_rate)]
        return joined([*updates, session.finish()], recording.id, recording.offset)

    def _stream_call(
        self, latency: Any, sample_rate: int | None, options: Mapping[str, Any]
    ) -> tuple[Any, DiarizeConfig]:
        """Return preset and config of one call, checked. The options are those of the template beside this class."""
        given = {**options, "latency": latency, "sample_rate": sample_rate}
        diarcfg: DiarizeConfig = cast(Any, self)._diarize_config(None, given)
        check_nameless(diarcfg)
        return self._stream_preset(latency), diarcfg

    def _stream_preset(self, latency: Any) -> Any:
        """Return the preset that `latency` asks for.

        Args:
            latency: a name of `LATENCIES`, a preset from there, None for the default; a `LATENCY`, or a mapping of its
                fields.

        Raises:
            ConfigError: there is no such preset; the message lists those that exist. Or it can't be used.
        """
        if latency is None:
            return self.LATENCIES[self.DEFAULT_LATENCY]
        if self.LATENCY is not None and isinstance(latency, self.LATENCY):
            return latency
        if self.LATENCY is not None and isinstance(latency, Mapping):
            return self.LATENCY.of(latency)
        if isinstance(latency, str) and latency in self.LATENCIES:
            return self.LATENCIES[latency]
        if any(latency is preset for preset in self.LATENCIES.values()):
            return latency
        near = closest(latency, self.LATENCIES) if isinstance(latency, str) else ""
        raise ConfigError(
            f"latency={latency!r}: {type(self).__name__} has no such preset.{near} "
            f"Presets: {', '.join(self.LATENCIES)}."
        )

    @abstractmethod
    def _stream_begin(self, preset: Any, diarcfg: DiarizeConfig) -> Any:
        """Return the memory of one live recording before its first sample: any object, all of it this recording's.

        Args:
            preset: from `_stream_preset`.
            diarcfg: the call's options; speaker counts and `diarcfg.postprocessing_params` are to be honoured.
        """

    @abstractmethod
    def _stream_need(self, state: Any) -> int:
        """Return how many samples (mono, at the model's rate) the next step of a recording takes, 1 or more.

        It may differ from step to step; the first often takes more.
        """

    @abstractmethod
    def _stream_step(self, states: Sequence[Any], blocks: Sequence[np.ndarray], last: bool) -> list[StreamStep]:
        """Step several recordings at once, changing their states in place. Neighbours change no result.

        Runs in eval and inference mode.

        Args:
            states: of the recordings, from `_stream_begin`; each may be at another step.
            blocks: the next samples of each, (n,) float32; n is what `_stream_need` said, so lengths may differ.
            last: whether the recordings end here. Then blocks hold what is left, 0 <= n < need, and the step settles
                everything. A recording without any sample is never stepped.

        Returns:
            One StreamStep for each, in order. Speakers are SPEAKER_00, SPEAKER_01, ... by first appearance.
        """


def as_streaming(model: object) -> StreamingMixin:
    """Return the model as one that streams; raise ConfigError where it doesn't."""
    if not isinstance(model, StreamingMixin):
        raise ConfigError(
            f"{type(model).__name__} doesn't stream: leave latency out and hand over whole recordings, or load a model "
            "that streams."
        )
    return model
