"""Tuning finds better thresholds, without running the networks again, and the file gives what was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import ToneDiarizer, tones
from fakes_local import ToneSegmenter
from fakes_roles import RATE, FakeEmbedder
from fakes_sortformer import tiny_offline, tiny_streaming
from numpy.typing import NDArray
from sond_files import tiny_sond

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.config import DiarizeConfig, PostProcessingParams
from speakerdiar.errors import ConfigError, UnknownOptionError
from speakerdiar.metrics import DerComponents, Rules, der
from speakerdiar.mixins import SpkDiarizationMixin
from speakerdiar.models.diarizers.clustering import ClusteringDiarizer
from speakerdiar.models.diarizers.eend_vc import EendVcDiarizer
from speakerdiar.models.segmenters import make_segmenter
from speakerdiar.models.settings import DiarizerSettings
from speakerdiar.recording import Recording
from speakerdiar.training.bench import total
from speakerdiar.training.dev_set import KnownRecording
from speakerdiar.training.tuning import Comparison, tune
from speakerdiar.training.tuning_report import doubts, to_table

SPANS = ([(1.0, 3.0, 0), (4.0, 6.0, 1)], [(0.5, 2.5, 2), (3.5, 7.0, 0), (7.5, 8.5, 2)], [(1.0, 5.0, 1)])


class CountingTones(ToneDiarizer):
    """Counts how often its network runs."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def levels(self, waveforms: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        return super().levels(waveforms)


