"""Latency presets, by name and by number."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from speakerdiar.errors import ConfigError, UnknownOptionError
from speakerdiar.models.diarizers.sortformer_latency import LATENCIES, SortformerLatency

BOUNDS = {
    "chunk_len": 1,
    "chunk_right_context": 0,
    "fifo_len": 0,
    "spkcache_update_period": 1,
    "spkcache_len": 1,
    "chunk_left_context": 0,
}


def test_presets_are_named_by_their_latency() -> None:
    assert {name: f"{preset.seconds:g}s" for name, preset in LATENCIES.items()} == {name: name for name in LATENCIES}
    assert list(LATENCIES) == ["30.4s", "10s", "1.04s", "0.64s", "0.32s"]


@pytest.mark.parametrize(
    ("name", "chunk", "right", "fifo", "update"),
    [
        ("30.4s", 340, 40, 40, 300),
        ("10s", 124, 1, 124, 124),
        ("1.04s", 6, 7, 188, 144),
        ("0.32s", 3, 1, 188, 144),
    ],
)
def test_presets_are_those_of_the_model_card(name: str, chunk: int, right: int, fifo: int, update: int) -> None:
    preset = LATENCIES[name]
    assert (preset.chunk_len, preset.chunk_right_context) == (chunk, right)
    assert (preset.fifo_len, preset.spkcache_update_period, preset.spkcache_len) == (fifo, update, 188)


def test_a_mapping_becomes_a_preset() -> None:
    given = {"chunk_len": 25, "chunk_right_context": 3, "fifo_len": 30}
    preset = SortformerLatency.of(given)
    assert preset == SortformerLatency(25, 3, fifo_len=30, spkcache_update_period=25)
    assert preset.seconds == 2.24
    assert (preset.spkcache_len, preset.chunk_left_context) == (188, 1)
    assert SortformerLatency.of({**given, "spkcache_update_period": 20}).spkcache_update_period == 20
    for named in LATENCIES.values():
        assert SortformerLatency.of(asdict(named)) == named


def test_a_typo_names_the_closest() -> None:
    with pytest.raises(UnknownOptionError, match=r"'chunk_length'\. Did you mean 'chunk_len'"):
        SortformerLatency.of({"chunk_length": 3})


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match=r"latency=\{'chunk_len': 3\} lacks chunk_right_context, fifo_len: give"):
        SortformerLatency.of({"chunk_len": 3})


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("kind", ["below", "float", "text", "bool"])
def test_lengths_that_cant_be_are_refused_with_their_bound(name: str, kind: str) -> None:
    value: Any = {"below": BOUNDS[name] - 1, "float": 2.5, "text": "6", "bool": True}[kind]
    with pytest.raises(ConfigError) as caught:
        SortformerLatency.of({**asdict(LATENCIES["1.04s"]), name: value})
    assert str(caught.value) == f"{name}={value!r}: give a whole number of 80 ms frames, {BOUNDS[name]} or more."


def test_a_chunk_that_is_no_number_is_refused_too() -> None:
    with pytest.raises(ConfigError, match="chunk_len='6'"):
        SortformerLatency.of({"chunk_len": "6", "chunk_right_context": 0, "fifo_len": 0})
