"""Which numbers of a streaming Sortformer are usable, and where chunks lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.errors import ConfigError
from speakerdiar.nn.speaker_cache_params import CacheParams, chunk_spans


def params(**changes: Any) -> CacheParams:
    base = {"num_speakers": 4, "fifo_len": 40, "update_period": 300, "chunk_len": 340}
    return CacheParams(**{**base, "left_context": 1, "right_context": 40, **changes})


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("num_speakers", 1),
        ("fifo_len", 0),
        ("update_period", 1),
        ("chunk_len", 1),
        ("left_context", 0),
        ("right_context", 0),
        ("sil_frames_per_speaker", 0),
        ("cache_len", 16),
    ],
)
def test_lengths_have_a_least_value(name: str, least: int) -> None:
    assert getattr(params(**{name: least}), name) == least
    for value in (least - 1, least + 1.0, True, "20", None):
        with pytest.raises(ConfigError, match=f"^{name}={value!r}: give a whole number, {least} or more"):
            params(**{name: value})


def test_the_cache_has_a_place_and_its_silence_for_everyone() -> None:
    assert params(num_speakers=8, sil_frames_per_speaker=2, cache_len=np.int64(24)).frames_per_speaker == 1
    with pytest.raises(ConfigError, match=r"cache_len=23: .*24 or more \(\(1 \+ sil_frames_per_speaker\)"):
        params(num_speakers=8, sil_frames_per_speaker=2, cache_len=23)


@pytest.mark.parametrize(
    "name", ["scores_boost_latest", "sil_threshold", "strong_boost_rate", "weak_boost_rate", "min_pos_scores_rate"]
)
def test_rates_are_numbers(name: str) -> None:
    assert getattr(params(**{name: 0}), name) == 0
    for value in (-0.1, float("nan"), float("inf"), True, "1"):
        with pytest.raises(ConfigError, match=f"^{name}={value!r}: give a number, 0 or more"):
            params(**{name: value})


def test_a_logarithm_of_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"pred_score_threshold=0\.0: give a number, above 0"):
        params(pred_score_threshold=0.0)


@given(st.integers(0, 400), st.integers(1, 9), st.integers(0, 3), st.integers(0, 4))
def test_chunks_decide_every_frame_once(mels: int, chunk: int, left: int, right: int) -> None:
    spans = list(chunk_spans(mels, params(chunk_len=chunk, left_context=left, right_context=right)))
    assert sum(span.frames for span in spans) == -(-mels // 8)
    decided = 0
    for span in spans:
        assert span.first >= 0
        assert span.first + span.mels <= mels
        assert (span.first + span.left) // 8 == decided
        assert span.left_frames == min(left, decided)
        assert span.right == min(8 * right, mels - (span.first + span.mels - span.right))
        decided += span.frames
