"""How `diarize` comes by names for models that search for profiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from fakes import ToneDiarizer

from speakerdiar.cli.voice_store import Names
from speakerdiar.config import DiarizeConfig


@dataclass
class SearchConfig(DiarizeConfig):
    profiles: Any = None


class SearchingDiarizer(ToneDiarizer):
    DIARIZE_CONFIG = SearchConfig


@pytest.mark.parametrize("cls", [DiarizeConfig, SearchConfig], ids=["plain options", "its own, from a file"])
def test_a_model_that_searches_for_profiles_gets_them_by_name(cls: type[DiarizeConfig]) -> None:
    names = Names.of(False, None, ["Ana=one.wav", "Ben=ben=2.wav", "Ana=two.wav"], None)
    given = cls(num_speakers=2, postprocessing_params={"onset": 0.4})
    config = names.put_into(given, SearchingDiarizer(), None)
    assert isinstance(config, SearchConfig)
    assert config.profiles == {"Ana": ["one.wav", "two.wav"], "Ben": ["ben=2.wav"]}
    assert (config.num_speakers, config.postprocessing_params) == (2, {"onset": 0.4})
    assert config.voiceprints is None


def test_without_names_the_options_stay_as_they_are() -> None:
    given = DiarizeConfig(num_speakers=2)
    for diarizer in (ToneDiarizer(), SearchingDiarizer()):
        assert Names.of(False, None, None, None).put_into(given, diarizer, None) is given
