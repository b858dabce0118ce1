"""What models say of their thresholds, and the same models with others."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from fakes import ToneDiarizer, tones
from fakes_local import ToneSegmenter, tone_pipeline
from fakes_roles import RATE, FakeEmbedder
from sond_files import tiny_sond

from speakerdiar.clustering import CLUSTERERS, make_clusterer
from speakerdiar.clustering.slot_ahc import AhcSlots
from speakerdiar.errors import ConfigError, ModelError, UnknownOptionError
from speakerdiar.models.diarizers.clustering import ClusteringDiarizer
from speakerdiar.models.diarizers.eend_vc import EendVcDiarizer
from speakerdiar.models.diarizers.refine import RefineDiarizer
from speakerdiar.models.diarizers.sherpa_stages import SherpaStages
from speakerdiar.ranges import Range

TURNS = [(0.5, 3.0, 0), (3.5, 6.0, 1), (6.5, 9.0, 0)]


@pytest.mark.parametrize("name", CLUSTERERS)
def test_clusterers_take_the_ends_of_their_ranges(name: str) -> None:
    module, cls = CLUSTERERS[name].split(":")
    for field, place in getattr(importlib.import_module(module), cls).TUNABLE.items():
        for value in (place.nearest(place.low), place.nearest(place.high)):
            assert getattr(make_clusterer(name, **{field: value}), field) == value


def test_a_plain_model_has_post_processing_to_tune() -> None:
    model = ToneDiarizer()
    assert {name.partition(".")[0] for name in model.TUNABLE} == {"postprocessing_params"}
    assert model.part_ranges() == model.part_thresholds() == {}
    assert model.with_thresholds({}) is model


def test_another_threshold_makes_another_model_of_the_same_networks() -> None:
    model = ClusteringDiarizer("energy", FakeEmbedder(), "ahc")
    other = model.with_thresholds({"clusterer.threshold": 1.2, "change_cost.inside": 0.4})
    assert other.embedder is model.embedder
    assert other.part_thresholds() == {
        "clusterer.threshold": 1.2,
        "clusterer.min_cluster_size": 0.02,
        "change_cost.inside": 0.4,
        "change_cost.between": 0.05,
    }
    assert model.part_thresholds()["clusterer.threshold"] == 0.38
    audio = tones(TURNS, 9.5)
    [two], [one] = (m.diarize(audio, sample_rate=RATE) for m in (model, other))
    assert (len(two.speakers), len(one.speakers)) == (2, 1)


def test_clusterers_that_know_time_have_no_price_of_changes() -> None:
    model = ClusteringDiarizer("energy", FakeEmbedder(), "vbx")
    assert {name.partition(".")[0] for name in model.part_ranges()} == {"clusterer"}
    assert model.with_thresholds({"clusterer.fa": 0.5}).part_thresholds()["clusterer.fa"] == 0.5


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (tone_pipeline(), "clusterer.threshold"),
        (EendVcDiarizer(ToneSegmenter(), FakeEmbedder(), make_clusterer("ahc")), "clusterer.threshold"),
        (EendVcDiarizer(ToneSegmenter(), FakeEmbedder(), stages=SherpaStages()), "stages.threshold"),
    ],
    ids=["slots", "any clusterer", "sherpa"],
)
def test_pipelines_have_the_thresholds_of_their_stages(model: EendVcDiarizer, name: str) -> None:
    before = model.part_thresholds()
    # Two sines are as far apart as vectors can be; at the top of the range they still are one person.
    other = model.with_thresholds({name: 1.49})
    assert other.part_thresholds() == {**before, name: 1.49}
    assert model.part_thresholds() == before
    [two], [one] = (m.diarize(tones(TURNS, 9.5), sample_rate=RATE) for m in (model, other))
    assert (len(two.speakers), len(one.speakers)) == (2, 1)


def test_a_threshold_that_is_none_is_named_with_the_closest() -> None:
    with pytest.raises(UnknownOptionError, match=r"Did you mean 'clusterer.threshold'"):
        tone_pipeline().with_thresholds({"clusterer.treshold": 1.0})


@pytest.mark.parametrize("value", [True, "0.5", None, np.nan])
def test_a_threshold_is_a_number(value: object) -> None:
    with pytest.raises(ConfigError, match=r"clusterer\.threshold=.*give a number"):
        tone_pipeline().with_thresholds({"clusterer.threshold": value})  # type: ignore[dict-item]


def test_what_a_clusterer_refuses_is_refused() -> None:
    with pytest.raises(ConfigError, match="threshold=-1"):
        tone_pipeline().with_thresholds({"clusterer.threshold": -1})
    assert AhcSlots.TUNABLE["threshold"].low > 0


def test_two_passes_have_nothing_of_their_own() -> None:
    model = RefineDiarizer(ClusteringDiarizer("energy", FakeEmbedder(), "ahc"), tiny_sond(None))
    assert model.TUNABLE == model.part_ranges() == {}


def test_early_options_need_a_word_on_speech() -> None:
    class Early(ToneDiarizer):
        TUNABLE = {"postprocessing_params.onset": Range(0.1, 0.9, early=True)}

    with pytest.raises(ModelError, match="_diarize_speech_processing"):
        Early()._diarize_speech_processing([], [], Early.DIARIZE_CONFIG())