class CountingEmbedder(FakeEmbedder):
    """Counts the windows that it embeds."""

    windows = 0

    def _embed_batch(self, features: Any, starts: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        self.windows += len(starts)
        return super()._embed_batch(features, starts, length)


def known(spans: list[tuple[float, float, int]], id: str, wider: float = 0.0) -> KnownRecording:
    """Tones, and turns that begin and end so much further out."""
    turns = tuple(Turn(start - wider, end + wider, f"tone{k}") for start, end, k in spans)
    recording = Recording(id, tones(spans, 10.0), RATE)
    return KnownRecording(recording, Diarization(id, 10.0, turns))


def dev_set(wider: float = 0.0) -> list[KnownRecording]:
    return [known(spans, f"rec{index}", wider) for index, spans in enumerate(SPANS)]


def rate(model: SpkDiarizationMixin, recordings: list[KnownRecording], settings: DiarizerSettings) -> float:
    """The error rate of plain calls with the model and the options that settings say."""
    other = model.with_thresholds(settings.thresholds)
    parts = [der(one.reference, other.diarize(one.recording, **settings.diarize)[0]) for one in recordings]
    return sum(parts, DerComponents()).rate


def test_pads_that_the_annotators_left_are_found_and_the_network_runs_once_a_recording() -> None:
    model, recordings = CountingTones(), dev_set(wider=0.15)
    tuned = tune(model, recordings, trials=25, only=["postprocessing_params.pad_onset", "postprocessing_params.onset"])
    assert model.runs == len(recordings)
    assert tuned.values["postprocessing_params.pad_onset"] == pytest.approx(0.15, abs=0.06)
    before, after = total(tuned.tuned_on.before).der, total(tuned.tuned_on.after).der
    assert after.rate < 0.75 * before.rate
    assert rate(model, recordings, DiarizerSettings()) == before.rate
    assert rate(model, recordings, tuned.settings) == after.rate


class TouchingTones(ToneDiarizer):
    """Changes its outputs in place, as models may."""

    def _diarize_output_processing(
        self, outputs: torch.Tensor, uniq_ids: list[str], diarcfg: DiarizeConfig
    ) -> list[Diarization]:
        return super()._diarize_output_processing(outputs.mul_(0.9), uniq_ids, diarcfg)


def clustering() -> ClusteringDiarizer:
    return ClusteringDiarizer("energy", FakeEmbedder(), "ahc").with_thresholds({"clusterer.threshold": 1.15})


def pipeline() -> EendVcDiarizer:
    return EendVcDiarizer(ToneSegmenter(), FakeEmbedder(), "ahc").with_thresholds({"clusterer.threshold": 1.45})


def known_voices() -> SpkDiarizationMixin:
    rng = np.random.default_rng(0)
    model = tiny_sond(None)
    profiles = {name: rng.standard_normal(model.network.shape.dimension).astype(np.float32) for name in ("Ana", "Ben")}
    model.profiles = model._maker(None).make(profiles)
    return model


MODELS: dict[str, Callable[[], SpkDiarizationMixin]] = {
    "scores": ToneDiarizer,
    "scores changed in place": TouchingTones,
    "clustering": clustering,
    "pipeline": pipeline,
    "offline network": tiny_offline,
    "streaming network": tiny_streaming,
    "known voices": known_voices,
}


@pytest.mark.parametrize("name", MODELS)
def test_plain_calls_with_the_settings_score_what_tuning_said(name: str, tmp_path: Path) -> None:
    model, recordings = MODELS[name](), dev_set(wider=0.1)[:2]
    tuned = tune(model, recordings, trials=6)
    settings = DiarizerSettings.read(tuned.settings.write(tmp_path / "best.yaml"))
    assert set(tuned.values) == set(model.TUNABLE) | set(model.part_ranges())
    assert rate(model, recordings, DiarizerSettings()) == total(tuned.tuned_on.before).der.rate
    assert rate(model, recordings, settings) == total(tuned.tuned_on.after).der.rate
    assert tuned.tuned_on.gain >= 0


@pytest.mark.parametrize("make", [clustering, pipeline])
def test_a_threshold_that_takes_all_for_one_is_lowered(make: Callable[[], SpkDiarizationMixin]) -> None:
    tuned = tune(make(), dev_set(), trials=15, only=["clusterer"])
    assert total(tuned.tuned_on.before).der.confusion > 3
    assert total(tuned.tuned_on.after).der.confusion == 0
    assert set(tuned.settings.thresholds) == {"clusterer.threshold", "clusterer.min_cluster_size"}
    assert tuned.settings.diarize == {}


@pytest.mark.parametrize("trials", [6, 12])
def test_windows_are_embedded_twice_at_most_whatever_the_number_of_trials(trials: int) -> None:
    embedder, segmenter = CountingEmbedder(), make_segmenter("energy")
    model, recordings = ClusteringDiarizer(segmenter, embedder, "ahc"), dev_set()
    for one in recordings:
        model.diarize(one.recording)
    once, embedder.windows = embedder.windows, 0
    tune(model, recordings, trials=trials, only=["clusterer"])
    assert embedder.windows == once
    embedder.windows = 0
    tuned = tune(model, recordings, trials=trials, only=["postprocessing_params.pad_onset", "clusterer"])
    assert tuned.values["postprocessing_params.pad_onset"] != tuned.present["postprocessing_params.pad_onset"]
    assert 0 < embedder.windows < 3 * once


def test_early_thresholds_can_be_tuned_alone() -> None:
    tuned = tune(clustering(), dev_set(wider=0.1), trials=8, only=["postprocessing_params.pad_offset"])
    assert list(tuned.values) == ["postprocessing_params.pad_offset"]
    assert tuned.tuned_on.gain >= 0


def test_recordings_held_out_are_scored_and_not_tuned_on() -> None:
    tuned = tune(ToneDiarizer(), dev_set(wider=0.15), trials=10, hold_out=0.34, seed=3)
    assert tuned.held_out is not None
    sides = [{score.name for score in side.before} for side in (tuned.tuned_on, tuned.held_out)]
    assert [len(side) for side in sides] == [2, 1]
    assert set.union(*sides) == {"rec0", "rec1", "rec2"}
    assert tuned.held_out.gain > 0
    assert "held out (1)" in to_table(tuned)


def test_folds_score_every_recording_by_values_that_it_did_not_choose() -> None:
    model, recordings = CountingTones(), [known(SPANS[0], "a", 0.15), known(SPANS[1], "b", 0.15), known(SPANS[2], "c")]
    only = ["postprocessing_params.pad_onset"]
    tuned = tune(model, recordings, trials=10, folds=3, only=only)
    assert model.runs == 3
    assert tuned.held_out is not None
    assert tuned.held_out.before == tuned.tuned_on.before
    # The third has tight turns; values that the others chose make it worse.
    alone = Comparison(tuned.held_out.before[2:], tuned.held_out.after[2:])
    both = tune(model, recordings[:2], trials=10, only=only)
    assert alone.gain < 0 < both.tuned_on.gain
    assert Comparison(tuned.tuned_on.before[:2], tuned.tuned_on.after[:2]).gain > 0


def test_options_of_the_call_stay_and_scoring_follows_the_rules() -> None:
    recordings = dev_set(wider=0.15)
    config = DiarizeConfig(max_speakers=1, postprocessing_params=PostProcessingParams(filter_speech_first=False))
    base = DiarizerSettings("tones", diarize={"max_speakers": 1, "postprocessing_yaml": "old.yaml"})
    tuned = tune(ToneDiarizer(), recordings, trials=3, config=config, settings=base, rules=Rules(collar=0.25))
    assert tuned.settings.model == "tones"
    assert tuned.settings.diarize["max_speakers"] == 1
    assert tuned.settings.diarize["postprocessing_params"]["filter_speech_first"] is False
    assert "postprocessing_yaml" not in tuned.settings.diarize
    assert total(tuned.tuned_on.before).der.miss > 3  # one speaker of two
    assert "collar 0.25 s" in to_table(tuned)


def test_a_gain_on_few_recordings_is_doubted() -> None:
    scores = tune(ToneDiarizer(), dev_set(wider=0.15)[:1], trials=8)
    assert any("may be chance" in doubt for doubt in doubts(scores))
    assert any("hold some out" in doubt for doubt in doubts(scores))
    nothing = tune(ToneDiarizer(), dev_set(), trials=1)
    assert doubts(nothing) == ["Nothing beat the present values in 1 trials."]
    steady = tune(ToneDiarizer(), dev_set(wider=0.15), trials=15)
    assert not any("may be chance" in doubt for doubt in doubts(steady))


def test_values_that_make_others_worse_are_doubted() -> None:
    tuned = tune(ToneDiarizer(), dev_set(wider=0.15), trials=15, hold_out=0.34)
    assert tuned.held_out is not None
    worse = replace(tuned, held_out=Comparison(tuned.held_out.after, tuned.held_out.before))
    assert doubts(tuned) == []
    assert doubts(worse) == [
        f"On the recordings held out, the error rate rises by {100 * tuned.held_out.gain:.2f} points."
    ]


def test_the_interval_holds_the_gain_and_is_a_point_where_all_gain_alike() -> None:
    tuned = tune(ToneDiarizer(), dev_set(wider=0.15), trials=8).tuned_on
    low, high = tuned.gain_interval()
    assert low <= tuned.gain <= high
    alike = Comparison(tuned.before[:1] * 4, tuned.after[:1] * 4)
    low, high = alike.gain_interval()
    assert low == pytest.approx(alike.gain)
    assert high == pytest.approx(alike.gain)


def test_what_cannot_be_tuned_is_said() -> None:
    recordings = dev_set()
    with pytest.raises(UnknownOptionError, match="Did you mean 'clusterer'"):
        tune(clustering(), recordings, only=["clustere"])
    with pytest.raises(ConfigError, match="hold_out=1"):
        tune(ToneDiarizer(), recordings, hold_out=1.0)
    with pytest.raises(ConfigError, match="1 recordings, 1 of them held out"):
        tune(ToneDiarizer(), recordings[:1], hold_out=0.1)
    for folds in (1, 4, -2):
        with pytest.raises(ConfigError, match=f"folds={folds}: give 2 to 3"):
            tune(ToneDiarizer(), recordings, folds=folds)
    with pytest.raises(ConfigError, match="give one of the two"):
        tune(ToneDiarizer(), recordings, folds=3, hold_out=0.4)
    for model in (clustering(), pipeline()):
        with pytest.raises(ConfigError, match="latency='2s': leave it out"):
            tune(model, recordings, trials=2, config=DiarizeConfig(latency="2s"))
