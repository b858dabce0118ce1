"""Segmenters and embedders by name."""

from __future__ import annotations

import pytest
from fakes_roles import FakeEmbedder, FakeSegmenter

from speakerdiar.errors import ConfigError, UnknownModelError, UnknownOptionError
from speakerdiar.models.embedders import make_embedder
from speakerdiar.models.segmenters import make_segmenter
from speakerdiar.models.segmenters.energy import EnergyVad


def test_a_name_makes_one_with_options() -> None:
    model = make_segmenter("energy", sample_rate=8000)
    assert isinstance(model, EnergyVad)
    assert model.sample_rate == 8000


def test_an_instance_passes_through() -> None:
    segmenter, embedder = FakeSegmenter(), FakeEmbedder()
    assert make_segmenter(segmenter) is segmenter
    assert make_embedder(embedder) is embedder


def test_an_unknown_name_is_answered_with_the_closest_and_all() -> None:
    with pytest.raises(UnknownModelError, match=r"segmenter 'silerro'\. Did you mean 'silero'\?.*silero, energy"):
        make_segmenter("silerro")
    with pytest.raises(UnknownModelError, match=r"embedder 'ge2'\. Did you mean 'ge2e'\?"):
        make_embedder("ge2")


def test_an_unknown_option_is_answered_with_the_closest() -> None:
    with pytest.raises(UnknownOptionError, match=r"EnergyVad has no option 'margin'.*'margin_db'"):
        make_segmenter("energy", margin=3)


def test_options_beside_an_instance_and_things_of_another_kind_are_refused() -> None:
    with pytest.raises(ConfigError, match="margin_db beside a segmenter"):
        make_segmenter(FakeSegmenter(), margin_db=3)
    with pytest.raises(ConfigError, match="embedder=5"):
        make_embedder(5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="SegmentationMixin"):
        make_segmenter(FakeEmbedder())  # type: ignore[arg-type]
