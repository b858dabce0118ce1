"""The template of segmenters: blocks in, frame scores out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fakes_roles import RATE, FakeSegmenter
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar.errors import InputError, ModelError
from speakerdiar.mixins.segmentation import regrouped

NOISE = np.random.default_rng(7).uniform(-1, 1, 3210).astype(np.float32)


def cut(samples: NDArray[np.float32], lengths: list[int]) -> list[NDArray[np.float32]]:
    return np.split(samples, np.cumsum(lengths))


def test_scores_stand_for_frames_and_classes() -> None:
    scores = FakeSegmenter().segment_blocks([NOISE])
    assert scores.data.shape == (33, 2)
    assert scores.speakers == ("peak", "distance")
    assert scores.grid.step == pytest.approx(100 / RATE)
    peaks = [np.abs(NOISE[i : i + 100]).max() for i in range(0, len(NOISE), 100)]
    np.testing.assert_allclose(scores.data[:, 0], peaks)
    np.testing.assert_allclose(scores.data.sum(axis=1), np.maximum.accumulate(peaks), rtol=1e-6)


@given(st.lists(st.integers(0, 1500), max_size=12))
def test_blocks_of_any_length_give_the_same(lengths: list[int]) -> None:
    whole = FakeSegmenter().segment_blocks([NOISE])
    parts = FakeSegmenter().segment_blocks(iter(cut(NOISE, lengths)))
    np.testing.assert_array_equal(whole.data, parts.data)


@given(st.lists(st.integers(0, 30), max_size=8), st.integers(1, 20))
def test_regrouping_loses_nothing_and_keeps_the_order(lengths: list[int], size: int) -> None:
    samples = np.arange(60, dtype=np.float32)
    groups = list(regrouped(cut(samples, lengths), size))
    np.testing.assert_array_equal(np.concatenate(groups), samples)
    assert all(len(group) == size for group in groups[:-1])
    assert 0 < len(groups[-1]) <= size


@pytest.mark.parametrize("blocks", [[], [np.zeros(0, dtype=np.float32)]])
def test_no_samples_give_no_frames(blocks: list[NDArray[np.float32]]) -> None:
    assert FakeSegmenter().segment_blocks(blocks).data.shape == (0, 2)


def test_scores_come_as_soon_as_their_samples_are_there() -> None:
    taken = []

    def source() -> Iterator[NDArray[np.float32]]:
        for index in range(4):
            taken.append(index)
            yield NOISE[index * 500 : (index + 1) * 500]

    scores = FakeSegmenter().score_blocks(source())
    assert next(scores).shape == (5, 2)
    assert taken == [0]


def test_the_model_runs_in_inference_mode_and_nothing_of_it_is_left_while_the_stream_pauses() -> None:
    class Spy(FakeSegmenter):
        def _segment_block(self, samples: NDArray[np.float32], state: Any) -> tuple[NDArray[np.float32], Any]:
            assert torch.is_inference_mode_enabled()
            return super()._segment_block(samples, state)

    scores = Spy().score_blocks([NOISE])
    next(scores)
    assert not torch.is_inference_mode_enabled()


def test_files_pairs_and_samples_with_a_rate_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "noise.wav"
    soundfile.write(path, NOISE, RATE, subtype="FLOAT")
    model = FakeSegmenter()
    expected = model.segment_blocks([NOISE]).data
    for audio, options in ((path, {}), ((NOISE, RATE), {}), (NOISE, {"sample_rate": RATE})):
        np.testing.assert_array_equal(model.segment(audio, **options).data, expected)


@pytest.mark.parametrize(
    ("block", "message"),
    [(np.zeros((2, 3)), r"\(2, 3\)"), (np.array([0.0, np.nan]), "NaN"), (np.array([np.inf]), "infinity")],
)
def test_blocks_that_are_no_finite_vectors_are_refused(block: NDArray[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FakeSegmenter().segment_blocks([block])


def test_a_model_that_scores_another_number_of_frames_is_refused() -> None:
    class Broken(FakeSegmenter):
        def _segment_block(self, samples: NDArray[np.float32], state: Any) -> tuple[NDArray[np.float32], Any]:
            return np.zeros((1, 2), dtype=np.float32), None

    with pytest.raises(ModelError, match=r"Broken .* \(5, 2\)"):
        Broken().segment_blocks([NOISE])


def test_live_samples_are_scored_at_once_and_checked() -> None:
    model = FakeSegmenter(block_frames=5)
    first, state = model.score_next(NOISE[:300], None)
    second, state = model.score_next(NOISE[300:750], state)
    nothing, after = model.score_next(NOISE[:0], state)
    assert nothing.shape == (0, 2)
    assert after is state
    whole = FakeSegmenter(block_frames=8).segment_blocks([NOISE[:750]]).data
    np.testing.assert_array_equal(np.concatenate([first, second])[:, 0], whole[:, 0])
    with pytest.raises(InputError, match="finite"):
        model.score_next(np.full(100, np.nan, np.float32), state)
