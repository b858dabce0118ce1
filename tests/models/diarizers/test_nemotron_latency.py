"""Presets of Nemotron: the model card's, and those made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from speakerdiar.errors import ConfigError, UnknownOptionError
from speakerdiar.models.diarizers.nemotron_latency import LATENCIES, NemotronLatency


@pytest.mark.parametrize("name", LATENCIES)
def test_presets_are_named_by_their_latency(name: str) -> None:
    assert f"{LATENCIES[name].seconds:g}s" == name


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"chunk_length": 0}, "chunk_length=0: give a whole number of 80 ms frames, 1 or more"),
        ({"chunk_length": 2.5}, r"chunk_length=2\.5"),
        ({"chunk_length": None}, "chunk_length=None"),
        ({"chunk_length": 9, "chunk_right_context": -1}, "chunk_right_context=-1: .* 0 or more"),
        ({"chunk_length": 9, "chunk_left_context": True}, "chunk_left_context=True"),
        ({"chunk_length": 9, "fifo_length": -2}, "fifo_length=-2: .* 0 or more"),
        ({"chunk_length": 9, "speaker_cache_update_period": 0}, "speaker_cache_update_period=0: .* 1 or more"),
        ({"chunk_length": 9, "speaker_cache_length": "all"}, "speaker_cache_length='all'"),
        ({"chunk_length": 9, "end_at_once": 1}, "end_at_once=1: give True or False"),
        ({"fifo_length": 9}, "lacks chunk_length"),
    ],
)
def test_what_cannot_be_is_refused_with_its_bound(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NemotronLatency.of(values)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownOptionError, match="Did you mean 'chunk_length'"):
        NemotronLatency.of({"chunk_lenght": 9})


def test_a_mapping_makes_a_preset() -> None:
    made = NemotronLatency.of({"chunk_length": 9, "chunk_right_context": 4, "end_at_once": True})
    assert made == LATENCIES["1.04s"]
    assert NemotronLatency.of({"chunk_length": 6, "fifo_length": 0}).fifo_length == 0
