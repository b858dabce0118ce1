"""Recordings with what the networks made of them, so that thresholds are tried without running the networks again."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from speakerdiar.annotation import Diarization
from speakerdiar.config import DiarizeConfig, private_copy
from speakerdiar.errors import ConfigError
from speakerdiar.metrics import FileScore, Rules, detection
from speakerdiar.metrics.cells import cut
from speakerdiar.metrics.der import der_of
from speakerdiar.metrics.detection import DetectionComponents
from speakerdiar.metrics.speakers import speakers_of
from speakerdiar.mixins import SpkDiarizationMixin
from speakerdiar.mixins.neural import plain_tensors
from speakerdiar.training.dev_set import KnownRecording
from speakerdiar.training.search import Values

TOTAL = FileScore("TOTAL")


@dataclass(frozen=True, eq=False)
class _Heard:
    """What the networks made of a recording.

    Attributes:
        known: the recording, and who speaks in it.
        outputs: of the forward, as they came: each decision gets tensors of its own, which it may change.
        uniq_ids: of the batch, which is this recording.
        diarcfg: the options and the memory of the call.
    """

    known: KnownRecording
    outputs: Any
    uniq_ids: list[str]
    diarcfg: DiarizeConfig


class Bench:
    """Scores thresholds of a model on recordings whose turns are known.

    The networks hear each recording once, and once more for other values of early options (`Range.early`).

    Args:
        model: whose thresholds.
        known: the recordings.
        config: options of the calls.
        rules: collar and overlap rule.
        progress: called with (recordings heard, recordings to hear).

    Attributes:
        hearing_seconds: that the networks have taken so far.
    """

    def __init__(
        self,
        model: SpkDiarizationMixin,
        known: Sequence[KnownRecording],
        config: DiarizeConfig | None = None,
        rules: Rules | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.model, self.known, self.rules = model, known, rules or Rules()
        self.config = model._diarize_config(config, {})
        self.hearing_seconds = 0.0
        self._progress = progress
        self._heard: dict[tuple[Any, ...], list[_Heard]] = {}

    def present(self) -> Values:
        """Return the thresholds as they are: of the calls, and of the model's parts."""
        return {**{name: _option(self.config, name) for name in self.model.TUNABLE}, **self.model.part_thresholds()}

    def part(self, places: Sequence[int]) -> Bench:
        """Return a bench of some of the recordings, with what was heard of them so far."""
        other = Bench(self.model, [self.known[place] for place in places], self.config, self.rules, self._progress)
        other._heard = {key: [heard[place] for place in places] for key, heard in self._heard.items()}
        return other

    def scores(self, values: Mapping[str, Any]) -> tuple[FileScore, ...]:
        """Return the scores of the recordings under these thresholds; those that aren't named are as they are."""
        model = self._model(values)
        return tuple(
            scored(heard.known, _decided(model._diarize_output_processing, heard, self._options(values)), self.rules)
            for heard in self._hear(values)
        )

    def speech_error(self, values: Mapping[str, Any], heard_with: Mapping[str, Any]) -> float:
        """Return the detection error rate of speech, whoever talks, under these values of early options.

        Args:
            values: early options.
            heard_with: the thresholds that the networks had.
        """
        total = DetectionComponents()
        for heard in self._hear(heard_with):
            found = _decided(self.model._diarize_speech_processing, heard, values)
            total += detection(
                heard.known.reference,
                found,
                collar=self.rules.collar,
                skip_overlap=self.rules.skip_overlap,
                uem=heard.known.regions,
            )
        return total.rate

    def call_options(self, values: Mapping[str, Any]) -> DiarizeConfig:
        """Return the options of a call with these thresholds; `postprocessing_params` is filled in."""
        return _with_options(private_copy(self.config), self._options(values))

    def _options(self, values: Mapping[str, Any]) -> Values:
        return {name: value for name, value in values.items() if name in self.model.TUNABLE}

    def _model(self, values: Mapping[str, Any]) -> SpkDiarizationMixin:
        parts = self.model.part_ranges()
        return self.model.with_thresholds({name: value for name, value in values.items() if name in parts})

    def _hear(self, values: Mapping[str, Any]) -> list[_Heard]:
        present = self.present()
        names = [name for name, place in self.model.TUNABLE.items() if place.early]
        early = {name: values.get(name, present[name]) for name in names}
        key = tuple(early.values())
        if key not in self._heard:
            start = time.perf_counter()
            self._heard[key] = []
            for done, known in enumerate(self.known, start=1):
                self._heard[key].append(self._hear_one(known, early))
                if self._progress is not None:
                    self._progress(done, len(self.known))
            self.hearing_seconds += time.perf_counter() - start
        return self._heard[key]

    def _hear_one(self, known: KnownRecording, early: Values) -> _Heard:
        heard: list[_Heard] = []
        config = self.call_options(early)
        config.include_tensor_outputs = True  # some models keep frame scores only where they are asked for
        assert config._internal is not None
        config._internal.heard = lambda *batch: heard.append(_Heard(known, *batch))
        self.model.diarize(known.recording, override_config=config)
        return heard[0]


def scored(known: KnownRecording, found: Diarization, rules: Rules) -> FileScore:
    """Return the score of a recording, its Jaccard error aside."""
    cells = cut(known.reference, found, rules, known.regions)
    return FileScore(known.recording.id, der_of(cells), speakers=speakers_of(cells))


def total(scores: Iterable[FileScore]) -> FileScore:
    """Return the scores of all recordings, added."""
    return sum(scores, TOTAL)


def _decided(process: Callable[..., Any], heard: _Heard, options: Mapping[str, Any]) -> Diarization:
    config = _with_options(copy.copy(heard.diarcfg), options)
    config.include_tensor_outputs = False
    results = process(plain_tensors(heard.outputs), heard.uniq_ids, config)
    if not (isinstance(results, list) and len(results) == 1 and isinstance(results[0], Diarization)):
        raise ConfigError(
            f"{heard.known.recording.id}: {results!r:.60} came of it: only models whose calls give one "
            "Diarization a recording can be tuned."
        )
    return results[0]


def _option(config: DiarizeConfig, name: str) -> Any:
    option, _, field = name.partition(".")
    value = getattr(config, option)
    return getattr(value, field) if field else value


def _with_options(config: DiarizeConfig, values: Mapping[str, Any]) -> DiarizeConfig:
    """Put options into a config that is the caller's own, and return it."""
    for name, value in values.items():
        option, _, field = name.partition(".")
        setattr(config, option, replace(getattr(config, option), **{field: value}) if field else value)
    return config
